"""One image from outside, uploaded to be looked at by a network."""

import streamlit as st
from PIL import Image

from core.data.sources.decoding import decode_image
from core.errors import InputError
from pages.shared.text import escaped

MOST_MB = 20
SUFFIXES = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm"]


def uploaded_image(key: str) -> Image.Image | None:
    """The image once it is there and can be read; what is missing or wrong is said."""
    file = st.file_uploader("Image", type=SUFFIXES, key=key, max_upload_size=MOST_MB)
    if file is None:
        st.info("Choose an image. It stays on this machine.")
        return None
    try:
        return decode_image(file.getvalue())
    except InputError as error:
        st.error(escaped(str(error)))
        return None
