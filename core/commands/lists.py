"""datasets, models, recipes, runs."""

import argparse
from collections.abc import Sequence
from typing import Any, get_args

from core.commands.output import Result, say
from core.errors import InputError
from core.wording import duration, percent
from core.workspace import Workspace


def list_datasets(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.config import Preprocessing
    from core.data.catalogue import DATASETS
    from core.data.imports import imported_sets
    from core.data.sets import find_store

    rows = [
        {
            "name": r.name,
            "kind": "built-in",
            "title": r.title,
            "summary": r.summary,
            "shape": list(r.shape),
            "num_classes": r.num_classes,
            "num_train": r.num_train,
            "num_test": r.num_test,
            "download_mb": r.download_mb,
            "is_ready": find_store(workspace, r.name, Preprocessing()) is not None,
        }
        for r in DATASETS.values()
    ]
    rows += [{"name": name, "kind": "folder", "path": entry.path} for name, entry in imported_sets(workspace).items()]
    return {"datasets": [{**row, "edits": _edits_of(workspace, row["name"])} for row in rows]}


def _edits_of(workspace: Workspace, dataset: str) -> dict[str, Any]:
    from core.data.edits import current_edits

    edits = current_edits(workspace, dataset)
    return {
        "summary": edits.summary,
        "relabelled": len(edits.relabelled),
        "left_out": len(edits.excluded),
        "flagged": len(edits.flagged),
        "renamed": [{"from": before, "to": now} for before, now in sorted(edits.renamed.items())],
        "dropped": sorted(edits.dropped),
    }


def show_datasets(result: Result) -> None:
    for row in result["datasets"]:
        edited = f"; edited: {row['edits']['summary']}" if row["edits"]["summary"] else ""
        if row["kind"] == "folder":
            print(f"{row['name']:16} a folder: {row['path']}{edited}")
        else:
            there = "here" if row["is_ready"] or not row["download_mb"] else f"{row['download_mb']} MB to download"
            print(f"{row['name']:16} {row['summary']} ({there}{edited})")


def list_models(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.models.catalogue import MODELS

    return {"models": [{"name": r.name, "title": r.title, "summary": r.summary} for r in MODELS.values()]}


def show_models(result: Result) -> None:
    for row in result["models"]:
        print(f"{row['name']:22} {row['summary']}")


def list_recipes(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.recipes import RECIPES

    rows = [
        {
            "name": r.name,
            "title": r.title,
            "summary": r.summary,
            "published": r.published.words if r.published else "",
            "config": r.config.model_dump(mode="json"),
        }
        for r in RECIPES.values()
    ]
    return {"recipes": rows}


def show_recipes(result: Result) -> None:
    for row in result["recipes"]:
        published = f" Published: {row['published']}." if row["published"] else ""
        print(f"{row['name']:22} {row['summary']}{published}")


def list_all_runs(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.runs.index import DAMAGED, SORTS, entries, select
    from core.runs.status import State

    _check("--sort", [options.sort], list(SORTS))
    _check("--state", options.state, get_args(State))
    listed = entries(workspace)
    rows = []
    for entry in select(listed, options.search, options.state, options.sort):
        if entry.dataset == DAMAGED["dataset"]:
            say(f"{entry.run.id} is left out: its configuration can't be read.")
            continue
        rows.append(
            {
                "run": entry.run.id,
                "name": entry.title,
                "tags": list(entry.tags),
                "status": entry.state,
                "message": entry.message,
                "recipe": entry.recipe,
                "dataset": entry.dataset,
                "model": entry.model,
                "epoch": entry.epoch,
                "epochs": entry.epochs,
                "accuracy": entry.accuracy,
                "seconds": entry.seconds,
            }
        )
    return {"runs": rows, "total": len(listed)}


def _check(option: str, found: Sequence[str], expected: Sequence[str]) -> None:
    for name in found:
        if name not in expected:
            raise InputError(f"{option}: found {name[:100]!r}, expected one of {', '.join(expected)}.", code="arguments")


def show_runs(result: Result) -> None:
    if result["total"] and not result["runs"]:
        print("No run has all of that. Fewer words or states find more.")
    elif not result["runs"]:
        print("There are no runs yet. A first one: python -m core train --recipe digits-quickstart")
    for row in result["runs"]:
        print(
            f"{row['run']:48} {row['status']:12} {row['epoch']:>3}/{row['epochs']:<4} {percent(row['accuracy']):>8} "
            f"{duration(row['seconds']):>12}  {row['model']} on {row['dataset']}"
        )
