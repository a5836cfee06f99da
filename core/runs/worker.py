"""The training process. `python -m core.runs.worker` imports everything, then waits for its job as one JSON line on stdin.

Stdin stays open as a life line: when it ends, the server is gone, and the run is saved and paused.
"""

import gc
import json
import os
import threading
from pathlib import Path


def main() -> None:
    # all that a first step would import otherwise: seconds, spent here before anybody waits for them

    from core.runs.directory import Run
    from core.runs.session import train_in
    from core.runs.status import status_of
    from core.workspace import Workspace

    warm_up()
    life_line = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115 open for life
    line = life_line.readline()
    if not line:  # the server ended before there was anything to do
        return
    job = json.loads(line)
    run = Run(Path(job["run"]))
    output = os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    gone = threading.Event()
    threading.Thread(target=lambda: (life_line.read(), gone.set()), daemon=True).start()
    if status_of(run).state == "queued":  # else it was taken out of the queue meanwhile
        train_in(Workspace(Path(job["home"])), run, gone.is_set)


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
