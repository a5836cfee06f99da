"""The training process. `python -m core.jobs.worker` imports everything, then waits for its job as one JSON line on stdin.

Stdin stays open as a life line: when it ends, the server is gone, and the run is saved and paused.
"""

import gc
import importlib
import json
import os
import queue
import threading
from pathlib import Path

# what a set, an optimizer or a writer imports at its first use: seconds, spent before anybody waits for them
LATE_IMPORTS = ("sklearn.datasets", "torch._dynamo", "torch.utils.tensorboard", "torchvision.datasets")


def main() -> None:
    jobs: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    at_work, server_is_gone = threading.Event(), threading.Event()
    threading.Thread(target=watch_life_line, args=(jobs, at_work, server_is_gone), daemon=True).start()
    for module in LATE_IMPORTS:
        importlib.import_module(module)
    from core.running.session import train_queued
    from core.runs.directory import Run
    from core.workspace import Workspace

    warm_up()
    job = json.loads(jobs.get())
    run = Run(Path(job["run"]))
    output = os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    at_work.set()
    train_queued(Workspace(Path(job["home"])), run, server_is_gone.is_set)


def watch_life_line(jobs: "queue.SimpleQueue[bytes]", at_work: threading.Event, server_is_gone: threading.Event) -> None:
    """Passes the job on, then waits for the end of stdin. A worker that has not begun by then just ends."""
    life_line = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115 open for life
    if job := life_line.readline():
        jobs.put(job)
        life_line.read()
    server_is_gone.set()
    if not at_work.is_set():
        os._exit(0)


def warm_up() -> None:
    """One step of a tiny training, which loads the last modules and starts the threads; then no more collection of it all."""
    import torch

    from core.config import SGD, ModelConfig
    from core.models.catalogue import build_model
    from core.training.optimizers import build_optimizer

    model = build_model(ModelConfig(name="mlp", width=0.01), (1, 8, 8), 2)
    optimizer = build_optimizer(SGD(), model)
    torch.nn.functional.cross_entropy(model(torch.zeros(2, 1, 8, 8)), torch.tensor([0, 1])).backward()
    optimizer.step()
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
