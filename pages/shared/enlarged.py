"""Small pictures shown large enough to see, without blurring their pixels."""

from PIL import Image


def enlarged(picture: Image.Image, side_px: int = 132) -> Image.Image:
    scale = max(1, round(side_px / max(picture.size)))
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST) if scale > 1 else picture
