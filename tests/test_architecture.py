"""The shape that docs/architecture.md promises: imports point one way, and every module says what lives in it."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
CORE = sorted((PROJECT / "core").rglob("*.py"))
PAGES = sorted((PROJECT / "pages").rglob("*.py"))

# A room may import from itself and from those before it, never from one after.
ROOMS = [
    "core.errors",
    "core.locks",
    "core.processes",
    "core.files",
    "core.wording",
    "core.glossary",
    "core.common_hanzi",
    "core.name_encoding",
    "core.zips",
    "core.workspace",
    "core.named_files",
    "core.sections",
    "core.augmentations",
    "core.layers",
    "core.optimizers",
    "core.losses",
    "core.schedules",
    "core.config",
    "core.settings",
    "core.recipes",
    "core.data",
    "core.models",
    "core.training",
    "core.runs",
    "core.jobs",
    "core.running",
    "core.insight",
    "core.inference",
    "core.layer_lab",
    "core.figures",
    "core.intake",
    "core.export",
    "core.serving",
    "core.commands",
    "core.__main__",
]


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts)


def room_of(module: str) -> str | None:
    return next((room for room in ROOMS if module == room or module.startswith(f"{room}.")), None)


def imports_of(path: Path) -> set[str]:
    """Every module that a file names in an import, those inside functions included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            found.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return found


def package(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("path", CORE, ids=module_name)
def test_module_imports_only_from_its_own_room_and_those_before_it(path):
    if path.name == "__init__.py":
        assert not imports_of(path), "packages stay empty"
        return
    own = room_of(module_name(path))
    assert own, f"{path} is in no room: give it its place in the list"
    for module in imports_of(path):
        room = room_of(module)
        if room:
            assert ROOMS.index(room) <= ROOMS.index(own), f"{module_name(path)} imports {module}"


@pytest.mark.parametrize("path", CORE, ids=module_name)
def test_core_knows_no_streamlit_and_no_page(path):
    assert not {"streamlit", "pages", "streamlit_app"} & {package(module) for module in imports_of(path)}


@pytest.mark.parametrize("path", PAGES, ids=module_name)
def test_page_never_imports_the_training(path):
    assert not [module for module in imports_of(path) if module.startswith("core.training")]


@pytest.mark.parametrize("path", PAGES, ids=module_name)
def test_page_never_touches_a_tensor(path):
    assert not {"torch", "torchvision"} & {package(module) for module in imports_of(path)}


@pytest.mark.parametrize("path", [*CORE, *PAGES, PROJECT / "streamlit_app.py"], ids=module_name)
def test_module_opens_with_a_docstring(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring
    assert docstring.rstrip().endswith((".", ":"))


@pytest.mark.parametrize("path", [*CORE, *PAGES], ids=module_name)
def test_no_module_hides_behind_an_empty_name(path):
    assert path.stem not in {"utils", "util", "helpers", "helper", "misc", "common", "manager", "base"}


# The state_dict that a person downloads is a pickle for other programs to read; ours never reads one (core/intake reads them as data).
SAVES_PICKLES = "core.export.weights"


@pytest.mark.parametrize("path", CORE, ids=module_name)
def test_core_never_unpickles_and_never_evaluates_text(path):
    """docs/architecture.md: what comes from outside is never executed."""
    tree = ast.parse(path.read_text())
    assert not {"pickle", "dill", "joblib", "shelve", "marshal"} & {package(module) for module in imports_of(path)}
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not {"eval", "exec", "torch.load", "torch.jit.load", "Unpickler"} & set(calls)
    assert ("torch.save" in calls) == (module_name(path) == SAVES_PICKLES)
    allows_pickles = [
        ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "allow_pickle"
    ]
    assert set(allows_pickles) <= {"allow_pickle=False"}


@pytest.mark.parametrize("path", [*CORE, *PAGES], ids=module_name)
def test_records_of_more_than_three_fields_are_made_by_keyword(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            fields = [s for s in node.body if isinstance(s, ast.AnnAssign) and "ClassVar" not in ast.unparse(s.annotation)]
            ways = [ast.unparse(way) for way in node.decorator_list if ast.unparse(way).startswith("dataclass")]
            given = [way for way in ways if "init=False" not in way]
            if given and sum("init=False" not in ast.unparse(field) for field in fields) > 3:
                assert "kw_only=True" in given[0], node.name
