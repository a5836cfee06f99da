"""Kill -9 at random moments and at every file operation, resume until the end, and compare with an uninterrupted run.

`python -m tests.reliability.kill_and_resume --kills 2000 --seed 7` prints what it finds and a summary.
"""

import argparse
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.config import TrainConfig
from core.runs.directory import Run, create_run
from core.runs.event_log import EventReader
from core.runs.status import status_of
from core.settings import config_from
from core.workspace import Workspace, open_workspace
from tests.reliability.comparing import damages, differences, leftovers, saved_before, trace_of
from tests.reliability.failing_disk import tiny
from tests.reliability.zygote import Zygote

JOBS = "tests.reliability.jobs"
EVERY_S = 0.1  # the least that a configuration allows
MOST_ATTEMPTS = 100  # a run that is killed so often without ever coming to its end makes no progress
CLASSES = ("automobile", "bird", "cat", "ship")
IMAGES = 150  # of each class

COMMON = {
    "data": {"validation_fraction": 0.2, "evaluate_on": "validation"},
    "schedule": {"name": "one-cycle"},
    "epochs": 3,
    "threads": 1,
    "tensorboard": False,
    "log_every": 3,
    "eval_batch_size": 100,
    "checkpoint": {"every_seconds": EVERY_S},
}
MODELS: dict[str, dict[str, Any]] = {
    "mlp": {"model": {"name": "mlp", "width": 0.2}, "optimizer": {"name": "adam"}, "batch_size": 2},
    "mnist-first-cnn": {  # has dropout
        "model": {"name": "mnist-first-cnn", "width": 0.2},
        "optimizer": {"name": "sgd", "lr": 0.02, "momentum": 0.9},
        "preprocessing": {"size_px": 16},
        "batch_size": 6,
    },
    "residual-light": {  # has batch norm
        "model": {"name": "residual-light", "width": 0.1},
        "optimizer": {"name": "adamw"},
        "batch_size": 10,
        "augmentation": {"shift_px": 1, "rotate_deg": 10, "flip": True, "erase_px": 2},
    },
}
SMALLER_BATCHES = {"mlp": 1, "mnist-first-cnn": 3, "residual-light": 5}  # the folder has a third of the images


def config_of(model: str, dataset: str) -> TrainConfig:
    config = json.loads(json.dumps({**COMMON, **MODELS[model]}))
    config["data"]["dataset"] = dataset
    if dataset != "digits":
        config["batch_size"] = SMALLER_BATCHES[model]
        config["preprocessing"] = {"size_px": 16}
    return config_from(config)


def make_image_folder(cifar10_images: Path, folder: Path) -> Path:
    """600 photographs of four classes, copied."""
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for file in sorted((cifar10_images / "train" / name).iterdir())[:IMAGES]:
            shutil.copy(file, folder / name)
    return folder


@dataclass
class Case:
    """One model on one set, with the course of its uninterrupted run and how long that took."""

    name: str
    config: TrainConfig
    whole: dict[str, Any]
    seconds: float


@dataclass
class Tally:
    kills: int = 0
    runs: int = 0
    steps_lost: list[int] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    moments: Counter = field(default_factory=Counter)

    def summary(self) -> dict[str, Any]:
        kinds = Counter(re.sub(r"\d+", "#", finding.partition(": ")[2])[:60] for finding in self.findings)
        return {
            "kills": self.kills,
            "runs": self.runs,
            "killed after": dict(self.moments),
            "most steps lost": max(self.steps_lost, default=0),
            "findings": len(self.findings),
            "kinds": dict(kinds),
        }


def case_of(zygote: Zygote, workspace: Workspace, config: TrainConfig) -> Case:
    seconds = []
    for _ in range(2):  # the first one may also build the store
        run = create_run(workspace, config)
        outcome = zygote.run(f"{JOBS}:train", str(workspace.home), str(run.path))
        assert outcome.result == "finished", outcome
        seconds.append(outcome.seconds)
    return Case(f"{config.model.name} on {Path(config.data.dataset).name}", config, trace_of(run), min(seconds))


def random_delays(draws: random.Random, seconds: float) -> Iterator[float]:
    """From the first millisecond to the end of a whole run; some in the first milliseconds, some early."""
    while True:
        yield draws.uniform(0, draws.choice((0.02, 0.5, 1.0, 1.0)) * seconds)


def kill_and_resume(
    zygote: Zygote, workspace: Workspace, case: Case, tally: Tally, delays: Iterator[float], most_kills: int = MOST_ATTEMPTS
) -> list[str]:
    """Trains a run, killed after each of the delays in turn until it ends before one; what was found not as it must be."""
    return _trained_to_the_end(
        workspace,
        case,
        tally,
        lambda run, kills: zygote.run(
            f"{JOBS}:train", str(workspace.home), str(run.path), kill_after_s=next(delays) if kills < most_kills else None
        ),
    )


def kill_at_call(zygote: Zygote, workspace: Workspace, case: Case, tally: Tally, mode: str, number: int) -> list[str]:
    """Trains a run that is killed instead of its file operation of this number, or in its midst, and then goes on."""

    found = killed_once(zygote, workspace, case, tally, "train_until_call", mode, number)
    return [f"{mode} at call {number}, {line}" for line in found]


def killed_once(zygote: Zygote, workspace: Workspace, case: Case, tally: Tally, job: str, *arguments: Any) -> list[str]:
    """Trains a run by a job that kills itself, and then to its end."""

    def attempt(run: Run, kills: int) -> Any:
        place = (str(workspace.home), str(run.path))
        return zygote.run(f"{JOBS}:train", *place) if kills else zygote.run(f"{JOBS}:{job}", *place, *arguments)

    return _trained_to_the_end(workspace, case, tally, attempt)


def _trained_to_the_end(workspace: Workspace, case: Case, tally: Tally, attempt: Callable[[Run, int], Any]) -> list[str]:
    run, found = create_run(workspace, case.config), []
    kills, was_killed = 0, True
    while was_killed:
        outcome = attempt(run, kills)
        was_killed = outcome.was_killed
        found += going_on(run)
        if was_killed:
            kills += 1
            found += after_kill(run)
            tally.moments[moment(run)] += 1
            if status_of(run).state == "finished":  # nobody would resume it
                was_killed = False
            if kills > MOST_ATTEMPTS:
                found.append("it never comes to its end")
                break
        elif outcome.error or outcome.result != "finished":
            found.append(f"it ended as {outcome.result} {outcome.error}")
    else:
        found += damages(run) + differences(run, case.whole) + leftovers(run)
    tally.kills += kills
    tally.runs += 1
    tally.steps_lost += steps_lost(run)
    found = [f"{case.name}, run {run.id} killed {kills} times: {line}" for line in found]
    tally.findings += found
    if not found:
        shutil.rmtree(run.path)
    return found


def after_kill(run: Run) -> list[str]:
    """What is wrong with a run's directory right after its trainer was killed."""
    found = damages(run)
    status = status_of(run)
    if status.state not in ("interrupted", "finished"):
        found.append(f"killed, it is shown as {status.state}")
    if run.is_held():
        found.append("killed, its lock is still held")
    return found


def going_on(run: Run) -> list[str]:
    """Whether each start in the events went on at its last checkpoint or later, and no stretch lacks a checkpoint for long."""
    found = []
    saved, first_s, is_overdue = 0, None, False
    for row in EventReader(run.events).read():
        match row["kind"]:
            case "started":
                if row["from_step"] < saved:
                    found.append(f"step {saved} was saved, but it went on from step {row['from_step']}")
                saved, first_s, is_overdue = row["from_step"], None, False
            case "checkpoint":
                saved, first_s, is_overdue = row["step"], None, False
            case "step":
                if is_overdue:  # the clock was past the interval at the record before, and nothing was saved
                    found.append(f"no checkpoint for more than {EVERY_S} s before step {row['step']}")
                first_s = row["seconds"] if first_s is None else first_s
                is_overdue = row["seconds"] > first_s + EVERY_S
            case "evaluation":
                is_overdue = False  # the epoch's own checkpoint comes next
    return found


def steps_lost(run: Run) -> list[int]:
    """For each start but the first: the steps that were done before, as far as they were recorded, and had to be done again."""
    lost, done = [], 0
    for row in EventReader(run.events).read():
        if row["kind"] == "started":
            lost.append(max(0, done - row["from_step"]))
            done = row["from_step"]
        elif row["kind"] == "step":
            done = row["step"]
    return lost[1:]


def moment(run: Run) -> str:
    """What the run had last told of when it was killed, and whether it was writing a checkpoint."""
    rows = EventReader(run.events).read()
    if run.checkpoints.is_dir() and any(path.name.startswith(".") for path in run.checkpoints.iterdir()):
        return "writing"
    if rows and rows[-1]["kind"] != "checkpoint" and _newest_step(run) > saved_before(run):
        return "checkpoint there, not yet told"
    return rows[-1]["kind"] if rows else "nothing"


def _newest_step(run: Run) -> int:
    states = (json.loads((path / "state.json").read_bytes()) for path in run.checkpoints.iterdir() if path.is_dir())
    return max((state["step"] for state in states), default=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--calls", action="store_true", help="instead of at random moments, at each file operation in turn")
    parser.add_argument("--keep", action="store_true", help="keep the folders of runs with findings")
    options = parser.parse_args()
    draws, tally, began = random.Random(options.seed), Tally(), time.monotonic()
    home = tempfile.mkdtemp(prefix="kill-and-resume-")
    workspace = open_workspace(Path(home) / "workspace")
    datasets = ["digits"]
    if real := os.environ.get("TRAINSCOPE_TEST_DATA"):
        datasets.append(str(make_image_folder(Path(real) / "cifar10_images", Path(home) / "photographs")))
    else:
        print("TRAINSCOPE_TEST_DATA is not set: the digits alone.", file=sys.stderr)
    with Zygote() as zygote:
        if options.calls:
            cases = [case_of(zygote, workspace, tiny())]
        else:
            cases = [case_of(zygote, workspace, config_of(model, dataset)) for dataset in datasets for model in MODELS]
        for case in cases:
            print(f"{case.name}: {case.seconds:.2f} s without a kill", flush=True)
        if options.calls:
            at_every_call(zygote, workspace, cases[0], tally)
        while not options.calls and tally.kills < options.kills:
            case = cases[tally.runs % len(cases)]
            for line in kill_and_resume(zygote, workspace, case, tally, random_delays(draws, case.seconds)):
                print(line, flush=True)
            if tally.runs % 30 == 0:
                print(f"{time.monotonic() - began:.0f} s: {json.dumps(tally.summary())}", flush=True)
    print(json.dumps({"seed": options.seed, "seconds": round(time.monotonic() - began), **tally.summary()}, indent=2))
    if options.keep and tally.findings:
        print(f"The runs are in {home}.")
    else:
        shutil.rmtree(home)
    raise SystemExit(1 if tally.findings else 0)


def at_every_call(zygote: Zygote, workspace: Workspace, case: Case, tally: Tally) -> None:
    for mode in ("kill", "torn"):
        number, kills = 1, -1
        while tally.kills > kills:  # until the run ends before that call
            kills = tally.kills
            for line in kill_at_call(zygote, workspace, case, tally, mode, number):
                print(line, flush=True)
            number += 1


if __name__ == "__main__":
    main()
