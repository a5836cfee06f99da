"""The images of a store as people look at them: as they are stored, and as they came."""

import io
from functools import lru_cache
from pathlib import Path

from PIL import Image

from core.data.sources.containers import Container, open_container
from core.data.sources.decoding import SUFFIXES
from core.data.sources.own_images import read_image
from core.data.store.duplicates import pixel_digest
from core.data.store.image_store import ImageStore
from core.data.transforms.preprocessing import array_to_image
from core.errors import InputError

LARGEST_PX = 1600  # of an original as it is shown


def stored_image(store: ImageStore, index: int) -> Image.Image:
    """As the network's set holds it. Raises InputError if there is no such image."""
    if not 0 <= index < len(store.labels):
        raise InputError(f"The set has no image {index:,}.", code="picture")
    return array_to_image(store.images[index])


def original_image(store: ImageStore, index: int) -> Image.Image:
    """As it came, decoded from its file; of a set without files, as it is stored. Raises InputError if the file is gone."""
    image = stored_image(store, index)
    if store.files is None:
        return image
    path = Path(store.meta.origin)
    original = read_image(
        _container(path, store.meta.names, path.stat().st_mtime_ns if path.exists() else 0), store.files[index]
    ).image
    if pixel_digest(original) != store.digests[index].tobytes():
        raise InputError("The file holds another image than when it was read.", code="picture")
    return original


def original_file(store: ImageStore, index: int) -> tuple[str, bytes] | None:
    """The ending of its name (empty for an unusual one) and its bytes, as they came; None for a set without files, or where the file is gone."""
    if store.files is None:
        return None
    path, file = Path(store.meta.origin), store.files[index]
    try:
        content = _container(path, store.meta.names, path.stat().st_mtime_ns if path.exists() else 0).read(file)
    except (InputError, OSError):
        return None
    suffix = Path(file).suffix.lower()
    return suffix if suffix in SUFFIXES else "", content


def as_png(image: Image.Image) -> bytes:
    """Encoded anew, so that nothing of a file from outside reaches a browser; large ones made smaller."""
    image.thumbnail((LARGEST_PX, LARGEST_PX))
    content = io.BytesIO()
    image.save(content, "PNG", compress_level=1)
    return content.getvalue()


@lru_cache(maxsize=4)
def _container(path: Path, names: str, mtime_ns: int) -> Container:
    return open_container(path, names)
