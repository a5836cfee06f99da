"""The field's own words on every page, in the report and on the command line: what earlier versions said instead stays away."""

import ast
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
EXAMPLE = "pictures/flowers"  # what a person may have called a folder
FILES = sorted([*PROJECT.glob("pages/**/*.py"), *PROJECT.glob("core/**/*.py"), *PROJECT.glob("core/**/*.html")])
# said before: what is said now
TERMS = {
    "the middle cut out": "center crop",
    "What is not square": "Non-square images",
    "How the images may lie": "Supported folder layouts",
    "Right by luck": "Correct with low confidence",
    "pixel at a quarter": "pixel at ¼",
    "is taken for": "true → predicted",
    "Set up another": "New run",
    "Change it": "Apply",
    "Taken with the next step": "Applied from the next step",
    "pictures": "images",
    "picture ": "image",
    "judge": "evaluate",
    "Epochs in all": "Total epochs",
    "Least change": "Min. delta",
    "First weights": "Initial weights",
    "Turn upside down": "Vertical flip",
    "Crop to at least": "Random crop, min. area",
    "Follow the curve": "Update learning rate every",
    "Look at the data": "Explore data",
    "It comes undivided": "No predefined split",
    "would spoil the result": "data problems",
    "as well as it goes": "best accuracy",
    "Answer only when sure": "Confidence threshold",
    "Pictures answered": "Coverage",
    "As sure as right": "Reliability diagram",
    "A temperature mends that": "Temperature scaling fixes this",
    "Where it finds the evidence": "Saliency: where it looks",
    "What the first layer looks for": "First-layer filters",
    "Point out a class": "Highlight class",
    "Put in line": "Queued",
    "What happened": "History",
    "says of it": "Prediction of",
}


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
