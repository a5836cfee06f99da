"""Settings in which runs differ: every setting there is can be told, what comes to the same is none, and words are those of the forms."""

import pytest

from core.config import TAGS, VARIANTS, TrainConfig
from core.insight.setting_differences import WITHOUT_EFFECT, Setup, differ_by_seed_alone, differences, setup_of
from core.running.branch import begun_from, config_to_branch
from core.running.plan import plan_run
from core.running.session import run_session
from core.runs.directory import create_run
from core.runs.history import history_of
from core.serving.new_run import new_run
from core.settings import changed, get, sections
from core.workspace import Workspace
from tests.core.serving.test_launcher import tiny


def setups(*changes: dict) -> list[Setup]:
    return [Setup(config, config) for config in (changed(TrainConfig(), change) for change in changes)]


def rows(*changes: dict) -> dict[str, tuple[str, ...]]:
    return {row.title: row.values for row in differences(setups(*changes))}


OTHER = {
    "data.edits": "0123456789abcdef",
    "preprocessing.mean": [0.5],
    "preprocessing.std": [0.5],
    "data.dataset": "mnist",
    "model.frozen": True,
    "optimizer.nesterov": True,
    "model.rows": [{"layer": "flatten"}, {"layer": "relu"}, {"layer": "linear"}],
}
NEEDED = {
    "preprocessing.short_side_px": {"preprocessing.size_px": 4},
    "model.frozen": {"model.weights": "pretrained"},
    "model.unfreeze_epoch": {"model.weights": "pretrained", "model.frozen": True},
    "model.backbone_lr_factor": {"model.weights": "pretrained"},
    "optimizer.nesterov": {"optimizer.momentum": 0.5},
}


def other_value(item, value):
    """A value that is allowed and is not this one."""
    if item.path in OTHER:
        return OTHER[item.path]
    if item.kind == "bool":
        return not value
    if item.kind == "choice":
        return next(choice for choice in item.choices if choice != value)
    if item.kind == "text":
        return "another"
    for new in (1, 2, 4, 8, 0.5, 0.25, 0.05):
        fits = (item.lower is None or new > item.lower) and (item.upper is None or new < item.upper)
        if fits and new != value and (item.kind == "float" or isinstance(new, int)):
            return new
    raise AssertionError(item.path)


EVERY = [
    (variant, item.path)
    for variant in [{}, *({TAGS[section]: name} for section, of in VARIANTS.items() for name in of)]
    for _, _, items in sections(changed(TrainConfig(), variant))
    for item in items
    if item.path != "recipe" and (not variant or item.section == next(iter(variant)).partition(".")[0])
]


@pytest.mark.parametrize(
    ("variant", "path"), EVERY, ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else value
)
def test_every_setting_that_is_changed_alone_is_the_one_difference(variant, path):
    before = changed(TrainConfig(), {**variant, **NEEDED.get(path, {})})
    if variant.get("schedule.name") == "one-cycle" and path == "schedule.warmup_epochs":
        pytest.skip("it has its own climb")
    item = next(item for _, _, items in sections(before) for item in items if item.path == path)
    after = changed(before, {path: other_value(item, get(before, path))})
    [row] = differences([Setup(before, before), Setup(after, after), Setup(before, before)])
    assert row.path == path
    assert row.values[0] == row.values[2] != row.values[1]
    assert item.title in row.title


def test_same_settings_have_no_differences_whatever_the_recipe_is_called():
    assert rows({}, {"recipe": "mnist-best"}, {}) == {}


def test_values_are_said_as_in_the_forms():
    found = rows(
        {}, {"preprocessing.size_px": 28, "augmentation.flip": True, "optimizer.lr": 0.1, "preprocessing.mean": [0.5, 0.25, 1]}
    )
    assert found == {
        "Preprocessing: Image size": ("automatic", "28 px"),
        "Preprocessing: Mean": ("measured", "0.5, 0.25, 1"),
        "Augmentation: Horizontal flip": ("no", "yes"),
        "Learning rate": ("0.01", "0.1"),
    }


def test_setting_of_another_optimizer_is_a_dash():
    found = rows({}, {"optimizer.name": "adam"})
    assert found["Optimizer"] == ("sgd", "adam")
    assert found["Optimizer: Beta 1"] == ("–", "0.9")
    assert found["Momentum"] == ("0", "–")


def test_seed_alone_is_told_from_other_differences():
    assert differ_by_seed_alone(setups({"seed": 1}, {"seed": 2, "threads": 3, "log_every": 1}))
    assert not differ_by_seed_alone(setups({"seed": 1}, {"seed": 2, "epochs": 9}))
    assert not differ_by_seed_alone(setups({}, {"threads": 3}))
    assert {item.path for _, _, items in sections(TrainConfig()) for item in items} >= WITHOUT_EFFECT


def test_branch_differs_from_its_parent_in_what_was_changed_not_in_what_was_measured(workspace: Workspace):
    parent = create_run(workspace, tiny())
    run_session(workspace, parent)
    child = new_run(workspace, plan_run(workspace, begun_from(changed(config_to_branch(parent), {"optimizer.lr": 0.5}), parent)))
    run_session(workspace, child)
    assert parent.config.preprocessing.mean is None and child.config.preprocessing.mean is not None
    found = differences([setup_of(workspace, run, history_of(run)) for run in (parent, child)])
    assert [row.path for row in found] == ["origin", "optimizer.lr"]
    assert found[0].values == ("fresh weights", f"epoch-0001 of {parent.id}")
    assert [setup_of(workspace, run) for run in (parent, child)] == [
        setup_of(workspace, run, history_of(run)) for run in (parent, child)
    ]


def test_settings_count_as_they_ended(workspace: Workspace):
    run = create_run(workspace, tiny())
    run_session(workspace, run)
    from core.runs.event_log import append_event
    from core.training.events import Changed

    append_event(
        run.events,
        Changed(
            number=1,
            step=23,
            epoch=1,
            examples=1438,
            seconds=0.1,
            after_evaluation=True,
            setting="optimizer.lr",
            before=0.01,
            after=0.002,
        ),
    )
    assert setup_of(workspace, run).given.optimizer.lr == setup_of(workspace, run, history_of(run)).given.optimizer.lr == 0.002


def test_edits_are_told_apart_in_words_not_by_their_checksum():
    edited = changed(TrainConfig(), {"data.edits": "9c6d9c6d9c6d9c6d"})
    rows = differences([Setup(edited, edited, "1 relabelled"), Setup(TrainConfig(), TrainConfig())])
    assert [row.values for row in rows if row.path == "data.edits"] == [("1 relabelled", "as delivered")]
