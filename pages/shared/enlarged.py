"""Small images shown large enough to see, without blurring their pixels; or within a table."""

import base64
import io

from PIL import Image


def enlarged(image: Image.Image, side_px: int = 132) -> Image.Image:
    scale = max(1, round(side_px / max(image.size)))
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST) if scale > 1 else image


def data_url(image: Image.Image) -> str:
    """The image itself as an address, as a table's cell takes it."""
    content = io.BytesIO()
    image.save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
