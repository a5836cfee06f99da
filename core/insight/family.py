"""The family of a run: the runs its weights came from, and those that began with its own, with what was changed on the way."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.errors import InputError
from core.insight.setting_differences import NONE, Difference, differences, setup_of
from core.runs.index import ListedRun, entries
from core.workspace import Workspace

MOST = 100
MOST_NAMED = 2  # changes; of more, only these are named
LONGEST = 40  # characters of a value


@dataclass(frozen=True, kw_only=True)
class Member:
    """One run of a family. entry: None where it is gone. depth: 0 for those whose parent is not shown. change: against its parent."""

    id: str
    entry: ListedRun | None
    depth: int
    change: str


@dataclass(frozen=True)
class Family:
    """members: each parent before its children, the older child first. num_left_out: relatives further away than those shown."""

    members: list[Member]
    num_left_out: int = 0


def family_of(workspace: Workspace, run_ids: Iterable[str], most: int = MOST) -> Family:
    """All relatives of these runs, the nearest where there are more than most. Runs without parent and child have no family.

    Only configurations of the members are read.
    """
    by_id = {entry.run.id: entry for entry in entries(workspace)}
    parents = {id: entry.parent for id, entry in by_id.items() if entry.parent and entry.parent != id}
    ids, num_left_out = relatives(parents, run_ids, most)
    members = [
        Member(id=id, entry=by_id.get(id), depth=depth, change=_change(workspace, by_id, id, parents[id]) if depth else "")
        for id, depth in as_tree(parents, ids)
    ]
    return Family(members, num_left_out)


def relatives(parents: Mapping[str, str], run_ids: Iterable[str], most: int = MOST) -> tuple[set[str], int]:
    """(the nearest of all that are connected with these, how many more there are). parents: id of the parent by that of the child."""
    children = defaultdict(list)
    for child, parent in parents.items():
        children[parent].append(child)
    found: dict[str, None] = {}
    waiting = [(0, id) for id in run_ids if id in parents or id in children]
    seen = {id for _, id in waiting}
    while waiting:
        distance, id = heapq.heappop(waiting)
        found[id] = None
        for other in [parents.get(id), *children[id]]:
            if other is not None and other not in seen:
                seen.add(other)
                heapq.heappush(waiting, (distance + 1, other))
    return set(list(found)[:most]), max(0, len(found) - most)


def as_tree(parents: Mapping[str, str], ids: set[str]) -> list[tuple[str, int]]:
    """(id, depth) of each of the ids once, each parent before its children. A circle, which no run of ours makes, begins with its oldest."""
    children = defaultdict(list)
    for id in sorted(ids, reverse=True):
        if parents.get(id) in ids:
            children[parents[id]].append(id)
    rows: list[tuple[str, int]] = []
    done: set[str] = set()
    roots = sorted(id for id in ids if parents.get(id) not in ids)
    for root in [*roots, *sorted(ids)]:  # those of a circle are reached from no root
        waiting = [(root, 0)]
        while waiting:
            id, depth = waiting.pop()
            if id in done:
                continue
            done.add(id)
            rows.append((id, depth))
            waiting.extend((child, depth + 1) for child in children[id])
    return rows


def _change(workspace: Workspace, by_id: Mapping[str, ListedRun], id: str, parent: str) -> str:
    """What a run changed against its parent: "from epoch-0003: Learning rate 0.1 → 0.01"."""
    try:
        child = setup_of(workspace, by_id[id].run)
        begun = f"from {child.given.origin.checkpoint}" if child.given.origin else ""
        if parent not in by_id:
            return begun
        rows = differences([setup_of(workspace, by_id[parent].run), child])
    except (InputError, OSError):
        return "its settings can't be read"
    return f"{begun}: {change_in_words(rows)}"


def change_in_words(rows: Sequence[Difference]) -> str:
    """The differences of a child against its parent, shortened: another set comes first, for it brings others with it."""
    rows = sorted((row for row in rows if row.path != "origin"), key=lambda row: row.path != "data.dataset")
    if not rows:
        return "the same settings"
    named = ", ".join(_named(row) for row in rows[:MOST_NAMED])
    more = len(rows) - MOST_NAMED
    return named if more <= 0 else f"{len(rows)} changes: {named} and {more} more"


def _named(row: Difference) -> str:
    before, after = (value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…" for value in row.values)
    return f"{row.title} {after}" if before == NONE else f"{row.title} {before} → {after}"
