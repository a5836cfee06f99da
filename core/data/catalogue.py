"""The built-in sets: one record each, from which lists, forms and downloads follow."""

import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from core.data.sources.builtin import cifar_source, digits_source, emnist_source, mnist_source, svhn_source
from core.data.store.image_store import Progress, Source


@dataclass(frozen=True, kw_only=True)
class DatasetEntry:
    """A built-in set. folder: where its files lie below the workspace's datasets/; download_mb: 0 where nothing is fetched."""

    name: str
    title: str
    summary: str
    shape: tuple[int, int, int]
    num_classes: int
    num_train: int
    num_test: int
    download_mb: int
    folder: str
    drawing: str
    source: Callable[[Path, Progress], Source]
    class_names: tuple[str, ...] = ()  # where they are known before the images are here
    may_be_mirrored: bool = True  # a mirrored digit is none


DIGIT_NAMES = [str(n) for n in range(10)]
FASHION_NAMES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
LETTER_NAMES = list(string.ascii_lowercase)
BALANCED_NAMES = [*string.digits, *string.ascii_uppercase, *"abdefghnqrt"]  # small letters that look like none of the large ones
KMNIST_NAMES = ["o お", "ki き", "su す", "tsu つ", "na な", "ha は", "ma ま", "ya や", "re れ", "wo を"]

DATASETS = {
    record.name: record
    for record in (
        DatasetEntry(
            name="digits",
            title="Digits",
            summary="1,797 small handwritten digits. Always here, no network needed.",
            shape=(1, 8, 8),
            num_classes=10,
            num_train=1797,
            num_test=0,
            download_mb=0,
            folder="",
            drawing="digits",
            source=digits_source,
            class_names=tuple(DIGIT_NAMES),
        ),
        DatasetEntry(
            name="mnist",
            title="MNIST",
            summary="70,000 handwritten digits, the classic first set.",
            shape=(1, 28, 28),
            num_classes=10,
            num_train=60_000,
            num_test=10_000,
            download_mb=12,
            folder="MNIST/raw",
            drawing="mnist",
            source=partial(mnist_source, "MNIST", "MNIST", DIGIT_NAMES, "mnist"),
            class_names=tuple(DIGIT_NAMES),
        ),
        DatasetEntry(
            name="fashion-mnist",
            title="Fashion-MNIST",
            summary="70,000 articles of clothing, in MNIST's format but harder.",
            shape=(1, 28, 28),
            num_classes=10,
            num_train=60_000,
            num_test=10_000,
            download_mb=31,
            folder="FashionMNIST/raw",
            drawing="none",
            source=partial(mnist_source, "FashionMNIST", "Fashion-MNIST", FASHION_NAMES, "none"),
            class_names=tuple(FASHION_NAMES),
        ),
        DatasetEntry(
            name="kmnist",
            title="KMNIST",
            summary="70,000 cursive Japanese characters, in MNIST's format.",
            shape=(1, 28, 28),
            num_classes=10,
            num_train=60_000,
            num_test=10_000,
            download_mb=21,
            folder="KMNIST/raw",
            drawing="mnist",
            source=partial(mnist_source, "KMNIST", "KMNIST", KMNIST_NAMES, "mnist"),
            class_names=tuple(KMNIST_NAMES),
        ),
        DatasetEntry(
            name="emnist-letters",
            title="EMNIST letters",
            summary="145,600 handwritten letters, large and small ones together, in MNIST's format.",
            shape=(1, 28, 28),
            num_classes=26,
            num_train=124_800,
            num_test=20_800,
            download_mb=562,
            folder="EMNIST/raw",
            drawing="mnist",
            source=partial(emnist_source, "letters", "EMNIST letters", LETTER_NAMES, 1),
            class_names=tuple(LETTER_NAMES),
        ),
        DatasetEntry(
            name="emnist-balanced",
            title="EMNIST balanced",
            summary="131,600 handwritten digits and letters of 47 kinds, equally many of each, in MNIST's format.",
            shape=(1, 28, 28),
            num_classes=47,
            num_train=112_800,
            num_test=18_800,
            download_mb=562,
            folder="EMNIST/raw",
            drawing="mnist",
            source=partial(emnist_source, "balanced", "EMNIST balanced", BALANCED_NAMES, 0),
            class_names=tuple(BALANCED_NAMES),
        ),
        DatasetEntry(
            name="svhn",
            title="SVHN",
            summary="99,289 digits of house numbers in small colour photographs.",
            shape=(3, 32, 32),
            num_classes=10,
            num_train=73_257,
            num_test=26_032,
            download_mb=246,
            folder="SVHN",
            drawing="none",
            source=svhn_source,
            class_names=tuple(DIGIT_NAMES),
            may_be_mirrored=False,
        ),
        DatasetEntry(
            name="cifar10",
            title="CIFAR-10",
            summary="60,000 small colour photographs of ten kinds of things.",
            shape=(3, 32, 32),
            num_classes=10,
            num_train=50_000,
            num_test=10_000,
            download_mb=163,
            folder="cifar-10-batches-py",
            drawing="none",
            source=partial(cifar_source, "CIFAR10", "CIFAR-10"),
            class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        ),
        DatasetEntry(
            name="cifar100",
            title="CIFAR-100",
            summary="60,000 small colour photographs of a hundred kinds of things.",
            shape=(3, 32, 32),
            num_classes=100,
            num_train=50_000,
            num_test=10_000,
            download_mb=161,
            folder="cifar-100-python",
            drawing="none",
            source=partial(cifar_source, "CIFAR100", "CIFAR-100"),
        ),
    )
}
