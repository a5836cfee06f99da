"""The built-in sets: one record each, from which lists, forms and downloads follow."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from core.data.sources.builtin import cifar_source, digits_source, mnist_source
from core.data.store.image_store import Progress, Source


@dataclass(frozen=True)
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
    class_names: tuple[str, ...] = ()  # where they are known before the pictures are here


DIGIT_NAMES = [str(n) for n in range(10)]
FASHION_NAMES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
KMNIST_NAMES = ["o お", "ki き", "su す", "tsu つ", "na な", "ha は", "ma ま", "ya や", "re れ", "wo を"]

DATASETS = {
    record.name: record
    for record in (
        DatasetEntry(
            "digits",
            "Digits",
            "1,797 small handwritten digits. Always here, no network needed.",
            (1, 8, 8),
            10,
            1797,
            0,
            0,
            "",
            "digits",
            digits_source,
            tuple(DIGIT_NAMES),
        ),
        DatasetEntry(
            "mnist",
            "MNIST",
            "70,000 handwritten digits, the classic first set.",
            (1, 28, 28),
            10,
            60_000,
            10_000,
            12,
            "MNIST/raw",
            "mnist",
            partial(mnist_source, "MNIST", "MNIST", DIGIT_NAMES, "mnist"),
            tuple(DIGIT_NAMES),
        ),
        DatasetEntry(
            "fashion-mnist",
            "Fashion-MNIST",
            "70,000 articles of clothing, in MNIST's format but harder.",
            (1, 28, 28),
            10,
            60_000,
            10_000,
            31,
            "FashionMNIST/raw",
            "none",
            partial(mnist_source, "FashionMNIST", "Fashion-MNIST", FASHION_NAMES, "none"),
            tuple(FASHION_NAMES),
        ),
        DatasetEntry(
            "kmnist",
            "KMNIST",
            "70,000 cursive Japanese characters, in MNIST's format.",
            (1, 28, 28),
            10,
            60_000,
            10_000,
            21,
            "KMNIST/raw",
            "mnist",
            partial(mnist_source, "KMNIST", "KMNIST", KMNIST_NAMES, "mnist"),
            tuple(KMNIST_NAMES),
        ),
        DatasetEntry(
            "cifar10",
            "CIFAR-10",
            "60,000 small colour photographs of ten kinds of things.",
            (3, 32, 32),
            10,
            50_000,
            10_000,
            163,
            "cifar-10-batches-py",
            "none",
            partial(cifar_source, "CIFAR10", "CIFAR-10"),
            ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        ),
        DatasetEntry(
            "cifar100",
            "CIFAR-100",
            "60,000 small colour photographs of a hundred kinds of things.",
            (3, 32, 32),
            100,
            50_000,
            10_000,
            161,
            "cifar-100-python",
            "none",
            partial(cifar_source, "CIFAR100", "CIFAR-100"),
        ),
    )
}
