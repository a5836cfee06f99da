"""A checkpoint at work on many images at once: files, folders and zips become a table, with figures where labels are known."""

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from core.data.sources.containers import Container, open_container, readable, typed_path
from core.data.sources.decoding import SUFFIXES, decode_image
from core.data.sources.layout import arrange
from core.data.sources.own_images import read_image
from core.data.store.image_store import Progress, no_progress
from core.data.transforms.preprocessing import normalise, prepare
from core.errors import InputError
from core.inference.predictor import Prediction, network_of
from core.insight.class_report import ClassReport, class_report
from core.models.network_spec import NetworkSpec
from core.runs.calibration import calibration_of
from core.runs.checkpoints import Checkpoint
from core.wording import escaped_cell

BATCH = 64
COLUMNS = ("file", "class", "probability", "second class", "second probability", "sure", "true class", "error")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was said of an image. file: as people read it. true: its class by its folder or table, empty where none is known.

    error: why it could not be read; the rest is then empty.
    """

    file: str
    said: str = ""
    probability: float = 0.0
    second: str = ""
    second_probability: float = 0.0
    is_sure: bool = False
    true: str = ""
    error: str = ""

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Source:
    """An image to be asked about: a file by itself (container None), or a name within a folder or zip."""

    container: Container | None
    name: str
    file: str
    true: str = ""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Of the answers whose true class is known to the network. left_out: labelled with another class."""

    report: ClassReport
    labels: np.ndarray
    predicted: np.ndarray
    left_out: int


def images_at(paths: Sequence[Path]) -> list[Source]:
    """Files as they are; all images in folders and zips, with the classes that their folders or a table name.

    Raises InputError where a path is not there, a zip could mislead, or a folder has no images.
    """
    found: list[Source] = []
    for path in paths:
        found += (
            _within(path)
            if path.is_dir() or _is_zip(path)
            else [Source(container=None, name=str(path), file=readable(str(path)))]
        )
    return found


def path_to_images(text: str) -> Path:
    """Of a folder, a zip or an image, as a person typed it. Raises InputError where there is none."""
    path = typed_path(text)
    if not path.exists():
        raise InputError(
            f"There is no folder, zip or image {readable(str(path))}.",
            code="dataset",
            hint="Give the full path of one on this machine.",
        )
    return path


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip" or (path.suffix.lower() not in SUFFIXES and path.is_file() and zipfile.is_zipfile(path))


def _within(path: Path) -> list[Source]:
    container = open_container(path)
    names = sorted(file.name for file in container.files([]))
    try:
        classes = {image.name: image.class_name for image in arrange(names, container.read, "").images}
    except InputError:  # nothing says of which class they are
        classes = {}
    images = [name for name in names if name in classes or Path(name).suffix.lower() in SUFFIXES]
    if not images:
        raise InputError(
            f"There is no image in {readable(str(path))}.", code="dataset", hint="Give a folder or zip that has some."
        )
    return [
        Source(
            container=container, name=name, file=f"{readable(path.name)}/{readable(name)}", true=readable(classes.get(name, ""))
        )
        for name in images
    ]


def predictions_of(
    checkpoint: Checkpoint, sources: Sequence[Source], progress: Progress = no_progress
) -> Iterator[tuple[Source, Prediction | InputError]]:
    """Each image with what is said of it, or why it can't be read. Raises InputError if the checkpoint is unusable."""
    model, spec = network_of(checkpoint)
    calibration = calibration_of(checkpoint)
    mean, std = torch.tensor(spec.preprocessing.mean), torch.tensor(spec.preprocessing.std)
    for start in range(0, len(sources), BATCH):
        progress("Asking the network", start, len(sources))
        batch = sources[start : start + BATCH]
        read = [_read(source, spec) for source in batch]
        pixels = [found[0] for found in read if not isinstance(found, InputError)]
        probabilities: Iterator[np.ndarray] = iter(())
        if pixels:
            with torch.inference_mode():
                logits = model(normalise(torch.from_numpy(np.stack(pixels)), mean, std)).float()
            probabilities = iter((logits / calibration.temperature).softmax(dim=1).numpy())
        for source, found in zip(batch, read, strict=True):
            if isinstance(found, InputError):
                yield source, found
                continue
            seen, done = found
            yield (
                source,
                Prediction(
                    class_names=spec.class_names, probabilities=next(probabilities), seen=seen, done=done, calibration=calibration
                ),
            )


def _read(source: Source, spec: NetworkSpec) -> tuple[np.ndarray, str] | InputError:
    """(C, H, W) uint8 and what was done to it, or why it can't be read."""
    try:
        image = read_image(source.container, source.name).image if source.container else decode_image(Path(source.name))
    except InputError as error:
        return error
    return prepare(image, spec.preprocessing, spec.shape[0], spec.shape[1:])


def answer_of(source: Source, said: Prediction | InputError) -> Answer:
    if isinstance(said, InputError):
        return Answer(file=source.file, true=source.true, error=said.message)
    (first, probability), *others = said.top(2)
    second, second_probability = others[0] if others else ("", 0.0)
    return Answer(
        file=source.file,
        said=first,
        probability=probability,
        second=second,
        second_probability=second_probability,
        is_sure=said.is_sure,
        true=source.true,
    )


def figures_of(answers: Sequence[Answer], class_names: Sequence[str]) -> Figures | None:
    """Accuracy and figures by class over the labelled answers; None where no label is a class of the network."""
    place = {name: number for number, name in enumerate(class_names)}
    labelled = [answer for answer in answers if answer.true and not answer.error]
    known = [answer for answer in labelled if answer.true in place]
    if not known:
        return None
    labels = np.array([place[answer.true] for answer in known])
    predicted = np.array([place[answer.said] for answer in known])
    report = class_report(labels, predicted, class_names)
    return Figures(report=report, labels=labels, predicted=predicted, left_out=len(labelled) - len(known))


def as_csv(answers: Sequence[Answer]) -> str:
    """A row an image; names that a spreadsheet would take for a formula are put behind an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for a in answers:
        if a.error:
            writer.writerow([escaped_cell(a.file), "", "", "", "", "", escaped_cell(a.true), escaped_cell(a.error)])
        else:
            first, second = f"{a.probability:.6f}", f"{a.second_probability:.6f}" if a.second else ""
            sure = "yes" if a.is_sure else "no"
            writer.writerow(
                [
                    escaped_cell(a.file),
                    escaped_cell(a.said),
                    first,
                    escaped_cell(a.second),
                    second,
                    sure,
                    escaped_cell(a.true),
                    "",
                ]
            )
    return text.getvalue()
