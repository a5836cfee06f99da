"""The one door for new runs, whoever asks for one: the pages, the command line, a file from outside."""

from core.config import TrainConfig
from core.data.store.image_store import Progress, no_progress
from core.intake.pretrained import make_pretrained_ready
from core.running.branch import create_branch
from core.running.complete import complete
from core.running.plan import plan_run
from core.runs.directory import Run, create_run
from core.workspace import Workspace


def new_run(workspace: Workspace, config: TrainConfig, progress: Progress = no_progress) -> Run:
    """A run for this configuration, with the weights of the parent that it names, if it names one. Nothing has started yet.

    Raises InputError for one that can't work; nothing is left of it.
    """
    config = complete(workspace, config)
    plan_run(workspace, config)
    if config.origin:
        return create_branch(workspace, config, progress)
    make_pretrained_ready(workspace, config, progress)  # at hand, perhaps as the file that a person has put in place
    return create_run(workspace, config)
