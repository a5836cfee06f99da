"""Sources of the built-in sets: scikit-learn's digits, and torchvision's MNIST, EMNIST, CIFAR and SVHN, checked and downloaded."""

import gzip
import hashlib
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from core.data.sources.download import fetch, has_checksum
from core.data.store.image_store import Block, Progress, Source
from core.errors import InputError

# The four original files as they lie when somebody has unpacked them already (torchvision knows only the .gz sums).
MNIST_RAW_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def digits_source(folder: Path, progress: Progress) -> Source:
    """1,797 digits of 13 writers, 8×8, values 0 to 16 (UCI optical recognition of handwritten digits, Alpaydin and Kaynak)."""
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    images = np.round(digits.images[:, None] * (255 / 16)).astype(np.uint8)

    def blocks(progress: Progress) -> Iterator[Block]:
        yield Block(split="train", images=images, labels=digits.target)

    return Source(
        title="Digits",
        class_names=[str(n) for n in range(10)],
        shape=(1, 8, 8),
        counts={"train": len(images)},
        drawing="digits",
        origin="scikit-learn",
        blocks=blocks,
    )


def mnist_source(class_name: str, title: str, class_names: list[str], drawing: str, folder: Path, progress: Progress) -> Source:
    """A set in MNIST's file format, from folder/<class_name>/raw, downloaded if it is not there."""
    from torchvision import datasets

    torchvision_set = getattr(datasets, class_name)
    raw = folder / class_name / "raw"
    arrays = [_idx_array(raw, name, md5, torchvision_set, title, progress) for name, md5 in torchvision_set.resources]

    def blocks(progress: Progress) -> Iterator[Block]:
        yield Block(split="train", images=arrays[0][:, None], labels=arrays[1])
        yield Block(split="test", images=arrays[2][:, None], labels=arrays[3])

    counts = {"train": len(arrays[0]), "test": len(arrays[2])}
    return Source(
        title=title,
        class_names=class_names,
        shape=(1, *arrays[0].shape[1:]),
        counts=counts,
        drawing=drawing,
        origin="torchvision",
        blocks=blocks,
    )


def _idx_array(raw: Path, name: str, md5: str, torchvision_set: type, title: str, progress: Progress) -> np.ndarray:
    """The array in one idx file. Format: yann.lecun.com/exdb/mnist, "the IDX file format"."""
    unpacked, packed = raw / name.removesuffix(".gz"), raw / name
    content = None
    if not has_checksum(packed, md5) and unpacked.is_file():
        content = unpacked.read_bytes()
        if hashlib.sha256(content).hexdigest() != MNIST_RAW_SHA256.get(unpacked.name):
            content = None  # not the published file: the packed one, whose sum is known, decides
    if content is None:
        files = [file for file, _ in torchvision_set.resources]
        fetch([mirror + name for mirror in torchvision_set.mirrors], packed, md5, title, progress, files)
        content = gzip.decompress(packed.read_bytes())
    return _as_array(content)


def _as_array(content: bytes) -> np.ndarray:
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def emnist_source(part: str, title: str, class_names: list[str], first_label: int, folder: Path, progress: Progress) -> Source:
    """One of EMNIST's sets (Cohen and others, 2017), from folder/EMNIST/raw/gzip.zip, downloaded if it is not there.

    part: "letters" or "balanced". first_label: of the first class in its files. They hold the images transposed.
    """
    from torchvision.datasets import EMNIST

    archive = folder / "EMNIST" / "raw" / "gzip.zip"
    fetch([EMNIST.url], archive, EMNIST.md5, title, progress)
    with zipfile.ZipFile(archive) as packed:  # its checksum is known
        images, labels = (
            {
                split: _as_array(gzip.decompress(packed.read(f"gzip/emnist-{part}-{split}-{file}-ubyte.gz")))
                for split in ("train", "test")
            }
            for file in ("images-idx3", "labels-idx1")
        )

    def blocks(progress: Progress) -> Iterator[Block]:
        for split in ("train", "test"):
            turned = np.ascontiguousarray(images[split].transpose(0, 2, 1)[:, None])
            yield Block(split=split, images=turned, labels=labels[split] - first_label)

    return Source(
        title=title,
        class_names=class_names,
        shape=(1, *images["train"].shape[1:]),
        counts={split: len(array) for split, array in images.items()},
        drawing="mnist",
        origin="torchvision",
        blocks=blocks,
    )


def svhn_source(folder: Path, progress: Progress) -> Source:
    """House numbers, cropped to a digit each (Netzer and others, 2011), from folder/SVHN, downloaded if they are not there.

    In its files the digit 0 has the label 10.
    """
    from scipy.io import loadmat
    from torchvision.datasets import SVHN

    files = [SVHN.split_list[split][1] for split in ("train", "test")]
    arrays: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for split in ("train", "test"):
        url, file, md5 = SVHN.split_list[split]
        fetch([url], folder / "SVHN" / file, md5, "SVHN", progress, files)
        content = loadmat(folder / "SVHN" / file)  # its checksum is known
        arrays[split] = content["X"].transpose(3, 2, 0, 1), content["y"].reshape(-1).astype(np.int64) % 10

    def blocks(progress: Progress) -> Iterator[Block]:
        for split, (images, labels) in arrays.items():
            yield Block(split=split, images=np.ascontiguousarray(images), labels=labels)

    return Source(
        title="SVHN",
        class_names=[str(n) for n in range(10)],
        shape=(3, 32, 32),
        counts={split: len(labels) for split, (_, labels) in arrays.items()},
        drawing="none",
        origin="torchvision",
        blocks=blocks,
    )


def cifar_source(class_name: str, title: str, folder: Path, progress: Progress) -> Source:
    """CIFAR-10 or CIFAR-100 (Krizhevsky, 2009), from folder/<archive's own folder>, downloaded if it is not there."""
    from torchvision import datasets

    torchvision_set = getattr(datasets, class_name)
    archive = folder / torchvision_set.filename

    def read(train: bool):  # checks the sums of the unpacked batches
        return torchvision_set(folder, train=train, download=False)

    try:
        train, test = read(True), read(False)
    except RuntimeError:
        fetch([torchvision_set.url], archive, torchvision_set.tgz_md5, title, progress)
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        try:
            train, test = read(True), read(False)
        except RuntimeError as error:
            raise InputError(
                f"{title} in {folder} is damaged ({error}).", code="dataset", hint="Delete it there and try again."
            ) from None

    def blocks(progress: Progress) -> Iterator[Block]:
        for split, images in (("train", train), ("test", test)):
            yield Block(
                split=split, images=np.ascontiguousarray(images.data.transpose(0, 3, 1, 2)), labels=np.asarray(images.targets)
            )

    counts = {"train": len(train), "test": len(test)}
    return Source(
        title=title,
        class_names=list(train.classes),
        shape=(3, 32, 32),
        counts=counts,
        drawing="none",
        origin="torchvision",
        blocks=blocks,
    )
