"""The kinds of jobs there are: one record each, from which the queue, the Activity page and the command line follow."""

from core.running.train_job import TRAIN

KINDS = {kind.name: kind for kind in (TRAIN,)}
