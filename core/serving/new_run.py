"""The one door for new runs, whoever asks for one: the pages, the command line, a file from outside."""

from core.data.store.image_store import Progress, no_progress
from core.intake.pretrained import make_pretrained_ready
from core.running.branch import create_branch
from core.running.plan import Plan
from core.runs.directory import Run, create_run
from core.workspace import Workspace


def new_run(workspace: Workspace, plan: Plan, progress: Progress = no_progress) -> Run:
    """A run for what was planned, with the weights of the parent that it names, if it names one. Nothing has started yet.

    Raises InputError where its weights are not to be had or don't fit; nothing is left of it.
    """
    config = plan.config
    if config.origin:
        return create_branch(workspace, config, progress)
    make_pretrained_ready(workspace, config.model, progress)  # at hand, perhaps as the file that a person has put in place
    return create_run(workspace, config)
