"""Images as people look at them: stored and original ones, re-encoded, by routes that take any address and give no file away."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from httpx2 import Response
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.config import Preprocessing
from core.data.imports import import_images
from core.data.sets import prepare_store
from core.data.store.originals import LARGEST_PX, as_png, original_image, stored_image
from core.errors import InputError
from core.workspace import Workspace
from pages._routes import ROUTES, image_url


@pytest.fixture
def zipped(workspace: Workspace, tmp_path: Path):
    """A store of two colours from a zip, its images larger than stored."""
    path = tmp_path / "colours.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(("a", "b")):
            for i in range(3):
                content = io.BytesIO()
                Image.new("RGB", (40 + i, 30), (100 * number, 10 * i, 50)).save(content, "BMP")
                archive.writestr(f"{name}/{i}.bmp", content.getvalue())
    name = import_images(workspace, path, size_px=16).name
    return prepare_store(workspace, name, Preprocessing(size_px=16))


@pytest.fixture
def get(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Response]:
    """Asks the routes for a path as a browser would."""
    monkeypatch.setenv("TRAINSCOPE_HOME", str(workspace.home))
    return TestClient(Starlette(routes=ROUTES)).get


def test_original_has_its_own_size_and_the_stored_one_the_set_s(zipped):
    assert stored_image(zipped, 1).size == (16, 16)
    assert original_image(zipped, 1).size == (41, 30) == tuple(zipped.sizes[1])
    assert original_image(zipped, 4).getpixel((0, 0)) == (100, 10, 50)


def test_set_without_files_shows_what_it_has(workspace):
    store = prepare_store(workspace, "digits", Preprocessing())
    np.testing.assert_array_equal(np.asarray(original_image(store, 7)), store.images[7, 0])


@pytest.mark.parametrize("index", [-1, 6, 10**9])
def test_picture_that_is_not_there_is_refused(zipped, index):
    with pytest.raises(InputError, match="no image"):
        original_image(zipped, index)


def test_large_pictures_are_sent_smaller():
    assert Image.open(io.BytesIO(as_png(Image.new("RGB", (4000, 1000))))).size == (LARGEST_PX, 400)


def test_routes_send_both_as_png_that_a_browser_may_keep(zipped, get):
    for kind, size in (("pictures", (16, 16)), ("originals", (41, 30))):
        answer = get("/" + image_url(zipped.path.name, 1, kind))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert ("immutable" in answer.headers["cache-control"]) == (kind == "pictures")
        assert Image.open(io.BytesIO(answer.content)).size == size


@pytest.mark.parametrize(
    "path",
    [
        "pictures/none/0",
        "pictures/..%2F..%2Fetc/0",
        "pictures/%2e%2e/0",
        "originals/x/999999999999999999999",
        "secrets/x/0",
        "pictures/a/-1",
    ],
)
def test_other_addresses_get_nothing(zipped, get, path):
    assert get(f"/trainscope/{path}").status_code == 404


def test_original_that_has_gone_is_said_and_the_stored_one_still_shows(zipped, get, tmp_path):
    from core.data.store import originals

    originals._container.cache_clear()
    (tmp_path / "colours.zip").unlink()
    answer = get("/" + image_url(zipped.path.name, 0, "originals"))
    assert answer.status_code == 404
    assert "no folder and no zip" in answer.text
    assert get("/" + image_url(zipped.path.name, 0)).status_code == 200
