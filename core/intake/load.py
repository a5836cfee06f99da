"""A file from outside becomes a run: weights of any kind a run of their own, an exported run that run again.

What kind a file is, is decided by its content, never by its name.
"""

import hashlib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from core.config import CatalogueNetwork, Origin, TrainConfig
from core.data.catalogue import DATASETS
from core.data.sets import DatasetInfo, dataset_info, divide, find_store, prepare_store
from core.data.store.image_store import Progress, no_progress
from core.errors import InputError
from core.files import unsealed
from core.intake.checkpoint_check import check_manifest, read_network
from core.intake.contract import wanted_by
from core.intake.metadata import calibration_in
from core.intake.pickle_check import TORCH_ZIP_LIMITS, refuse_programs
from core.intake.recognise import recognised_in
from core.intake.run_archive import restore_run, root_of
from core.intake.run_layout import CHECKPOINT_FILES, MANIFEST, max_bytes_of
from core.intake.sandbox import Task, examine
from core.models.network_spec import NetworkSpec
from core.running.plan import complete
from core.runs.calibration import PLAIN, Calibration, read_calibration, save_calibration
from core.runs.checkpoints import find_checkpoint
from core.runs.directory import Run
from core.runs.notes import NAME_LENGTH, read_notes, write_notes
from core.settings import changed, config_from_json, get
from core.wording import percent
from core.workspace import Workspace
from core.zips import CheckedZip, ZipLimits, open_zip, shown

OWN_ZIP_LIMITS = ZipLimits(num_entries=20_000, total_bytes=8 * 10**9, entry_bytes=4 * 10**9, ratio=50, depth=4, name_bytes=300)
# to look at the names only; the stricter limits of each kind follow
ANY_ZIP_LIMITS = replace(TORCH_ZIP_LIMITS, may_compress=True)
OF_THE_RUN = ("config.json", "calibration.json")  # which go with a checkpoint
Kind = Literal["torch", "safetensors", "checkpoint", "run"]
SAVE_AGAIN = "Open it where it was made and save its weights with a newer PyTorch: torch.save(model.state_dict(), 'weights.pt')."


@dataclass(frozen=True)
class Loaded:
    """notes: sentences about what was done to make the file fit, and what of it was not taken over."""

    run: Run
    kind: Kind
    notes: list[str]


def load_file(
    workspace: Workspace,
    path: Path,
    file_name: str,
    config: TrainConfig | None = None,
    name: str = "",
    progress: Progress = no_progress,
) -> Loaded:
    """The run that a .pt, .safetensors, checkpoint zip or run zip became.

    config: model, data set and preprocessing that weights belong to; a zip of ours brings its own. name: for the new run's notes.
    Raises InputError with the reason if the file can't be taken, with what does not fit listed.
    """
    try:
        kind = kind_of(path)
        run, notes = _become_run(workspace, path, kind, file_name, config, progress)
        if name.strip():
            write_notes(run, replace(read_notes(run), name=name[:NAME_LENGTH]))
    except OSError as error:
        raise InputError(
            f"{shown(file_name)} can't be read, or there is no room for it here ({error.strerror or error}).", code="file"
        ) from None
    return Loaded(run, kind, notes)


def _become_run(
    workspace: Workspace, path: Path, kind: Kind, file_name: str, config: TrainConfig | None, progress: Progress
) -> tuple[Run, list[str]]:
    if kind == "run":
        with open_zip(path, OWN_ZIP_LIMITS) as archive:
            return restore_run(workspace, archive), []
    if kind == "checkpoint":
        return _from_checkpoint(workspace, path, file_name, config)
    if config is None:
        found = recognised_in(path, kind)
        raise InputError(
            f"{shown(file_name)} holds weights and does not say {'for which classes' if found else 'of which network'}.",
            code="file",
            hint=f"It is of {found}. Choose the data set (for its classes) that it belongs to."
            if found
            else "Choose the model and the data set (for its classes) that they belong to.",
        )
    return _from_weights(workspace, path, kind, file_name, config, progress)


def kind_of(path: Path) -> Kind:
    """What the file is by its content. Raises InputError that says what it is if it can't be taken."""
    if not path.is_file():  # a pipe would never end
        raise _refusal("it is not a file", "Choose a file.")
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise _refusal("it is empty", "Copy or download it again.")
    if head[:4] == b"PK\x03\x04":
        return _kind_of_zip(path)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return "safetensors"
    if head[257:262] == b"ustar":
        raise _refusal("it is a tar archive, as only the first versions of PyTorch wrote", SAVE_AGAIN)
    if head[:1] == b"\x80" or head[:2] in (b"(d", b"cc", b"ct", b"c_", b"(l", b"(i"):
        raise _refusal("it is a bare pickle, as PyTorch wrote before version 1.6, and a pickle can run any code", SAVE_AGAIN)
    for start, what in (
        (b"\x89HDF", "an HDF5 file, as Keras writes"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"BZh", "a bzip2 archive"),
        (b"7z\xbc\xaf", "a 7-Zip archive"),
        (b"Rar!", "a RAR archive"),
    ):
        if head.startswith(start):
            raise _refusal(f"it is {what}", "Unpack or convert it first.")
    raise _refusal("it is neither a PyTorch file nor safetensors nor a zip of ours", SAVE_AGAIN)


def _kind_of_zip(path: Path) -> Kind:
    with open_zip(path, ANY_ZIP_LIMITS) as archive:
        names = list(archive.entries)
    refuse_programs(names)
    below = {name.partition("/")[2] for name in names}
    if any(name.rpartition("/")[2] in ("data.pkl", "constants.pkl") for name in names):
        return "torch"
    if {"weights.safetensors", MANIFEST} <= below or {"weights.safetensors", MANIFEST} <= set(names):
        return "checkpoint"
    if "config.json" in below:
        return "run"
    raise _refusal(
        "it is a zip, but holds neither a run nor a checkpoint of ours nor what torch.save writes",
        "Images are imported as a data set instead.",
    )


def _from_weights(
    workspace: Workspace,
    path: Path,
    kind: Literal["torch", "safetensors"],
    file_name: str,
    config: TrainConfig,
    progress: Progress,
) -> tuple[Run, list[str]]:
    try:
        run, notes = _taken_over(workspace, path, kind, file_name, config, progress)
        is_appended = isinstance(config.model, CatalogueNetwork) and config.model.head == "appended"
        found = recognised_in(path, kind) if is_appended else None
        return run, [*(found.notes if found else []), *notes]
    except InputError as error:
        if error.code not in ("misfit", "model") or (found := recognised_in(path, kind)) is None:
            raise
        head = {"model.head": found.head}
        is_other_head = config.model.name == found.model and get(config, "model.head") != found.head
        if not is_other_head:
            raise InputError(error.message, code=error.code, hint=f"The file is of {found}. {error.hint}") from None
    run, notes = _taken_over(workspace, path, kind, file_name, changed(config, head), progress)
    return run, [f"The file is of {found}; model.head was set to {found.head}.", *found.notes, *notes]


def _taken_over(
    workspace: Workspace,
    path: Path,
    kind: Literal["torch", "safetensors"],
    file_name: str,
    config: TrainConfig,
    progress: Progress,
) -> tuple[Run, list[str]]:
    config = complete(workspace, config)
    data = dataset_info(workspace, config)
    guess = NetworkSpec(
        model=config.model,
        shape=data.shape,
        class_names=tuple(map(str, range(data.num_classes))),
        preprocessing=config.preprocessing,
    )
    wanted = wanted_by(guess)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=workspace.runs) as folder:
        clean = Path(folder) / "weights.safetensors"
        (notes,) = examine([Task(file=path, kind=kind, wanted=wanted, out=clean)])
        # only now: the set may have to be downloaded first
        config, network = _with_images(workspace, config, data, progress)
        if wanted_by(network) != wanted:
            raise InputError("The data set has changed meanwhile.", code="dataset", hint="Load the file again.")
        calibration = calibration_in(path, kind) or PLAIN
        if calibration != PLAIN:
            notes.append(_taken_along(calibration))
        run = _new_run(workspace, config, network, clean, file_name, "", notes)
        save_calibration(find_checkpoint(run, "last"), calibration)
        return run, notes


def _with_images(
    workspace: Workspace, config: TrainConfig, data: DatasetInfo, progress: Progress
) -> tuple[TrainConfig, NetworkSpec]:
    """The configuration and the network with what the set says: class names, and normalisation where it is not given.

    A built-in set that can't be had is not needed for either where the configuration normalises by figures of its own.
    """
    from core.running.prepare import measured

    record, given = DATASETS.get(config.data.dataset), config.preprocessing
    try:
        store = prepare_store(workspace, config.data.dataset, given, progress)
    except InputError as error:
        if error.code != "dataset-offline" or not record or not record.class_names or given.mean is None or given.std is None:
            raise
        drawing = record.drawing if given.drawing == "auto" else given.drawing
        config = changed(config, {"preprocessing.drawing": drawing})
        shape, class_names = data.shape, record.class_names
    else:
        class_names = divide(workspace, store, config.data).class_names
        config, shape = measured(config, store), store.meta.shape
    return config, NetworkSpec(model=config.model, shape=shape, class_names=class_names, preprocessing=config.preprocessing)


def _from_checkpoint(workspace: Workspace, path: Path, file_name: str, config: TrainConfig | None) -> tuple[Run, list[str]]:
    """A checkpoint of ours says itself which network it is and how images are prepared; only the data set may be chosen anew."""
    with tempfile.TemporaryDirectory(prefix=".new-", dir=workspace.runs) as temporary:
        with open_zip(path, OWN_ZIP_LIMITS) as archive:
            folder = _unpack_checkpoint(archive, Path(temporary))
        check_manifest(folder)
        network, wanted = read_network(folder)
        given = folder / "config.json"
        if config is None and not given.is_file():
            raise InputError(
                "The zip holds a checkpoint without its run's config.json.",
                code="file",
                hint="Choose the data set it belongs to.",
            )
        base = complete(workspace, config) if config else config_from_json(given.read_bytes())
        config = changed(
            base,
            {
                "model": network.model.model_dump(mode="json"),
                "preprocessing": network.preprocessing.model_dump(mode="json"),
            },
        )
        _check_classes(workspace, config, network)
        clean = Path(temporary) / "clean.safetensors"
        (notes,) = examine([Task(file=folder / "weights.safetensors", kind="safetensors", wanted=wanted, out=clean)])
        if base.model != config.model:
            notes.append(f"The checkpoint's own model was taken: {config.model}.")
        calibration = _calibration(folder, notes)
        run = _new_run(workspace, config, network, clean, file_name, folder.name, notes)
        save_calibration(find_checkpoint(run, "last"), calibration)
        return run, notes


def _calibration(folder: Path, notes: list[str]) -> Calibration:
    """The temperature and the threshold that an unpacked checkpoint brings; the plain ones where it has none, or none that can be read."""
    file = folder / "calibration.json"
    if not file.is_file():  # it had none, or is of an earlier version
        return PLAIN
    weights = unsealed((folder / MANIFEST).read_bytes())["files"]["weights.safetensors"]["sha256"]
    try:
        found = read_calibration(file.read_bytes(), weights)
    except ValueError:
        notes.append("Its temperature and threshold are damaged and were not taken over: fit them anew on the Results page.")
        return PLAIN
    notes.append(_taken_along(found))
    return found


def _taken_along(found: Calibration) -> str:
    return f"Its temperature of {found.temperature:.3f} and its threshold of {percent(found.threshold)} were taken over."


def _unpack_checkpoint(archive: CheckedZip, temporary: Path) -> Path:
    root = root_of(archive)
    folder = temporary / "checkpoint"
    folder.mkdir()
    for name, entry in archive.entries.items():
        relative = name.removeprefix(f"{root}/") if root else name
        allowed = max_bytes_of(relative if relative in OF_THE_RUN else f"checkpoints/epoch-0000/{relative}")
        if relative not in (*CHECKPOINT_FILES, MANIFEST, *OF_THE_RUN) or allowed is None or entry.num_bytes > allowed:
            raise _refusal(f"{shown(relative)} in it is not a file that checkpoints have, or too large", "Export it again.")
        with (folder / relative).open("xb") as file:
            for piece in archive.pieces(name):
                file.write(piece)
    return folder


def _check_classes(workspace: Workspace, config: TrainConfig, network: NetworkSpec) -> None:
    """Raises InputError if the data set is here and has other classes than the network."""
    try:
        store = find_store(workspace, config.data.dataset, config.preprocessing)
        class_names = divide(workspace, store, config.data).class_names if store else ()
    except InputError:
        return  # a folder or edits of another machine: the network can still classify images
    if store and class_names != network.class_names:
        raise InputError(
            f"The checkpoint knows {len(network.class_names):,} classes, the data set '{store.meta.title}' has {len(class_names):,}, "
            "or others.",
            code="misfit",
            hint="Choose the data it was trained on.",
        )


def _new_run(
    workspace: Workspace,
    config: TrainConfig,
    network: NetworkSpec,
    clean: Path,
    file_name: str,
    checkpoint: str,
    notes: list[str],
) -> Run:
    """A run that only evaluates its weights, until it is trained further."""
    from safetensors.torch import load_file as read_safetensors

    from core.running.branch import create_run_with_weights

    with clean.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in file_name)[-300:]
    origin = Origin(kind="file", name=printable, checkpoint=checkpoint, sha256=sha256, note=" ".join(notes)[:2000])
    return create_run_with_weights(workspace, changed(config, {"epochs": 0}), network, read_safetensors(clean), origin)


def _refusal(reason: str, hint: str) -> InputError:
    return InputError(f"The file can't be taken: {reason}.", code="file", hint=hint)
