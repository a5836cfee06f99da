"""Image stores, and the built-in sets that fill them: right, whole, found again in a moment."""

import gzip
import hashlib
import io
import json
import pickle
import struct
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy.io import savemat
from sklearn.datasets import load_digits
from torchvision import datasets

from core.config import Preprocessing
from core.data.catalogue import DATASETS
from core.data.sets import dataset_info, find_store, prepare_store, suiting
from core.data.store.image_store import Block, Source, build_store, open_store
from core.errors import InputError
from core.recipes import RECIPES
from core.workspace import Workspace, open_workspace
from tests.fixtures.real_data import real_data

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (50, 3, 5, 4), np.uint8)
LABELS = RANDOM.integers(0, 3, 50)


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return open_workspace(tmp_path)


@pytest.fixture
def no_network(monkeypatch) -> None:
    def refuse(*_, **__):
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def source_of(*blocks: Block, announced: dict[str, int] | None = None) -> Source:
    counts: dict[str, int] = announced or {}
    if not announced:
        for block in blocks:
            counts[block.split] = counts.get(block.split, 0) + len(block.images)
    return Source(
        title="Things",
        class_names=["a", "b", "c"],
        shape=(3, 5, 4),
        counts=counts,
        drawing="none",
        origin="here",
        blocks=lambda progress: iter(blocks),
    )


TWO_SPLITS = [
    Block(split="train", images=IMAGES[:20], labels=LABELS[:20]),
    Block(split="train", images=IMAGES[20:40], labels=LABELS[20:40]),
    Block(split="test", images=IMAGES[40:], labels=LABELS[40:]),
]


def test_store_gives_back_what_was_put_in(tmp_path):
    build_store(tmp_path / "things", source_of(*TWO_SPLITS))
    store = open_store(tmp_path / "things")
    np.testing.assert_array_equal(store.images, IMAGES)
    np.testing.assert_array_equal(store.labels, LABELS)
    assert store.images.dtype == np.uint8
    assert store.labels.dtype == np.int64
    assert store.meta.splits == {"train": (0, 40), "test": (40, 50)}
    assert (store.meta.title, store.meta.class_names, store.meta.shape) == ("Things", ["a", "b", "c"], (3, 5, 4))
    assert store.files is None


def test_mean_and_deviation_are_those_of_the_training_pictures(tmp_path):
    store = build_store(tmp_path / "things", source_of(*TWO_SPLITS))
    pixels = IMAGES[:40] / 255
    np.testing.assert_allclose(store.meta.mean, pixels.mean(axis=(0, 2, 3)), atol=1e-5)
    np.testing.assert_allclose(store.meta.std, pixels.std(axis=(0, 2, 3)), atol=1e-5)


def test_pictures_all_alike_have_a_deviation_that_can_be_divided_by(tmp_path):
    same = np.full((4, 3, 5, 4), 7, np.uint8)
    assert min(build_store(tmp_path / "things", source_of(Block(split="train", images=same, labels=LABELS[:4]))).meta.std) > 0


def test_checksums_are_those_of_the_files(tmp_path):
    store = build_store(tmp_path / "things", source_of(*TWO_SPLITS))
    for name, checksum in store.meta.checksums.items():
        assert hashlib.sha256((store.path / name).read_bytes()).hexdigest() == checksum


def test_store_is_memory_mapped_and_nobody_can_change_it(tmp_path):
    store = build_store(tmp_path / "things", source_of(*TWO_SPLITS))
    assert isinstance(store.images, np.memmap)
    store.images[0] = 0
    np.testing.assert_array_equal(np.load(store.path / "images.npy"), IMAGES)


def test_store_is_cut_to_the_pictures_that_could_be_read(tmp_path):
    store = build_store(tmp_path / "things", source_of(*TWO_SPLITS, announced={"train": 60, "test": 15}))
    np.testing.assert_array_equal(store.images, IMAGES)
    assert len(store.labels) == 50
    assert sorted(path.name for path in store.path.iterdir()) == [
        "digests.npy",
        "duplicates.npz",
        "images.npy",
        "labels.npy",
        "meta.json",
        "sizes.npy",
        "skipped.json",
    ]


def test_progress_reaches_the_end(tmp_path):
    told = []
    build_store(tmp_path / "things", source_of(*TWO_SPLITS), lambda *facts: told.append(facts))
    reading = [("Reading images", done, 50) for done in (20, 40, 50)]
    assert told == [*reading, ("Looking for duplicates", 0, 0)]


def test_building_that_breaks_off_leaves_nothing(tmp_path):
    def breaks(progress) -> Iterator[Block]:
        yield TWO_SPLITS[0]
        raise OSError(28, "No space left on device")

    source = Source(
        title="Things", class_names=["a"], shape=(3, 5, 4), counts={"train": 50}, drawing="none", origin="here", blocks=breaks
    )
    with pytest.raises(OSError, match="No space left"):
        build_store(tmp_path / "things", source)
    assert list(tmp_path.iterdir()) == []


def test_store_that_another_process_put_there_first_is_used(tmp_path):
    path = tmp_path / "things"
    first = []

    def slow(progress) -> Iterator[Block]:
        first.append(build_store(path, source_of(*TWO_SPLITS)))  # the other one, meanwhile
        yield from TWO_SPLITS

    source = Source(
        title="Things",
        class_names=["a", "b", "c"],
        shape=(3, 5, 4),
        counts={"train": 40, "test": 10},
        drawing="none",
        origin="here",
        blocks=slow,
    )
    assert build_store(path, source).meta == first[0].meta
    assert [entry.name for entry in tmp_path.iterdir()] == ["things"]


@pytest.mark.parametrize("meta", [b"", b"{", b'{"format": 99}', None])
def test_folder_without_a_sound_description_is_no_store_and_is_built_anew(tmp_path, meta):
    path = tmp_path / "things"
    build_store(path, source_of(*TWO_SPLITS))
    if meta is None:
        (path / "meta.json").unlink()
    else:
        (path / "meta.json").write_bytes(meta)
    assert open_store(path) is None
    build_store(path, source_of(*TWO_SPLITS))
    np.testing.assert_array_equal(open_store(path).images, IMAGES)


def test_no_training_pictures_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="None of its training images could be read"):
        build_store(tmp_path / "things", source_of(TWO_SPLITS[2]))
    with pytest.raises(InputError, match="No images were found"):
        build_store(tmp_path / "things", source_of())


# --- the built-in sets


def test_digits_are_scikit_learn_s(workspace):
    store = prepare_store(workspace, "digits", Preprocessing())
    digits = load_digits()
    np.testing.assert_allclose(store.images[:, 0] / 255 * 16, digits.images, atol=0.04)
    np.testing.assert_array_equal(store.labels, digits.target)
    assert store.images.max() == 255


def test_built_in_set_can_be_had_at_another_size_and_in_colour(workspace):
    store = prepare_store(workspace, "digits", Preprocessing(size_px=16, colour="rgb"))
    assert store.images.shape == (1797, 3, 16, 16)
    np.testing.assert_array_equal(store.images[:, 0], store.images[:, 2])
    small = torch.from_numpy(prepare_store(workspace, "digits", Preprocessing()).images).float()
    doubled = torch.nn.functional.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(store.images[:, :1].astype(float), doubled, atol=1)


def test_store_is_found_again_and_not_built_twice(workspace):
    assert find_store(workspace, "digits", Preprocessing()) is None
    store = prepare_store(workspace, "digits", Preprocessing())
    written = (store.path / "meta.json").stat().st_mtime_ns
    assert find_store(workspace, "digits", Preprocessing()) == store
    assert prepare_store(workspace, "digits", Preprocessing()) == store
    assert (store.path / "meta.json").stat().st_mtime_ns == written


def test_normalisation_and_drawing_rules_share_one_store(workspace):
    """They are applied later: only size, fit and colour are stored."""
    first = prepare_store(workspace, "digits", Preprocessing())
    assert prepare_store(workspace, "digits", Preprocessing(mean=(0.5,), std=(0.5,), drawing="none")).path == first.path


def test_unknown_set_is_refused_with_those_there_are(workspace):
    with pytest.raises(InputError, match="There is no data set 'imagenet'") as refusal:
        prepare_store(workspace, "imagenet", Preprocessing())
    assert all(name in str(refusal.value) for name in DATASETS)


def idx(array: np.ndarray) -> bytes:
    """yann.lecun.com/exdb/mnist: two zeros, 8 for unsigned bytes, the number of dimensions, their sizes, the bytes."""
    return struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes()


def small_idx_set(monkeypatch, folder, torchvision_set: type) -> list[np.ndarray]:
    """A set in MNIST's format, gzipped as delivered, small; and torchvision's checksums made those of its files."""
    images, more = RANDOM.integers(0, 256, (12, 28, 28), np.uint8), RANDOM.integers(0, 256, (5, 28, 28), np.uint8)
    arrays = [images, np.arange(12, dtype=np.uint8) % 10, more, np.arange(5, dtype=np.uint8)]
    folder.mkdir(parents=True)
    resources = []
    for array, (name, _) in zip(arrays, torchvision_set.resources, strict=True):
        content = gzip.compress(idx(array))
        (folder / name).write_bytes(content)
        resources.append((name, hashlib.md5(content).hexdigest()))
    monkeypatch.setattr(torchvision_set, "resources", resources)
    return arrays


IDX_SETS = {"mnist": datasets.MNIST, "fashion-mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}


@pytest.mark.parametrize("name", IDX_SETS)
def test_set_in_mnist_s_format_is_read_from_its_files(workspace, monkeypatch, no_network, name):
    arrays = small_idx_set(monkeypatch, workspace.datasets / DATASETS[name].folder, IDX_SETS[name])
    store = prepare_store(workspace, name, Preprocessing())
    np.testing.assert_array_equal(store.images[:, 0], np.concatenate([arrays[0], arrays[2]]))
    np.testing.assert_array_equal(store.labels, np.concatenate([arrays[1], arrays[3]]))
    assert store.meta.splits == {"train": (0, 12), "test": (12, 17)}
    assert len(store.meta.class_names) == DATASETS[name].num_classes == len(set(store.meta.class_names))


@pytest.mark.parametrize("name", IDX_SETS)
def test_set_that_is_not_there_names_its_folder_and_all_four_files_without_network(workspace, no_network, name):
    with pytest.raises(InputError) as refusal:
        prepare_store(workspace, name, Preprocessing())
    assert refusal.value.code == "dataset-offline"
    assert str(workspace.datasets / DATASETS[name].folder) in str(refusal.value)
    assert all(file in str(refusal.value) for file, _ in IDX_SETS[name].resources)
    assert not any(workspace.stores.iterdir())


def test_forged_unpacked_file_is_not_taken(workspace, no_network):
    """docs/architecture.md: torchvision's MNIST takes whatever lies in its cache."""
    raw = workspace.datasets / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file, _ in datasets.MNIST.resources:
        (raw / file.removesuffix(".gz")).write_bytes(idx(np.zeros((3, 28, 28) if "images" in file else (3,), np.uint8)))
    with pytest.raises(InputError) as refusal:
        prepare_store(workspace, "mnist", Preprocessing())
    assert refusal.value.code == "dataset-offline"


EMNIST_SETS = {"emnist-letters": ("letters", 1), "emnist-balanced": ("balanced", 0)}


@pytest.mark.parametrize("name", EMNIST_SETS)
def test_emnist_is_read_from_its_zip_turned_and_its_first_class_is_class_0(workspace, monkeypatch, no_network, name):
    part, first = EMNIST_SETS[name]
    num_classes = DATASETS[name].num_classes
    buffer, images, labels = io.BytesIO(), {}, {}
    with zipfile.ZipFile(buffer, "w") as packed:
        for split, count in (("train", num_classes + 3), ("test", 5)):
            images[split] = RANDOM.integers(0, 256, (count, 28, 28), np.uint8)
            labels[split] = (np.arange(count) % num_classes + first).astype(np.uint8)
            for file, array in (("images-idx3", images[split]), ("labels-idx1", labels[split])):
                packed.writestr(f"gzip/emnist-{part}-{split}-{file}-ubyte.gz", gzip.compress(idx(array)))
    folder = workspace.datasets / DATASETS[name].folder
    folder.mkdir(parents=True)
    (folder / "gzip.zip").write_bytes(buffer.getvalue())
    monkeypatch.setattr(datasets.EMNIST, "md5", hashlib.md5(buffer.getvalue()).hexdigest())
    store = prepare_store(workspace, name, Preprocessing())
    written = np.concatenate([images["train"], images["test"]])  # (N, x, y): column by column
    np.testing.assert_array_equal(store.images[:, 0], written.transpose(0, 2, 1))
    assert not np.array_equal(store.images[:, 0], written)
    assert store.labels[:3].tolist() == [0, 1, 2] and store.labels.max() == num_classes - 1
    assert store.meta.splits == {"train": (0, num_classes + 3), "test": (num_classes + 3, num_classes + 8)}
    expected = datasets.EMNIST.classes_split_dict[part][first:]  # torchvision has a class 0 that is none
    assert list(store.meta.class_names) == list(DATASETS[name].class_names) == expected


def test_svhn_is_read_from_its_matlab_files_and_a_ten_is_a_zero(workspace, monkeypatch, no_network):
    folder = workspace.datasets / "SVHN"
    folder.mkdir(parents=True)
    files, images, labels = dict(datasets.SVHN.split_list), [], []
    for split, count in (("train", 12), ("test", 4)):
        pixels = RANDOM.integers(0, 256, (32, 32, 3, count), np.uint8)
        classes = (np.arange(count, dtype=np.uint8) % 10 + 1)[:, None]
        url, file, _ = files[split]
        savemat(folder / file, {"X": pixels, "y": classes}, do_compression=True)
        files[split] = [url, file, hashlib.md5((folder / file).read_bytes()).hexdigest()]
        images.append(pixels)
        labels.extend(classes[:, 0].tolist())
    monkeypatch.setattr(datasets.SVHN, "split_list", files)
    store = prepare_store(workspace, "svhn", Preprocessing())
    assert store.labels.tolist() == [0 if label == 10 else label for label in labels]
    assert store.images.shape == (16, 3, 32, 32)
    for number, part, place in ((0, 0, 0), (11, 0, 11), (13, 1, 1)):
        for channel in range(3):
            np.testing.assert_array_equal(store.images[number, channel], images[part][:, :, channel, place])
    torchvisions = datasets.SVHN(folder, "test")
    np.testing.assert_array_equal(store.images[12:], torchvisions.data)
    assert store.labels[12:].tolist() == torchvisions.labels.tolist()


@pytest.mark.parametrize(("name", "file"), [("emnist-letters", "gzip.zip"), ("svhn", "test_32x32.mat")])
def test_emnist_and_svhn_that_are_not_there_name_their_files_and_folder_without_network(workspace, no_network, name, file):
    with pytest.raises(InputError) as refusal:
        prepare_store(workspace, name, Preprocessing())
    assert refusal.value.code == "dataset-offline"
    assert str(workspace.datasets / DATASETS[name].folder) in str(refusal.value) and file in str(refusal.value)


def test_house_numbers_are_not_mirrored_by_a_recipe_for_photographs(workspace):
    assert suiting(workspace, "svhn")["augmentation.flip"] is False
    assert "augmentation.flip" not in suiting(workspace, "cifar100")


def small_cifar(monkeypatch, torchvision_set: type, num_classes: int) -> tuple[bytes, np.ndarray, list[int]]:
    """An archive in CIFAR's format with 4 images a file, its checksums made torchvision's: (archive, images, labels)."""
    key = "labels" if num_classes == 10 else "fine_labels"
    files, images, labels = {}, [], []

    def batch(name: str) -> tuple[str, str]:
        data = RANDOM.integers(0, 256, (4, 3072), np.uint8)
        classes = RANDOM.integers(0, num_classes, 4).tolist()
        images.append(data.reshape(4, 3, 32, 32))
        labels.extend(classes)
        files[name] = pickle.dumps({"data": data, key: classes})
        return name, hashlib.md5(files[name]).hexdigest()

    monkeypatch.setattr(torchvision_set, "train_list", [batch(name) for name, _ in torchvision_set.train_list])
    monkeypatch.setattr(torchvision_set, "test_list", [batch(name) for name, _ in torchvision_set.test_list])
    meta = dict(torchvision_set.meta)
    files[meta["filename"]] = pickle.dumps({meta["key"]: [f"class {i}" for i in range(num_classes)]})
    meta["md5"] = hashlib.md5(files[meta["filename"]]).hexdigest()
    monkeypatch.setattr(torchvision_set, "meta", meta)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{torchvision_set.base_folder}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    monkeypatch.setattr(torchvision_set, "tgz_md5", hashlib.md5(buffer.getvalue()).hexdigest())
    return buffer.getvalue(), np.concatenate(images), labels


CIFAR_SETS = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}


@pytest.mark.parametrize("name", CIFAR_SETS)
def test_cifar_archive_put_there_by_hand_is_unpacked_and_read(workspace, monkeypatch, no_network, name):
    archive, images, labels = small_cifar(monkeypatch, CIFAR_SETS[name], DATASETS[name].num_classes)
    (workspace.datasets / CIFAR_SETS[name].filename).write_bytes(archive)
    store = prepare_store(workspace, name, Preprocessing())
    np.testing.assert_array_equal(store.images, images)
    np.testing.assert_array_equal(store.labels, labels)
    assert store.meta.splits == {"train": (0, len(labels) - 4), "test": (len(labels) - 4, len(labels))}
    assert (workspace.datasets / DATASETS[name].folder).is_dir()


@pytest.mark.parametrize("name", CIFAR_SETS)
def test_cifar_that_is_not_there_names_the_archive_and_its_folder_without_network(workspace, no_network, name):
    with pytest.raises(InputError) as refusal:
        prepare_store(workspace, name, Preprocessing())
    assert refusal.value.code == "dataset-offline"
    assert str(workspace.datasets) in str(refusal.value)
    assert CIFAR_SETS[name].filename in str(refusal.value)


def test_archive_that_reaches_out_of_its_folder_writes_nothing_outside(workspace, monkeypatch, no_network, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("../../outside.txt")
        entry.size = 1
        archive.addfile(entry, io.BytesIO(b"x"))
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(buffer.getvalue()).hexdigest())
    (workspace.datasets / datasets.CIFAR10.filename).write_bytes(buffer.getvalue())
    with pytest.raises((InputError, tarfile.TarError)):
        prepare_store(workspace, "cifar10", Preprocessing())
    assert not list(tmp_path.parent.rglob("outside.txt"))


@pytest.mark.parametrize("name", DATASETS)
def test_catalogue_gives_the_figures_before_the_set_is_there(workspace, name):
    record = DATASETS[name]
    config = RECIPES["cifar10-quick"].config
    spec = dataset_info(workspace, config.model_copy(update={"data": config.data.model_copy(update={"dataset": name})}))
    assert (spec.title, spec.shape, spec.num_classes, spec.is_ready) == (record.title, record.shape, record.num_classes, False)
    assert spec.splits == {split: n for split, n in (("train", record.num_train), ("test", record.num_test)) if n}
    assert record.summary.endswith(".")


@pytest.mark.real_data
def test_mnist_has_its_published_figures_and_opens_in_a_moment(workspace, no_network):
    """60,000 and 10,000 images, mean 0.1307, deviation 0.3081; class counts as published with the set."""
    (workspace.datasets / "MNIST").symlink_to(real_data("MNIST"))
    store = prepare_store(workspace, "mnist", Preprocessing())
    assert store.meta.splits == {"train": (0, 60_000), "test": (60_000, 70_000)}
    assert (round(store.meta.mean[0], 4), round(store.meta.std[0], 4)) == (0.1307, 0.3081)
    assert np.bincount(store.labels[:60_000]).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert store.labels[:5].tolist() == [5, 0, 4, 1, 9]
    began = time.perf_counter()
    again = find_store(workspace, "mnist", Preprocessing())
    assert again.images[69_999].any()
    assert len(again.labels) == 70_000
    assert time.perf_counter() - began < 0.3
    assert json.loads((store.path / "meta.json").read_text())["title"] == "MNIST"
