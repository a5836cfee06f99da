"""What a stranger reads first in a bundle: how to use it, and what is known of the network."""

from core.data.sources.containers import readable
from core.export.bundle.parity import Parity
from core.insight.class_report import Share, class_report
from core.insight.metrics import most_confused_pairs
from core.insight.run_results import EvaluatedImages, class_names_of, evaluated_after, evaluated_by
from core.insight.setting_differences import in_words
from core.models.catalogue import model_title
from core.models.network_spec import NetworkSpec
from core.runs.calibration import PLAIN, calibration_of
from core.runs.checkpoints import Checkpoint, epoch_of, read_file, weights_sum
from core.runs.directory import Run
from core.runs.evaluations import list_evaluations
from core.runs.history import history_of
from core.settings import get, sections
from core.wording import counted, percent
from core.workspace import Workspace

MOST_CLASSES = 100  # in tables
MOST_PAIRS = 10


def readme(run: Run, checkpoint: Checkpoint, parity: Parity) -> str:
    spec = NetworkSpec.model_validate_json(read_file(checkpoint, "network.json"))
    channels, height, width = spec.shape
    return f"""# {_plain(model_title(spec.model))}: {_classes(spec)}

A trained image classifier, with all that it takes to use it. Made by Trainscope from {checkpoint.name} of the run {run.id}.

## Ask it

    python -m pip install -r requirements.txt
    python predict.py image.jpg

`--json` gives all classes. From Python:

    from predict import Predictor
    answer = Predictor()("image.jpg")
    print(answer["classes"][0])

As a small server on this machine, for scripts:

    python serve.py
    curl --data-binary @image.jpg http://127.0.0.1:8000

## What is here

| File | |
| --- | --- |
| `weights.safetensors` | the weights |
| `model.py` | the network in plain PyTorch: `build()` |
| `preprocessing.py`, `preprocessing.json` | how a image becomes its input of {channels} × {height} × {width} |
| `answers.json` | the classes, the temperature of the probabilities, and the threshold below which it is not sure |
| `predict.py`, `serve.py` | the programs above |
| `MODEL_CARD.md` | on what it was trained, how good it is, where it errs |
| `parity.json` | the proof below |

## It answers as Trainscope did

{parity} ({parity.where}; versions as in requirements.txt)
"""


def model_card(workspace: Workspace, run: Run, checkpoint: Checkpoint, parity: Parity) -> str:
    spec = NetworkSpec.model_validate_json(read_file(checkpoint, "network.json"))
    history = history_of(run)
    parts = [f"# Model card: {_plain(model_title(spec.model))}", "", "## Data", ""]
    if started := history.started:
        parts.append(
            f"Trained on {started.num_train:,} images of {_plain(started.dataset)}, {counted(len(spec.class_names), 'class')}: "
            f"{_plain(', '.join(spec.class_names[:MOST_CLASSES]))}{' …' if len(spec.class_names) > MOST_CLASSES else ''}."
        )
    else:
        parts.append("Not trained here: its weights came from a file.")
    parts += ["", "## Figures", "", *_figures(run, checkpoint)]
    calibration = calibration_of(checkpoint)
    if calibration != PLAIN:
        parts += [
            "",
            f"Probabilities are divided by a temperature of {calibration.temperature:g} before the softmax; below "
            f"{percent(calibration.threshold)} it says that it is not sure. {_plain(calibration.fitted_on)}",
        ]
    parts += ["", "## Limits", "", *(f"- {limit}" for limit in _limits(spec))]
    parts += ["", "## Settings", "", "| Setting | |", "| --- | --- |"]
    config = history.config(run.config)
    for _, _, items in sections(config):
        parts += [f"| {item.title} | {_plain(in_words(get(config, item.path), item))} |" for item in items]
    return "\n".join([*parts, "", "## Proof", "", str(parity), ""])


def _figures(run: Run, checkpoint: Checkpoint) -> list[str]:
    """Of the best evaluation of these very weights that is kept; else a sentence."""
    evaluated = _evaluated(run, checkpoint)
    if evaluated is None:
        return ["These weights were not evaluated."]
    names = class_names_of(run)
    found = class_report(evaluated.labels, evaluated.predictions.predicted, names)
    lines = [
        f"On {len(evaluated.labels):,} images of the {evaluated.split} split, with 95 % confidence intervals: accuracy {_share(found.accuracy)}.",
        "",
        "| Class | Recall | Precision | Images |",
        "| --- | --- | --- | --- |",
        *(
            f"| {_plain(row.name)} | {_share(row.recall)} | {_share(row.precision)} | {row.support:,} |"
            for row in found.rows[:MOST_CLASSES]
        ),
    ]
    pairs = most_confused_pairs(evaluated.labels, evaluated.predictions.predicted, MOST_PAIRS)
    if pairs:
        lines += ["", "Most often taken for one another:", ""]
        lines += [f"- {_plain(names[true])} for {_plain(names[said])}: {counted(times, 'time')}" for true, said, times in pairs]
    return lines


def _evaluated(run: Run, checkpoint: Checkpoint) -> EvaluatedImages | None:
    weights = weights_sum(checkpoint)
    by_hand = [kept for kept in list_evaluations(run) if kept.about.weights == weights]
    if by_hand:
        return evaluated_by(by_hand[-1])
    return evaluated_after(run, epoch_of(checkpoint))


def _limits(spec: NetworkSpec) -> list[str]:
    return [
        f"It knows {counted(len(spec.class_names), 'class')} and answers with one of them, whatever the image shows.",
        "Its figures hold for images like those it was evaluated on; of others nothing is known.",
        "Probabilities of a network are often too certain, most of all on images unlike those of its training.",
    ]


def _share(share: Share) -> str:
    return f"{percent(share.value)} ({percent(share.low)} to {percent(share.high)})"


def _plain(text: str) -> str:
    """A name from outside as words in Markdown: nothing in it is markup, and it stays in its line."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+!|~" else c for c in readable(text))


def _classes(spec: NetworkSpec) -> str:
    return f"{len(spec.class_names):,} class{'es' if len(spec.class_names) > 1 else ''}"
