"""Where the real sets lie for tests: the folder that shared/data/unpack filled, named by TRAINSCOPE_TEST_DATA."""

import os
from pathlib import Path

import pytest


def real_data(name: str) -> Path:
    """The folder of a real set, such as "MNIST"; skips the test with the reason where it is not there."""
    root = os.environ.get("TRAINSCOPE_TEST_DATA")
    if not root:
        pytest.skip("TRAINSCOPE_TEST_DATA is not set: it names the folder with MNIST/ and cifar10_images/")
    folder = Path(root) / name
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}")
    return folder
