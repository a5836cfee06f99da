"""What a drawn split lacks: classes that nothing is learned of, or that nothing is known of afterwards. Delivered ones are in the report."""

from collections.abc import Iterable

import numpy as np

from core.data.report import classes_have
from core.data.splits import Division

MISSING = {
    "train": "Nothing of {it} is learned.",
    "validation": "How well {it} is recognised is not known.",
    "test": "How well {it} is recognised is not known.",
}


def lacking(division: Division, delivered: Iterable[str]) -> list[str]:
    """A sentence for each split of a drawn division in which a class of the set has no images; none where nothing is drawn.

    delivered: the names of the splits that are used as the set brings them.
    """
    num_classes, delivered = len(division.class_names), set(delivered)
    counts = {name: np.bincount(division.labels[part], minlength=num_classes) for name, part in division.splits.items()}
    total = sum(counts.values(), np.zeros(num_classes, np.int64))
    if delivered >= counts.keys():
        return []
    found = []
    for name, count in counts.items():
        empty = np.flatnonzero((count == 0) & (total > 0)).tolist()
        if empty and (name not in delivered or name == "train"):
            few = [k for k in empty if total[k] == 1]
            why = f" {'It has' if len(empty) == 1 else 'Each has'} one image in all." if len(few) == len(empty) else ""
            words = MISSING[name].format(it="it" if len(empty) == 1 else "them")
            found.append(
                f"{classes_have([division.class_names[k] for k in empty])} no images in the drawn {name} split.{why} {words}"
            )
    return found
