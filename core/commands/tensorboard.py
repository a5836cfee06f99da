"""tensorboard: where the runs' event files lie, and TensorBoard over them."""

import argparse
import importlib.util
import subprocess
import sys
from contextlib import suppress

from core.commands.output import Result
from core.workspace import Workspace

INSTALL = "pip install tensorboard"


def tensorboard(workspace: Workspace, options: argparse.Namespace) -> Result:
    """Only says how; show_tensorboard starts it, which a program that asks for JSON does itself."""
    from core.runs.directory import find_run, list_runs
    from core.runs.tensorboard_files import has_tensorboard_files

    runs = list(dict.fromkeys(find_run(workspace, name) for name in options.runs) or list_runs(workspace))
    found = [run for run in runs if has_tensorboard_files(run)]
    folders = ["--logdir_spec", ",".join(f"{run.id}:{run.tensorboard}" for run in found)]
    if not options.runs:  # it finds later runs by itself
        folders = ["--logdir", str(workspace.runs)]
    return {
        "runs": [{"run": run.id, "path": str(run.tensorboard)} for run in found],
        "without": [run.id for run in runs if run not in found],
        "is_installed": importlib.util.find_spec("tensorboard") is not None,
        "command": [sys.executable, "-m", "tensorboard.main", *folders] if found else [],
    }


def show_tensorboard(result: Result) -> None:
    for row in result["runs"]:
        print(f"{row['run']:48} {row['path']}")
    if result["without"]:
        print(f"Without TensorBoard files: {', '.join(result['without'])}")
    if not result["runs"]:
        print("There are no TensorBoard files. A training writes them with --set tensorboard=true.")
    elif not result["is_installed"]:
        print(f"TensorBoard is not installed. To open them: {INSTALL}")
    else:
        print("Ctrl-C ends TensorBoard.", flush=True)
        with suppress(KeyboardInterrupt):
            subprocess.run(result["command"], check=False)
