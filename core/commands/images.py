"""import and report: a folder or zip of images becomes a data set, and what there is to know about one."""

import argparse
from typing import TYPE_CHECKING

from core.commands.output import Result, progress
from core.workspace import Workspace

if TYPE_CHECKING:
    from core.data.store.image_store import ImageStore


def import_images(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.data.browse import keep_only_classes
    from core.data.sets import import_set
    from core.jobs.worker import told_as_a_job
    from core.serving.data_work import import_request
    from core.settings import config_from

    chosen = {"size_px": options.size} if options.size is not None else {}
    chosen = config_from({"preprocessing": {**chosen, "fit": options.fit}}).preprocessing
    size_px, fit, names = chosen.size_px, chosen.fit, options.names
    request = import_request(options.path, options.name, size_px, fit, names=names, classes=options.classes or ())
    with told_as_a_job(workspace, request, progress()) as tell:
        name, store = import_set(workspace, options.path, options.name, size_px, fit, tell, names=names)
        if options.classes:
            keep_only_classes(workspace, name, store, options.classes)
    return _report(workspace, name, store)


def report(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.data.catalogue import DATASETS
    from core.data.sets import find_store, own_preprocessing, prepare_store
    from core.jobs.worker import told_as_a_job
    from core.serving.data_work import store_request

    name, preprocessing = options.dataset, own_preprocessing(workspace, options.dataset)
    store = find_store(workspace, name, preprocessing)
    if store is None:
        request = store_request(name, DATASETS[name].title if name in DATASETS else name)
        with told_as_a_job(workspace, request, progress()) as tell:
            store = prepare_store(workspace, name, preprocessing, tell)
    return _report(workspace, options.dataset, store)


def _report(workspace: Workspace, dataset: str, store: "ImageStore") -> Result:
    from core.data.edits import current_edits
    from core.data.report import report_on

    found = report_on(store, current_edits(workspace, dataset))
    return {"dataset": dataset, **found.as_dict(store), "warnings": [finding.message for finding in found.findings]}


def show_report(result: Result) -> None:
    from core.data.report import by_reason

    channels, height, width = result["shape"]
    print(
        f"{result['dataset']}: {width} × {height} pixels, {'colour' if channels == 3 else 'grey'}, {len(result['class_names'])} classes"
    )
    if result["layout"]:
        print(f"  {result['layout']}")
    if result["storage"]:
        print(f"  {result['storage']}")
    for split, classes in result["splits"].items():
        print(f"  {split}: {sum(classes.values()):,} images")
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
