"""Without what Windows lacks, nothing of ours is missing: the command line trains, and every file has a name that Windows takes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from core.commands.parser import main
from core.jobs.executor import PROJECT

OTHER_SYSTEM = PROJECT / "tests" / "fixtures" / "other_system"
DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?", re.IGNORECASE | re.DOTALL)


def takes(name: str) -> bool:
    """Whether Windows takes the name: https://learn.microsoft.com/windows/win32/fileio/naming-a-file."""
    has_odd = any(c in '<>:"/\\|?*' or ord(c) < 32 for c in name)
    return not has_odd and not name.endswith((" ", ".")) and not DEVICES.fullmatch(name) and len(name) < 256


@pytest.mark.parametrize("name", ["CON", "nul.json", "lpt1.tar.gz", "a:b", "a?", "end.", "end ", "tab\t", "x" * 256])
def test_names_that_windows_refuses(name: str) -> None:
    assert not takes(name)


@pytest.mark.parametrize("name", ["console", "nul-1.json", "com10", ".new-20261128-cnn-0a1b", "a b.c", "é"])
def test_names_that_windows_takes(name: str) -> None:
    assert takes(name)


def run_elsewhere(*arguments: str, home: Path) -> subprocess.CompletedProcess:
    """`python -m core` without fcntl, /proc and the rest; its output goes to a pipe that takes 256 letters, as on Windows."""
    path = os.pathsep.join(filter(None, [str(OTHER_SYSTEM), os.environ.get("PYTHONPATH", "")]))
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "PYTHONIOENCODING": "cp1252",
        "PYTHONWARNDEFAULTENCODING": "1",
        "TRAINSCOPE_SLOTS": str(home / "slots"),
    }
    command = [sys.executable, "-m", "core", "--home", str(home / "home"), *arguments]
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, timeout=120)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def trained(home: Path) -> dict:
    answer = run_elsewhere("--json", "train", "--recipe", "digits-quickstart", home=home)
    assert answer.returncode == 0, answer.stderr.decode("cp1252")
    unnamed = [line for line in answer.stderr.decode("cp1252").splitlines() if "EncodingWarning" in line and str(PROJECT) in line]
    assert unnamed == [], "text is read in the letters that the system happens to have"
    return json.loads(answer.stdout)


def test_quick_start_is_trained_by_the_command_line(trained: dict) -> None:
    assert trained["status"] == "finished"
    assert trained["final"]["accuracy"] > 0.9


def test_file_from_outside_is_read_evaluated_and_exported(home: Path, trained: dict) -> None:
    weights = home / "weights.pt"
    assert run_elsewhere("export", "last", "--to", str(weights), "--checkpoint", "best", home=home).returncode == 0
    answer = run_elsewhere("--json", "load", str(weights), "--recipe", "digits-quickstart", home=home)
    assert answer.returncode == 0, answer.stdout
    answer = run_elsewhere("--json", "evaluate", "last", home=home)
    assert json.loads(answer.stdout)["accuracy"] > 0.9


@pytest.mark.parametrize("odd", ["CON", "a:b*?", "trailing. ", "Größe – 数字 🙂"])
def test_whatever_people_call_things_the_files_have_names_that_windows_takes(tmp_path: Path, odd: str) -> None:
    home, images = tmp_path / "home", tmp_path / odd
    for split in ("train", "test"):
        for label in ("aux", "b"):
            folder = images / split / label
            folder.mkdir(parents=True)
            for n in range(4):
                Image.new("L", (8, 8), 40 * n + 20 * (label == "b") + 10 * (split == "test")).save(folder / f"nul-{n}.png")
    assert main(["--home", str(home), "import", str(images), "--name", odd.strip()]) == 0
    settings = ["--set", f"data.dataset={odd.strip()}", "--set", "epochs=1", "--set", "device=cpu"]
    assert main(["--home", str(home), "train", "--recipe", "digits-quickstart", *settings]) == 0
    assert main(["--home", str(home), "export", "last", "--to", str(tmp_path / "run.zip")]) == 0
    assert main(["--home", str(home), "load", str(tmp_path / "run.zip"), "--name", odd]) == 0
    names = [path.name for path in home.rglob("*")]
    assert len(names) > 30
    assert [name for name in names if not takes(name)] == []
