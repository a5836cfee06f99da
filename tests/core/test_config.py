"""The configuration: JSON there and back, bounds that hold everywhere, words for every setting."""

import json
import math
import re

import pytest
from pydantic import ValidationError

from core.config import SECTIONS, TAGS, VARIANTS, CatalogueNetwork, TrainConfig
from core.errors import InputError
from core.models.network_spec import NetworkSpec
from core.recipes import RECIPES
from core.settings import Setting, all_settings, changed, config_from, config_from_json, get, parse_assignment, sections

SETTINGS = {item.path: item for item in all_settings()}
VARIANT_NAMES = [(section, name) for section, variants in VARIANTS.items() for name in variants]


def bounded(kind: str) -> list[Setting]:
    return [item for item in SETTINGS.values() if item.kind == kind]


def config_with(path: str) -> TrainConfig:
    """A configuration that has this setting: with the variant chosen that it belongs to."""
    if path == "model.unfreeze_epoch":
        return changed(TrainConfig(), {"model.weights": "pretrained", "model.frozen": True})
    if path == "model.backbone_lr_factor":
        return changed(TrainConfig(), {"model.weights": "pretrained"})
    section, _, name = path.rpartition(".")
    if section in VARIANTS:
        variant = next(v for v, kind in VARIANTS[section].items() if name in kind.model_fields)
        return changed(TrainConfig(), {TAGS[section]: variant})
    if path == "preprocessing.short_side_px":  # a square is cut out of it
        return changed(TrainConfig(), {"preprocessing.size_px": 4})
    return TrainConfig()


def refusal_of(path: str, value: object) -> str:
    with pytest.raises(InputError) as refusal:
        changed(config_with(path), {path: value})
    assert refusal.value.code == "config"
    return str(refusal.value)


# --- there and back


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_goes_through_json_without_loss(name):
    config = RECIPES[name].config
    assert config_from_json(config.model_dump_json()) == config
    assert config_from(json.loads(json.dumps(config.model_dump(mode="json"), allow_nan=False))) == config


@pytest.mark.parametrize(("section", "name"), VARIANT_NAMES)
def test_every_variant_goes_through_json_without_loss(section, name):
    """With a value in every field that is not the default and is hard to write in decimals."""
    config = changed(TrainConfig(), {TAGS[section]: name})
    if name == "network":
        config = changed(config, {"model.weights": "pretrained"})
    for item in next(items for key, _, items in sections(config) if key == section):
        if item.kind == "float" and item.path != "schedule.warmup_epochs":
            low, high = item.lower, min(item.upper, 1)
            config = changed(config, {item.path: low + (high - low) / 3})
    again = config_from_json(config.model_dump_json())
    assert again == config
    assert type(getattr(again, section)) is VARIANTS[section][name]


def test_configuration_of_before_there_were_kinds_of_networks_is_read():
    """As version 0.1 wrote it into config.json, and the same section into network.json."""
    model = '{"name":"resnet18","width":1.0,"weights":"pretrained","frozen":true}'
    config = config_from_json(f'{{"recipe":"ants-bees","model":{model},"epochs":7}}')
    assert config.model == CatalogueNetwork(name="resnet18", weights="pretrained", frozen=True)
    network = NetworkSpec.model_validate_json(
        f'{{"model":{model},"shape":[3,64,64],"class_names":["ants","bees"],"preprocessing":{{"size_px":64}}}}'
    )
    assert network.model == config.model


def test_configuration_of_before_losses_and_clipping_could_be_chosen_means_what_it_meant():
    config = config_from_json('{"loss":{"label_smoothing":0.1,"class_weights":"none"},"optimizer":{"name":"sgd","lr":0.1}}')
    assert (config.loss.name, config.optimizer.clip_norm, config.data.sampling) == ("cross-entropy", 0.0, "shuffled")
    network = config_from_json('{"model":{"name":"resnet18","weights":"pretrained","frozen":true}}').model
    assert (network.head, network.unfreeze_epoch, network.backbone_lr_factor) == ("replaced", None, 1.0)


def test_configuration_of_before_images_kept_their_side_is_divided_as_it_was():
    """Old files say nothing of the rule; what is made anew, or changed from something new, has the new one."""
    assert TrainConfig().data.split_rule == config_from({"epochs": 3}).data.split_rule == "by key"
    assert changed(TrainConfig(), {"epochs": 3, "data.split_seed": 7}).data.split_rule == "by key"
    old = TrainConfig().model_dump(mode="json")
    del old["data"]["split_rule"]
    read = config_from_json(json.dumps(old))
    assert read.data.split_rule == "drawn"
    assert changed(read, {"epochs": 3}).data.split_rule == config_from_json(read.model_dump_json()).data.split_rule == "drawn"


def test_numbers_survive_json_to_the_last_bit():
    for value in (0.1, 1 / 3, 5e-324 + 1e-300, math.nextafter(100, 0)):
        assert config_from_json(changed(TrainConfig(), {"optimizer.lr": value}).model_dump_json()).optimizer.lr == value


def test_json_of_every_field_is_complete():
    """Defaults are written out too, so that a changed default never changes an old run."""
    values = TrainConfig().model_dump(mode="json")
    for path in SETTINGS:
        section, _, name = path.rpartition(".")
        if section not in VARIANTS:
            assert name in (values[section] if section else values), path


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"x"', "{'a': 1}", "[" * 100_000])
def test_text_that_is_no_json_object_is_refused(text):
    with pytest.raises(InputError, match="The configuration"):
        config_from_json(text)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_json_with_numbers_that_are_not_finite_is_refused(word):
    with pytest.raises(InputError, match=r"optimizer\.lr: found (nan|-?inf), expected a finite number"):
        config_from_json(f'{{"optimizer": {{"name": "sgd", "lr": {word}}}}}')


def test_configuration_is_frozen():
    with pytest.raises(ValidationError):
        TrainConfig().epochs = 5


# --- bounds


def out_of_range(item: Setting) -> list[float]:
    """A value beyond each bound, and each bound itself where it is excluded."""
    values = []
    step = 1 if item.kind == "int" else 1e-6
    for bound, sign in ((item.lower, -1), (item.upper, 1)):
        if bound is not None:
            values += [bound + sign * step, sign * 1e30 if item.kind == "float" else sign * 10**30]
    if "above" in item.bounds:
        values.append(item.lower)
    if "below" in item.bounds:
        values.append(item.upper)
    return values


@pytest.mark.parametrize("path", [item.path for item in SETTINGS.values() if item.kind in ("int", "float")])
def test_number_has_bounds_on_both_sides_and_beyond_them_is_refused_by_name_value_and_range(path):
    item = SETTINGS[path]
    assert item.lower is not None
    assert item.upper is not None
    for value in out_of_range(item):
        message = refusal_of(path, value)
        assert message.startswith(f"{path}: found {value!r}"[:60])
        assert message.endswith(f"{item.bounds}.")


@pytest.mark.parametrize("path", [item.path for item in SETTINGS.values() if item.kind in ("int", "float")])
def test_bounds_that_are_named_as_included_are_accepted(path):
    item = SETTINGS[path]
    for word, value in (("at least", item.lower), ("at most", item.upper)):
        if word in item.bounds and path != "schedule.warmup_epochs":
            assert get(changed(config_with(path), {path: value}), path) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("path", [item.path for item in SETTINGS.values() if item.kind in ("int", "float", "floats")])
def test_nan_and_infinity_are_refused_everywhere(path, value):
    item = SETTINGS[path]
    message = refusal_of(path, [value] if item.kind == "floats" else value)
    assert message.startswith(path)
    assert repr(value) in message


@pytest.mark.parametrize("path", [item.path for item in bounded("choice")])
def test_choice_that_is_not_there_is_refused_with_those_that_are(path):
    message = refusal_of(path, "sideways")
    assert message.startswith(f"{path}: found 'sideways', expected one of")
    assert all(choice in message for choice in SETTINGS[path].choices)


@pytest.mark.parametrize("path", SETTINGS)
def test_value_of_another_kind_is_refused(path):
    wrong = {"text": 3, "bool": "perhaps"}.get(SETTINGS[path].kind, {"a": 1})
    assert refusal_of(path, wrong).startswith(path)


@pytest.mark.parametrize("value", [2.5, "3", True])
def test_number_of_epochs_is_a_whole_number(value):
    """Text and truth values that happen to look like one may be taken or refused, never misread."""
    try:
        epochs = changed(TrainConfig(), {"epochs": value}).epochs
    except InputError as error:
        assert str(error).startswith("epochs: found")
    else:
        assert epochs == int(value)


def test_default_of_every_setting_lies_within_its_own_bounds():
    for path, item in SETTINGS.items():
        value = get(config_with(path), path)
        if value is None:
            assert item.optional
        elif item.kind in ("int", "float"):
            assert item.lower is None or value >= item.lower, path
            assert item.upper is None or value <= item.upper, path
        elif item.kind == "choice":
            assert value in item.choices, path


def test_nesterov_without_momentum_is_refused_with_the_way_out():
    message = refusal_of("optimizer.nesterov", True)
    assert "momentum" in message
    assert "0.9" in message
    assert changed(TrainConfig(), {"optimizer.nesterov": True, "optimizer.momentum": 0.9}).optimizer.nesterov


def test_warm_up_of_one_cycle_is_refused_because_it_climbs_by_itself():
    with pytest.raises(InputError, match="one-cycle has its own climb"):
        changed(TrainConfig(), {"schedule.name": "one-cycle", "schedule.warmup_epochs": 1})


def test_all_problems_are_told_at_once():
    with pytest.raises(InputError) as refusal:
        config_from({"epochs": -1, "batch_size": 0, "seed": -1})
    assert all(f"{name}: found" in str(refusal.value) for name in ("epochs", "batch_size", "seed"))


# --- names


@pytest.mark.parametrize("path", ["optimizer.speed", "speed", "optimizer.lr.deep", "epochs.x", "", ".", "optimizer.", "a.b.c"])
def test_unknown_setting_is_refused_by_name(path):
    with pytest.raises(InputError, match=re.escape(f"There is no setting '{path}'.")):
        changed(TrainConfig(), {path: 1})


def test_misspelt_setting_is_answered_with_the_one_that_was_meant():
    with pytest.raises(InputError, match=r"Did you mean .*optimizer\.momentum"):
        changed(TrainConfig(), {"optimizer.momentun": 0.5})


def test_setting_of_another_optimizer_is_refused():
    with pytest.raises(InputError, match=r"optimizer\.beta1"):
        changed(TrainConfig(), {"optimizer.beta1": 0.9})


@pytest.mark.parametrize("values", [{"speed": 1}, {"data": {"speed": 1}}, {"optimizer": {"name": "sgd", "speed": 1}}])
def test_unknown_field_in_a_file_is_refused(values):
    with pytest.raises(InputError, match=r"There is no setting '.*speed'"):
        config_from(values)


def test_unknown_optimizer_is_refused_with_those_there_are():
    with pytest.raises(InputError, match=r"optimizer\.name: found 'adagrad', expected one of sgd, adam, adamw, rmsprop"):
        changed(TrainConfig(), {"optimizer.name": "adagrad"})


def test_another_optimizer_starts_from_its_own_defaults():
    config = changed(TrainConfig(), {"optimizer.lr": 5, "optimizer.momentum": 0.5})
    adam = changed(config, {"optimizer.name": "adam"})
    assert adam.optimizer == VARIANTS["optimizer"]["adam"]()


def test_settings_of_a_new_optimizer_may_come_before_its_name():
    config = changed(TrainConfig(), {"optimizer.beta1": 0.8, "optimizer.name": "adam", "optimizer.lr": 0.3})
    assert (config.optimizer.name, config.optimizer.beta1, config.optimizer.lr) == ("adam", 0.8, 0.3)


def test_naming_the_optimizer_it_already_is_changes_nothing():
    config = changed(TrainConfig(), {"optimizer.momentum": 0.5})
    assert changed(config, {"optimizer.name": "sgd"}) == config


def test_change_leaves_the_original_and_everything_else_alone():
    before = TrainConfig()
    after = changed(before, {"optimizer.lr": 0.5})
    assert before == TrainConfig()
    assert changed(after, {"optimizer.lr": before.optimizer.lr}) == before


# --- words


@pytest.mark.parametrize("path", SETTINGS)
def test_setting_has_a_title_and_an_explanation_in_sentences(path):
    item = SETTINGS[path]
    assert item.title[0].isupper()
    assert len(item.explanation) > 15
    assert item.explanation.endswith(".")
    assert item.bounds or item.kind in ("bool", "text", "floats")


def test_every_field_of_every_section_is_a_setting():
    """No field can be added without its words: sections apart, only the names of variants and what nobody chooses have none."""
    unchosen = ("origin", "data.split_rule")
    for name in SECTIONS:
        kinds = (
            list(VARIANTS[name].values())
            if name in VARIANTS
            else [TrainConfig.model_fields[name].annotation if name else TrainConfig]
        )
        for kind in kinds:
            for field in kind.model_fields:
                path = f"{name}.{field}" if name else field
                assert path in SETTINGS or path in TAGS.values() or path in unchosen or field in SECTIONS, path


def test_basic_settings_are_a_few():
    assert 4 <= sum(item.basic for item in SETTINGS.values()) <= 10


# --- the command line's notation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optimizer.lr=0.1", ("optimizer.lr", 0.1)),
        ("epochs=3", ("epochs", 3)),
        (" epochs =3", ("epochs", 3)),
        ("augmentation.flip=true", ("augmentation.flip", True)),
        ("preprocessing.mean=[0.5, 0.5, 0.5]", ("preprocessing.mean", [0.5, 0.5, 0.5])),
        ("preprocessing.size_px=null", ("preprocessing.size_px", None)),
        ("preprocessing.size_px=none", ("preprocessing.size_px", None)),
        ("preprocessing.size_px=", ("preprocessing.size_px", None)),
        ("preprocessing.drawing=none", ("preprocessing.drawing", "none")),  # one of its choices is called so
        ("optimizer.name=adam", ("optimizer.name", "adam")),
        ("data.dataset=123", ("data.dataset", "123")),  # a folder may be called so
        ("data.dataset=a=b", ("data.dataset", "a=b")),
    ],
)
def test_assignment_is_read_as_json_where_it_is_and_as_text_otherwise(text, expected):
    assert parse_assignment(text) == expected


def test_nan_in_an_assignment_is_read_as_a_number_to_be_refused():
    path, value = parse_assignment("optimizer.lr=nan")
    assert math.isnan(value)
    assert "found nan, expected a finite number above 0" in refusal_of(path, value)


@pytest.mark.parametrize("text", ["optimizer.lr", "", "epochs:3"])
def test_assignment_without_equals_sign_is_refused_with_an_example(text):
    with pytest.raises(InputError, match=r"name=value\. For example: optimizer\.lr=0\.1"):
        parse_assignment(text)
