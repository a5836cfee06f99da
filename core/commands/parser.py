"""The commands with their options and help; each one's work is in the module beside that has its name."""

import argparse
import json
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from core.commands import evaluation, exchange, images, jobs, lists, results, tensorboard, training
from core.config import CATALOGUES, CHANGEABLE, SECTIONS, TAGS, VARIANTS
from core.errors import InputError
from core.files import disk_error
from core.name_encoding import ENCODINGS
from core.settings import all_settings
from core.workspace import open_workspace


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Exit status 0, or 2 for what a person caused, with the error on standard output as JSON if asked."""
    as_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    try:
        options = build_parser().parse_args(arguments)
        result = options.command(open_workspace(getattr(options, "home", None)), options)
    except InputError as error:
        return _refused(error, as_json)
    except BrokenPipeError:
        raise
    except OSError as error:
        return _refused(disk_error(error), as_json)
    except KeyboardInterrupt:  # while the images were still being prepared; a training saves and pauses
        print("stopped", file=sys.stderr)
        return 130
    if as_json:
        print(json.dumps(result, ensure_ascii=False, allow_nan=False))
    else:
        options.show(result)
    return 0


def _refused(error: InputError, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"error": {"code": error.code, "message": error.message, "hint": error.hint}}, ensure_ascii=False))
    else:
        print(f"error: {error}", file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    """Tells wrong arguments as everything else that a person can mend is told."""

    def error(self, message: str) -> None:
        raise InputError(
            f"{message[0].upper()}{message[1:]}.", code="arguments", hint=f"'{self.prog} --help' says what there is."
        )


def build_parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--home",
        metavar="FOLDER",
        default=argparse.SUPPRESS,
        help="the workspace (default: TRAINSCOPE_HOME, or ./workspace)",
    )
    shared.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="one JSON document on standard output, progress on standard error",
    )
    parser = _Parser(
        prog="python -m core",
        parents=[shared],
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Trainscope without a browser: train image classifiers, evaluate them and use them.",
        epilog=textwrap.dedent("""\
            a first training:
              python -m core train --recipe digits-quickstart
              python -m core evaluate last
              python -m core predict last digit.png

            your own images, one folder per class:
              python -m core import ~/pictures/flowers
              python -m core train --recipe cifar10-quick --set data.dataset=flowers --set epochs=20

            RUN is an id as `runs` lists them, or "last". Each command has a --help of its own."""),
    )
    commands: Any = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, command: Callable, show: Callable, summary: str, **extra: Any) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            parents=[shared],
            help=summary,
            description=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **extra,
        )
        sub.set_defaults(command=command, show=show)
        return sub

    def add_for_run(name: str, *arguments: Any) -> argparse.ArgumentParser:
        sub = add(name, *arguments)
        sub.add_argument("run", metavar="RUN")
        return sub

    add("datasets", lists.list_datasets, lists.show_datasets, "List the data sets: built-in ones and imported folders.")
    add("models", lists.list_models, lists.show_models, "List the networks.")
    add("recipes", lists.list_recipes, lists.show_recipes, "List the recipes: complete configurations to start from.")
    sub = add("runs", lists.list_all_runs, lists.show_runs, "List the runs, the newest first.")
    sub.add_argument(
        "--search",
        default="",
        metavar="TEXT",
        help="only those in which all of these words occur: name, tag, note, data, model, date or setting, such as lr=0.01",
    )
    sub.add_argument("--state", action="append", default=[], metavar="STATE", help="only those in this state; may be repeated")
    sub.add_argument("--sort", default="newest", metavar="ORDER", help="newest (default), oldest, accuracy, time or name")

    sub = add(
        "import",
        images.import_images,
        images.show_report,
        "Read a folder or a zip of images as a data set: class folders, also within train/ and test/ or val/; images with a "
        "text file each; or a CSV of file names and labels.",
    )
    sub.add_argument("path", metavar="PATH", help="the folder or zip; nothing in it is changed")
    sub.add_argument("--name", default="", help="the data set's name (default: the folder's)")
    sub.add_argument("--size", type=int, metavar="PX", help="side of the square that photographs are stored at")
    sub.add_argument("--fit", default="crop", choices=("crop", "pad", "stretch"), help="how they fill it (default: crop)")
    sub.add_argument(
        "--names",
        default="",
        metavar="ENCODING",
        help=f"how names in a zip are written: {', '.join(ENCODINGS)}, or automatic (default: found out)",
    )

    sub.add_argument(
        "--class",
        dest="classes",
        action="append",
        default=[],
        metavar="NAME",
        help="take this class, and of the others none that is not named so too; may be repeated. The others can be kept again",
    )

    sub = add("report", images.report, images.show_report, "What is to be known about a data set before training on it.")
    sub.add_argument("dataset", metavar="DATASET", help="its name, or the path of a folder")

    sub = add(
        "train",
        training.train,
        training.show_training,
        "Train a network to the end. Ctrl-C saves and pauses; resume goes on.",
        epilog=_settings_help(),
    )
    source = sub.add_mutually_exclusive_group()
    source.add_argument("--recipe", metavar="NAME", help="start from a recipe")
    source.add_argument("--config", metavar="FILE", help="start from a JSON file, such as a run's config.json")
    sub.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="change a setting (see below); may be repeated"
    )

    sub.add_argument(
        "--from",
        dest="from_run",
        metavar="RUN",
        help="begin with the weights of this run, and with its settings if neither of those is given",
    )
    sub.add_argument("--checkpoint", metavar="NAME", help="which of its checkpoints (default best)")

    sub = add_for_run(
        "resume",
        training.resume,
        training.show_training,
        "Go on with a run that was paused, stopped or interrupted, or train a finished one longer.",
    )
    sub.add_argument("--epochs", type=int, metavar="N", help="train to this epoch instead; more than it has, for a finished run")
    sub.add_argument("--checkpoint", default="last", metavar="NAME", help="go on from this one; what came after it is superseded")
    sub.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help=f"change one of {', '.join(CHANGEABLE)}")
    add_for_run(
        "stop",
        training.stop,
        training.show_stop,
        "Stop a run that is training, wherever it trains. Best and last checkpoint are kept.",
    )

    add_for_run(
        "pause",
        training.pause,
        training.show_stop,
        "Save and pause a run that is training, wherever it trains, until somebody resumes it.",
    )
    sub = add_for_run(
        "change", training.change, training.show_change, "Change settings of a run while it trains, from its next step on."
    )
    sub.add_argument(
        "--set", metavar="NAME=VALUE", action="append", required=True, help=f"one of {', '.join(CHANGEABLE)}; may be repeated"
    )

    sub = add("jobs", jobs.list_jobs, jobs.show_jobs, "List what takes long: trainings and other work that goes on or waits.")
    sub.add_argument("--all", action="store_true", help="also work that has ended lately")
    sub = add(
        "cancel", jobs.cancel, jobs.show_cancelled, "End a job, whichever process does it; a training is stopped and saved."
    )
    sub.add_argument("job", metavar="JOB", help="its id, as `jobs` lists it, or that of a run")

    sub = add(
        "load",
        exchange.load,
        exchange.show_load,
        "Make a run of a file: weights or a checkpoint from elsewhere, or an exported run.",
    )
    exchange.add_load_options(sub)
    sub = add("export", exchange.export, exchange.show_export, "Write a run, or one of its checkpoints, to a file for elsewhere.")
    exchange.add_export_options(sub)

    sub = add_for_run(
        "evaluate",
        evaluation.evaluate,
        evaluation.show_evaluation,
        "Evaluate a checkpoint on a split of its own set or of another one.",
    )
    sub.add_argument("--checkpoint", default="last", metavar="NAME", help="best, last (default) or one such as epoch-0003")
    sub.add_argument("--split", choices=("train", "validation", "test", "all"), help="default: the one the run was evaluated on")
    sub.add_argument(
        "--dataset", default="", metavar="NAME", help="another set, whose classes the network knows (default: the run's own)"
    )

    sub = add(
        "tensorboard",
        tensorboard.tensorboard,
        tensorboard.show_tensorboard,
        "Say where the runs' TensorBoard files are, and open TensorBoard over them; with --json only the former.",
    )
    sub.add_argument("runs", metavar="RUN", nargs="*", help="only these (default: all, and those that come meanwhile)")

    sub = add_for_run(
        "predict", results.predict, results.show_predictions, "Classify image files, or all images of folders and zips."
    )
    results.add_predict_options(sub)
    return parser


def _settings_help() -> str:
    lines = ["settings, for --set:"]
    section = None
    for item in all_settings():
        if item.section != section:
            section = item.section
            lines.append(f"\n  {SECTIONS[section]}")
            if section in TAGS:
                lines.append(f"    {TAGS[section]:32} one of {', '.join(VARIANTS[section])}")
                lines += [f"{'':37}{name}: {record.summary}" for name, record in CATALOGUES.get(section, {}).items()]
        if item.path == "recipe":
            continue
        default = (
            "" if item.default is None else f" [{str(item.default).lower() if isinstance(item.default, bool) else item.default}]"
        )
        words = f"{item.explanation}{' In ' + item.unit + '.' if item.unit and item.unit != '×' else ''} ({item.bounds or item.kind}){default}"
        lines += textwrap.wrap(words, 110, initial_indent=f"    {item.path:32} ", subsequent_indent=" " * 37)
    return "\n".join(lines)
