"""A process that does jobs. `python -m core.serving.worker` imports what trainings need, then waits for jobs, one JSON line each on stdin.

Stdin stays open as a life line: when it ends, the server is gone; a training is saved and paused, other work is given up. After a
job the process says so in a line on stdout, and waits for the next one: its imports cost seconds of a core.
"""

import gc
import importlib
import json
import os
import queue
import sys
import threading
from pathlib import Path

# what a set, an optimizer or a writer imports at its first use: seconds, spent before anybody waits for them
LATE_IMPORTS = ("sklearn.datasets", "torch._dynamo", "torch.utils.tensorboard", "torchvision.datasets", "core.running.session")


def main() -> None:
    tasks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    at_work, server_is_gone = threading.Event(), threading.Event()
    threading.Thread(target=watch_life_line, args=(tasks, at_work, server_is_gone), daemon=True).start()
    said = os.fdopen(os.dup(1), "w", buffering=1)
    prepare_for_trainings(tasks)
    while True:
        task = json.loads(tasks.get())
        at_work.set()
        write_to(Path(task["path"]) / "worker.log")
        do(task, server_is_gone)
        if server_is_gone.is_set() or holds_a_gpu():
            return
        gc.collect()
        write_to(Path(os.devnull))
        at_work.clear()
        if server_is_gone.is_set():
            return
        said.write("done\n")


def prepare_for_trainings(tasks: "queue.SimpleQueue[bytes]") -> None:
    """Imports and one tiny training, while nobody waits: a process that has a job already imports only what that uses."""
    for module in LATE_IMPORTS:
        if not tasks.empty():
            return
        importlib.import_module(module)
    if tasks.empty():
        warm_up()


def do(task: dict, server_is_gone: threading.Event) -> None:
    from core.workspace import Workspace

    workspace, path = Workspace(Path(task["home"])), Path(task["path"])
    if task["kind"] == "train":
        from core.running.session import run_queued_session
        from core.runs.directory import Run

        run_queued_session(workspace, Run(path), server_is_gone.is_set)
        return
    from core.jobs.job import Job
    from core.jobs.worker import carry_out
    from core.serving.job_kinds import KINDS

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)  # the other cores are the trainings' and the pages'
    carry_out(workspace, Job(task["kind"], path), KINDS[task["kind"]], server_is_gone.is_set)


def holds_a_gpu() -> bool:
    """Its memory is given back by the end of the process alone."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda.is_initialized()


def write_to(log: Path) -> None:
    """What is printed from now on goes there."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)


def watch_life_line(tasks: "queue.SimpleQueue[bytes]", at_work: threading.Event, server_is_gone: threading.Event) -> None:
    """Passes jobs on, then hears the end of stdin. A worker that has nothing to do by then just ends."""
    life_line = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115 open for life
    while task := life_line.readline():
        tasks.put(task)
    server_is_gone.set()
    if not at_work.is_set():
        os._exit(0)


def warm_up() -> None:
    """One step of a tiny training, which loads the last modules and starts the threads; then no more collection of it all."""
    import torch

    from core.config import CatalogueNetwork
    from core.models.catalogue import build_model
    from core.optimizers import SGD
    from core.training.optimizers import build_optimizer

    model = build_model(CatalogueNetwork(name="mlp", width=0.01), (1, 8, 8), 2)
    optimizer = build_optimizer(SGD(), model)
    torch.nn.functional.cross_entropy(model(torch.zeros(2, 1, 8, 8)), torch.tensor([0, 1])).backward()
    optimizer.step()
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
    os._exit(0)  # all is saved, and taking the large libraries apart would cost a second
