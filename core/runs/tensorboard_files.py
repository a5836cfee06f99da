"""Where a run's TensorBoard files lie, and the command that opens them; written by core/running/tensorboard.py."""

from core.runs.directory import Run
from core.workspace import Workspace


def has_tensorboard_files(run: Run) -> bool:
    return any(run.tensorboard.glob("events.out.tfevents.*"))


def opening_command(workspace: Workspace, run: Run) -> str:
    """What to type in this installation's folder, whatever TRAINSCOPE_HOME says there."""
    return f'python -m core tensorboard {run.id} --home "{workspace.home}"'
