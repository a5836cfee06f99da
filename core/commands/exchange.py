"""load, export: what comes from other programs and machines, and what goes there."""

import argparse
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from core.commands.output import Result, progress
from core.commands.starting import config_of
from core.errors import InputError
from core.files import flush_folder, remove_quietly, replace_file
from core.wording import size
from core.workspace import Workspace

if TYPE_CHECKING:
    from core.config import TrainConfig

FORMATS = ("zip", "bundle", "pt", "safetensors", "pt2", "onnx", "html", "script")
OF_A_CHECKPOINT = ("bundle", "pt2", "onnx")  # of the best one where none is named


def add_load_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "file", metavar="FILE", help="a .pt or .pth with a state_dict, a .safetensors, or a zip that export has written"
    )
    source = sub.add_mutually_exclusive_group()
    source.add_argument("--recipe", metavar="NAME", help="the recipe whose model, data set and preprocessing they belong to")
    source.add_argument("--config", metavar="FILE", help="the same from a JSON file, such as a run's config.json")
    sub.add_argument("--model", metavar="NAME", help="the model they belong to")
    sub.add_argument("--dataset", metavar="NAME", help="the data set, for its classes and the size of its images")
    sub.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="change a setting, as for train; may be repeated"
    )
    sub.add_argument("--name", default="", help="what to call the new run")


def load(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.intake.load import load_file

    path = Path(options.file).expanduser()
    if not path.is_file():
        raise InputError(f"There is no file {options.file[:200]!r}.", code="file")
    loaded = load_file(workspace, path, path.name, _config(workspace, options, path), options.name, progress())
    config = loaded.run.config
    return {
        "run": loaded.run.id,
        "path": str(loaded.run.path),
        "kind": loaded.kind,
        "model": config.model.name,
        "dataset": config.data.dataset,
        "notes": loaded.notes,
    }


def _config(workspace: Workspace, options: argparse.Namespace, path: Path) -> "TrainConfig | None":
    """What the weights belong to, as far as the options say; None where they say nothing: a zip of ours says it itself.

    A network that the options leave open is the one that the file shows to be.
    """
    from core.config import TrainConfig
    from core.data.sets import suiting
    from core.intake.load import kind_of
    from core.intake.recognise import recognised_in
    from core.settings import changed, parse_assignment

    if not (options.recipe or options.config or options.model or options.dataset or options.set):
        return None
    config = config_of(workspace, options, is_to_start=False) or TrainConfig()
    changes: dict[str, object] = {}
    if options.dataset:
        changes = suiting(workspace, options.dataset)
    given = dict(parse_assignment(text) for text in options.set)
    if options.model:
        changes |= {"model.kind": "network", "model.name": options.model}
    elif not (options.recipe or options.config or any(setting.startswith("model.") for setting in given)):
        kind = kind_of(path)
        found = recognised_in(path, kind) if kind in ("torch", "safetensors") else None
        changes |= found.settings if found else {}
    return changed(config, {**changes, **given})


def show_load(result: Result) -> None:
    print(f"{result['run']}: {result['model']} on {result['dataset']}")
    for note in result["notes"]:
        print(f"  {note}")
    print(f"To evaluate it: python -m core evaluate {result['run']}")


def add_export_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("run", metavar="RUN")
    sub.add_argument("--to", metavar="FILE", required=True, help="the file to write")
    sub.add_argument(
        "--checkpoint", metavar="NAME", help="only this one: best, last or one such as epoch-0003 (default: the whole run)"
    )
    sub.add_argument(
        "--format",
        choices=FORMATS,
        help="html: a report of the whole run; script: the run as a program of plain PyTorch. bundle: a zip with all that it takes to "
        "predict without Trainscope, proved on images first; pt2, onnx: the network as one graph. The others of a checkpoint (default: by "
        "the file's ending)",
    )
    sub.add_argument("--overwrite", action="store_true", help="replace a file that is there already")


def export(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.export.bundle.make import write_bundle
    from core.export.bundles import checkpoint_zip, run_zip
    from core.export.formats import WRITERS
    from core.export.report import report
    from core.export.script import script_of
    from core.runs.checkpoints import find_checkpoint
    from core.runs.directory import find_run

    run = find_run(workspace, options.run)
    path, form = Path(options.to).expanduser(), _format(options)
    if path.exists() and not options.overwrite:
        raise InputError(
            f"{str(path)[:200]!r} is there already.", code="file", hint="Choose another name, or replace it with --overwrite."
        )
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(
            f"{str(path)[:200]!r} is not a file that can be written.",
            code="file",
            hint="Choose a file in a folder that is there.",
        )
    left_out: list[str] = []
    name = options.checkpoint or ("best" if form in OF_A_CHECKPOINT else None)
    checkpoint = find_checkpoint(run, name) if name else None
    proof = ""
    aside = path.with_name(f".tmp-{secrets.token_hex(8)}")
    try:
        with aside.open("xb") as file:
            if form == "html":
                file.write(report(workspace, run).encode())
            elif form == "script":
                file.write(script_of(workspace, run).encode())
            elif checkpoint is None:
                file.writelines(run_zip(run, left_out))
            elif form == "bundle":
                proof = str(write_bundle(workspace, run, checkpoint, file, progress()))
            elif form == "zip":
                file.writelines(checkpoint_zip(checkpoint))
            else:
                WRITERS[form](checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        replace_file(aside, path)
        flush_folder(path.parent)
    except OSError as error:
        raise InputError(
            f"{str(path)[:200]!r} can't be written ({error.strerror}).", code="file", hint="Nothing was changed."
        ) from None
    finally:
        remove_quietly(aside)
    return {
        "run": run.id,
        "checkpoint": checkpoint.name if checkpoint else None,
        "format": form,
        "path": str(path.resolve()),
        "num_bytes": path.stat().st_size,
        "left_out": left_out,
        "proof": proof,
    }


def _format(options: argparse.Namespace) -> str:
    """Raises InputError where a whole run is asked for as weights, or the ending says nothing."""
    suffix = Path(options.to).suffix.lower()
    if not options.checkpoint:
        if options.format in ("pt", "safetensors"):
            raise InputError(
                f"--format: found {options.format} for a whole run, which is a zip, or a report in HTML.",
                code="arguments",
                hint="Say which checkpoint, for example --checkpoint best.",
            )
        return options.format or {".html": "html", ".htm": "html", ".py": "script", ".pt2": "pt2", ".onnx": "onnx"}.get(
            suffix, "zip"
        )
    if options.format in ("html", "script"):
        raise InputError("--format: a report or a program is of a whole run.", code="arguments", hint="Leave --checkpoint out.")
    file_suffix = {".zip": "zip", ".pt": "pt", ".pth": "pt", ".safetensors": "safetensors", ".pt2": "pt2", ".onnx": "onnx"}.get(
        suffix
    )
    if found := options.format or file_suffix:
        return found
    raise InputError(
        f"--to: the ending of {options.to[:200]!r} does not say which format is wanted.",
        code="arguments",
        hint=f"Let it end in .zip, .pt, .safetensors, .pt2 or .onnx, or give --format ({', '.join(FORMATS[:-2])}).",
    )


def show_export(result: Result) -> None:
    what = f"{result['checkpoint']} of {result['run']}" if result["checkpoint"] else result["run"]
    print(f"{what}: {result['path']} ({size(result['num_bytes'])})")
    if result["proof"]:
        print(f"  {result['proof']}")
    for reason in result["left_out"]:
        print(f"  left out: {reason}")
