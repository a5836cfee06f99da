"""The field's own words on every page, in the report and on the command line: what earlier versions said instead stays away."""

import ast
import re
from pathlib import Path

import pytest

from core.glossary import TERMS

PROJECT = Path(__file__).resolve().parents[1]
EXAMPLE = "pictures/flowers"  # what a person may have called a folder
FILES = sorted([*PROJECT.glob("pages/**/*.py"), *PROJECT.glob("core/**/*.py"), *PROJECT.glob("core/**/*.html")])
FILES.remove(PROJECT / "core" / "glossary.py")


def said_in(path: Path) -> list[str]:
    """Every text in a file that may be shown: not what stands beside the code for its readers."""
    if path.suffix == ".html":
        return [path.read_text()]
    tree = ast.parse(path.read_text())
    beside = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node)
    }
    return [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in beside]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_text_uses_a_word_that_has_a_better_one(path):
    texts = [text.replace(EXAMPLE, "") for text in said_in(path)]  # a single word may be a key or a file's name, which stays
    found = [(old, new) for text in texts for old, new in TERMS.items() if old in text and (" " in text or old[0].isupper())]
    assert not found, "; ".join(f"'{old}': say '{new}'" for old, new in found)


def test_readme_uses_the_same_words():
    text = re.sub(r"```.*?```|`[^`]*`", "", (PROJECT / "README.md").read_text(), flags=re.DOTALL)  # commands keep their names
    assert not [old for old in TERMS if old in text]
