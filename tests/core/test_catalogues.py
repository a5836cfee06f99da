"""One record is all that a new random change, optimizer or network takes: tests/fixtures/new_entries.py adds one of each.

They are entered before the configuration is made of the catalogues, so each look is taken in a process of its own.
"""

import os
from pathlib import Path

import pytest

from core.augmentations import AUGMENTATIONS
from core.config import CATALOGUES, Augmentation
from tests.fixtures.forked import run_forked

PROJECT = Path(__file__).resolve().parents[2]


def with_new_entries(*arguments: str, home: Path) -> str:
    environment = {**os.environ, "TRAINSCOPE_HOME": str(home), "TRAINSCOPE_RESERVE": "0"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    done = run_forked(*arguments, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def command(text: str, home: Path) -> str:
    words = "import sys; import tests.fixtures.new_entries; from core.commands.parser import main; "
    return with_new_entries("-c", words + f"sys.exit(main({text.split()!r}))", home=home)


@pytest.mark.parametrize("section", CATALOGUES)
def test_record_has_a_sentence_and_the_name_that_its_settings_have(section):
    for name, record in CATALOGUES[section].items():
        assert record.settings().name == name
        assert record.summary[0].isupper()
        assert record.summary.endswith(".")


def test_random_changes_are_numbered_without_a_gap_and_a_configuration_has_them_in_this_order():
    by_number = sorted(AUGMENTATIONS.values(), key=lambda change: change.number)
    assert [change.number for change in by_number] == list(range(1, len(by_number) + 1))
    assert [name for change in by_number for name in change.settings] == list(Augmentation.model_fields)


def test_no_two_random_changes_draw_under_the_same_name():
    names = [name for change in AUGMENTATIONS.values() for name in change.drawn]
    assert len(set(names)) == len(names)


def test_help_names_what_is_new(tmp_path):
    text = " ".join(command("train --help", tmp_path).split())
    assert "augmentation.posterize_probability This share of the images keeps few shades" in text
    assert "optimizer.name one of sgd, adam, adamw, rmsprop, adagrad" in text
    assert "adagrad: Smaller steps for weights that have moved much." in text
    assert "optimizer.rate_decay" in text


def test_list_of_networks_has_the_new_one(tmp_path):
    assert "A perceptron of another name." in command("models", tmp_path)


def test_training_with_all_three_runs(tmp_path):
    chosen = {"model.name": "new-network", "optimizer.name": "adagrad", "augmentation.posterize_probability": 0.5}
    words = (
        "import tests.fixtures.new_entries; from core.recipes import recipe_named; from core.settings import changed; "
        "from core.running.session import run_session; from core.runs.directory import create_run; "
        "from core.workspace import open_workspace; workspace = open_workspace(); "
        f"run = create_run(workspace, changed(recipe_named('digits-quickstart').config, {{**{chosen!r}, 'epochs': 1}})); "
        "print(run_session(workspace, run).reason)"
    )
    assert with_new_entries("-c", words, home=tmp_path).split()[-1] == "finished"


FORM = """
import tests.fixtures.new_entries
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("pages/_navigation.py", default_timeout=60).run()
app.switch_page("train/train.py").run()
assert not app.exception
assert "New network" in app.selectbox(key="set-0-model.name").options
assert app.number_input(key="set-0-augmentation.posterize_probability").label == "Fewer shades"
optimizer = app.selectbox(key="set-0-optimizer.name")
assert "adagrad" in optimizer.options
assert "adagrad: Smaller steps for weights that have moved much." in optimizer.help
optimizer.set_value("adagrad").run()
assert not app.exception
assert app.number_input(key="set-1-optimizer.rate_decay").label == "Rate decay"
"""


def test_form_of_the_train_page_has_what_is_new(tmp_path):
    with_new_entries("-c", FORM, home=tmp_path)


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (
            ["data/transforms/test_augmentation.py", "data/transforms/test_lab.py", "test_config.py"],
            "posterize or catalogue or every_setting or every_field or was_drawn",
        ),
        (["training/test_optimizers.py", "test_config.py"], "adagrad or rate_decay"),
        (["models/test_models.py", "training/test_optimizers.py"], "new-network"),
    ],
    ids=["random change", "optimizer", "network"],
)
def test_parametrised_tests_take_in_what_is_new_and_pass(files, names, tmp_path):
    plugin = ("-p", "tests.fixtures.new_entries", "-p", "no:xdist", "-p", "no:cacheprovider")
    paths = [f"tests/core/{name}" for name in files]
    text = with_new_entries("-m", "pytest", "-q", *plugin, "-k", names, *paths, home=tmp_path)
    assert int(text.rpartition(" passed")[0].split()[-1]) > 5
