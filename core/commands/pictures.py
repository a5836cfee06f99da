"""import: a folder of pictures becomes a data set."""

import argparse

from core.commands.output import Result, progress
from core.workspace import Workspace


def import_pictures(workspace: Workspace, options: argparse.Namespace) -> Result:
    import numpy as np

    from core.config import Preprocessing
    from core.data.catalogue import import_folder, prepare_store
    from core.settings import config_from

    preprocessing = Preprocessing()
    if options.size is not None:
        preprocessing = config_from({"preprocessing": {"size_px": options.size}}).preprocessing
    name = import_folder(workspace, options.path, options.name)
    store = prepare_store(workspace, name, preprocessing, progress())
    counts = {
        split: dict(
            zip(
                store.meta.class_names,
                np.bincount(store.labels[first:end], minlength=store.num_classes).tolist(),
                strict=True,
            )
        )
        for split, (first, end) in store.meta.splits.items()
    }
    empty = [f"'{c}' has no pictures in {split}." for split, classes in counts.items() for c, n in classes.items() if n == 0]
    return {
        "dataset": name, "path": store.meta.origin, "shape": list(store.meta.shape), "class_names": store.meta.class_names,
        "splits": counts, "skipped": store.meta.skipped, "warnings": empty,
    }  # fmt: skip


def show_import(result: Result) -> None:
    channels, height, width = result["shape"]
    print(
        f"{result['dataset']}: {height} × {width} pixels, {'colour' if channels == 3 else 'grey'}, {len(result['class_names'])} classes"
    )
    for split, classes in result["splits"].items():
        print(f"  {split}: {sum(classes.values()):,} pictures")
    for warning in result["warnings"]:
        print(f"  warning: {warning}")
    for skipped in result["skipped"][:20]:
        print(f"  skipped {skipped['file']!r}: {skipped['reason']}")
    if len(result["skipped"]) > 20:
        print(f"  … and {len(result['skipped']) - 20:,} more files")
