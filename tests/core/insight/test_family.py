"""Families of runs: found as a second method finds them, drawn once each, whatever circles an archive may hold."""

import json
import time

import networkx
import numpy as np
import pytest

from core.insight.family import MOST, as_tree, change_in_words, family_of, relatives
from core.insight.setting_differences import Difference
from core.running.branch import begun_from, config_to_branch
from core.running.plan import plan_run
from core.running.session import run_session
from core.runs.directory import Run, create_run, delete_run
from core.runs.index import _listed
from core.serving.new_run import new_run
from core.settings import changed
from core.workspace import Workspace
from tests.core.serving.test_launcher import tiny


def drawn(seed: int, count: int = 60) -> dict[str, str]:
    """Parents at random: some runs have none, some are gone, some go in circles."""
    rng = np.random.default_rng(seed)
    parents = {f"r{k:03d}": f"r{rng.integers(0, count + 5):03d}" for k in range(count) if rng.random() < 0.6}
    return {child: parent for child, parent in parents.items() if child != parent}


@pytest.mark.parametrize("seed", range(20))
def test_family_is_the_connected_component_and_its_tree_has_each_member_once(seed):
    parents = drawn(seed)
    graph = networkx.Graph(parents.items())
    chosen = ["r000", "r007"]
    expected = set().union(*(networkx.node_connected_component(graph, id) for id in chosen if id in graph))
    found, left_out = relatives(parents, chosen)
    assert (found, left_out) == (expected, 0)
    rows = as_tree(parents, found)
    assert sorted(id for id, _ in rows) == sorted(expected)
    place = {id: n for n, (id, _) in enumerate(rows)}
    for id, depth in rows:
        if depth:
            assert place[parents[id]] < place[id]
            assert dict(rows)[parents[id]] == depth - 1


@pytest.mark.parametrize("seed", range(10))
def test_of_too_many_relatives_the_nearest_are_kept(seed):
    parents = drawn(seed, 200)
    graph = networkx.Graph(parents.items())
    chosen = next(iter(parents))
    distances = networkx.single_source_shortest_path_length(graph, chosen)
    found, left_out = relatives(parents, [chosen], most=5)
    assert len(found) + left_out == len(distances)
    assert sorted(distances[id] for id in found) == sorted(distances.values())[:5]


def test_ten_thousand_generations_and_a_circle_are_walked_through_in_a_moment():
    parents = {f"r{k:05d}": f"r{k + 1:05d}" for k in range(10_000)} | {"r10000": "r00000"}
    began = time.perf_counter()
    found, left_out = relatives(parents, ["r00000"], most=20_000)
    assert len(as_tree(parents, found)) == 10_001 and left_out == 0
    assert time.perf_counter() - began < 2
    assert relatives(parents, ["r00000"])[1] == 10_001 - MOST


def forged(workspace: Workspace, name: str, parent: str) -> Run:
    """A run of an archive from outside, which may say anything of its parent."""
    run = Run(workspace.runs / f"20260101-0000{name}-forged-abcd")
    run.path.mkdir()
    origin = {"kind": "run", "name": parent, "checkpoint": "epoch-0001", "sha256": "0" * 64, "note": ""}
    (run.path / "config.json").write_text(json.dumps(tiny().model_dump(mode="json") | {"origin": origin}))
    return run


def test_circles_and_parents_of_themselves_are_shown_once(workspace: Workspace):
    ids = [f"20260101-0000{n}-forged-abcd" for n in ("01", "02", "03")]
    for name, parent in (("01", ids[2]), ("02", ids[0]), ("03", ids[1])):
        forged(workspace, name, parent)
    forged(workspace, "09", "20260101-000009-forged-abcd")
    found = family_of(workspace, [ids[1]])
    assert [(member.id, member.depth) for member in found.members] == [(ids[0], 0), (ids[1], 1), (ids[2], 2)]
    assert family_of(workspace, ["20260101-000009-forged-abcd"]).members == []


def test_damaged_configuration_of_a_relative_is_said(workspace: Workspace):
    parent = create_run(workspace, tiny())
    forged(workspace, "01", parent.id)
    text = (parent.path / "config.json").read_text()
    (parent.path / "config.json").write_text(text.replace('"lr": 0.01', '"lr": -5'))
    found = family_of(workspace, [parent.id])
    assert [member.change for member in found.members] == ["", "its settings can't be read"]


def test_family_of_real_runs_says_the_one_change_on_each_edge(workspace: Workspace):
    root = create_run(workspace, tiny())
    run_session(workspace, root)
    slower = new_run(workspace, plan_run(workspace, begun_from(changed(config_to_branch(root), {"optimizer.lr": 0.001}), root)))
    run_session(workspace, slower)
    longer = new_run(workspace, plan_run(workspace, begun_from(changed(config_to_branch(slower), {"epochs": 4}), slower, "last")))
    again = new_run(workspace, plan_run(workspace, begun_from(config_to_branch(root), root)))
    create_run(workspace, tiny())  # no relative
    for asked in (root, longer):
        members = family_of(workspace, [asked.id]).members
        assert {(m.id, m.depth, m.change) for m in members} == {
            (root.id, 0, ""),
            (slower.id, 1, "from epoch-0001: Learning rate 0.01 → 0.001"),
            (longer.id, 2, "from epoch-0001: Epochs 1 → 4"),
            (again.id, 1, "from epoch-0001: the same settings"),
        }
    delete_run(slower)
    _listed.clear()  # within its second the index would not look again but for runs that came or went
    members = family_of(workspace, [longer.id]).members
    assert [(m.id, m.entry is None, m.depth, m.change) for m in members] == [
        (slower.id, True, 0, ""),
        (longer.id, False, 1, "from epoch-0001"),
    ]


def test_many_changes_are_shortened_and_another_set_comes_first():
    rows = [
        Difference(path, title, ("1", "2"))
        for path, title in (("origin", "Begins with"), ("epochs", "Epochs"), ("seed", "Seed"), ("data.dataset", "Data set"))
    ]
    assert change_in_words(rows) == "3 changes: Data set 1 → 2, Epochs 1 → 2 and 1 more"
    assert change_in_words([Difference("optimizer.beta1", "Beta 1", ("–", "0.9"))]) == "Beta 1 0.9"
