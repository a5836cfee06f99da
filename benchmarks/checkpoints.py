"""What checkpoints cost: a recipe trained with them and without them in turns, and how much of the time saving takes.

python -m benchmarks.checkpoints --home WORKSPACE [--recipe mnist-first-cnn] [--rounds 3] [--epochs 3]. Reports ratios from one run, as JSON.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from core.recipes import recipe_named
from core.running.session import Session, run_session
from core.runs.directory import create_run
from core.runs.history import history_of
from core.settings import changed
from core.workspace import Workspace, open_workspace


def train_once(workspace: Workspace, recipe: str, epochs: int, saves: bool) -> dict[str, float]:
    """{"images_per_s", "saving_s", "saves"} of one training, from its first step to its last, evaluations included."""
    save = Session.save
    spent: list[float] = []

    def timed(self) -> None:
        began = time.perf_counter()
        if saves:
            save(self)
        spent.append(time.perf_counter() - began)

    Session.save = timed
    try:
        run = create_run(workspace, changed(recipe_named(recipe).config, {"epochs": epochs, "tensorboard": False}))
        run_session(workspace, run)
    finally:
        Session.save = save
    first, last = history_of(run).evaluations[0], history_of(run).evaluations[-1]
    elapsed = last["seconds"] - first["seconds"]
    return {"images_per_s": last["examples"] / elapsed, "saving_s": sum(spent[:-1]) / elapsed, "saves": len(spent)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", required=True, help="a workspace that has the data")
    parser.add_argument("--recipe", default="mnist-first-cnn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    given = open_workspace(options.home)
    with tempfile.TemporaryDirectory(dir=given.home) as folder:
        workspace = open_workspace(folder)
        for name in ("datasets", "stores"):
            (Path(folder) / name).rmdir()
            (Path(folder) / name).symlink_to(given.home / name)
        rounds = [
            (
                train_once(workspace, options.recipe, options.epochs, True),
                train_once(workspace, options.recipe, options.epochs, False),
            )
            for _ in range(options.rounds)
        ]
    ratios = [with_["images_per_s"] / without["images_per_s"] for with_, without in rounds]
    print(
        json.dumps(
            {
                "recipe": options.recipe,
                "with_over_without": [round(r, 4) for r in ratios],
                "median": round(statistics.median(ratios), 4),
                "share_of_time_in_saving": round(statistics.median(with_["saving_s"] for with_, _ in rounds), 4),
                "images_per_s": [round(with_["images_per_s"]) for with_, _ in rounds],
                "saves": rounds[0][0]["saves"],
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
