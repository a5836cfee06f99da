"""import and report: a folder or zip of pictures becomes a data set, and what there is to know about one."""

import argparse

from core.commands.output import Result, progress
from core.workspace import Workspace


def import_pictures(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.config import Preprocessing
    from core.data.imports import import_pictures as import_from
    from core.settings import config_from

    chosen = {"size_px": options.size, "fit": options.fit} if options.size is not None else {"fit": options.fit}
    preprocessing: Preprocessing = config_from({"preprocessing": chosen}).preprocessing
    entry = import_from(workspace, options.path, options.name, preprocessing.size_px, preprocessing.fit)
    return _report(workspace, entry.name)


def report(workspace: Workspace, options: argparse.Namespace) -> Result:
    return _report(workspace, options.dataset)


def _report(workspace: Workspace, dataset: str) -> Result:
    from core.data.edits import current_edits
    from core.data.report import report_on
    from core.data.sets import own_preprocessing, prepare_store

    store = prepare_store(workspace, dataset, own_preprocessing(workspace, dataset), progress())
    found = report_on(store, current_edits(workspace, dataset))
    return {"dataset": dataset, **found.as_dict(store), "warnings": [finding.message for finding in found.findings]}


def show_report(result: Result) -> None:
    from core.data.report import by_reason

    channels, height, width = result["shape"]
    print(
        f"{result['dataset']}: {height} × {width} pixels, {'colour' if channels == 3 else 'grey'}, {len(result['class_names'])} classes"
    )
    if result["layout"]:
        print(f"  {result['layout']}")
    for split, classes in result["splits"].items():
        print(f"  {split}: {sum(classes.values()):,} pictures")
    if result["edits"]:
        print(f"  edited: {result['edits']}")
    for warning in result["warnings"]:
        print(f"  warning: {warning}")
    for reason, count in by_reason(result["skipped"]).items():
        print(f"  {count:,} skipped: {reason}")
    for entry in result["skipped"][:20]:
        print(f"    {entry['file']!r}: {entry['reason']}")
    if len(result["skipped"]) > 20:
        print(f"    … and {len(result['skipped']) - 20:,} more; --json lists all of them")
