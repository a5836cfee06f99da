"""Records the run that Home plays: the quick start, with what the network says of some digits after each epoch.

python -m benchmarks.record_home        writes pages/home/recorded_run.json
"""

import json
import tempfile
from pathlib import Path

from core.insight.run_results import evaluated_after, store_of
from core.recipes import recipe_named
from core.running.session import run_session
from core.runs.directory import create_run
from core.runs.history import history_of
from core.settings import changed
from core.workspace import open_workspace

COUNT = 20
TARGET = Path(__file__).parents[1] / "pages" / "home" / "recorded_run.json"


def main() -> None:
    workspace = open_workspace(Path(tempfile.mkdtemp(prefix="trainscope-record-")))
    run = create_run(workspace, changed(recipe_named("digits-quickstart").config, {"threads": 1, "tensorboard": False}))
    run_session(workspace, run)
    history, store = history_of(run), store_of(workspace, run)
    after = [evaluated_after(run, row.epoch) for row in history.evaluations]
    first = after[0]
    shown = [int(i) for k in range(10) for i in (first.labels == k).nonzero()[0][: COUNT // 10]]
    shown.sort(key=lambda position: int(first.indices[position]))  # not in the order of the classes
    record = {
        "images": [(store.images[first.indices[i]].reshape(-1) // 16).tolist() for i in shown],
        "labels": [int(first.labels[i]) for i in shown],
        "guesses": [[int(evaluated.predictions.predicted[i]) for i in shown] for evaluated in after],
        "loss": [round(row.loss, 4) for row in history.evaluations],
        "accuracy": [round(row.accuracy, 4) for row in history.evaluations],
        "epochs": [row.epoch for row in history.evaluations],
    }
    TARGET.write_text(json.dumps(record, separators=(",", ":")) + "\n")
    print(f"{TARGET}: {len(after)} epochs, {history.evaluations[-1].accuracy:.1%}")


if __name__ == "__main__":
    main()
