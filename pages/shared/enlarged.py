"""Small images shown large enough to see, without blurring their pixels."""

from PIL import Image


def enlarged(image: Image.Image, side_px: int = 132) -> Image.Image:
    scale = max(1, round(side_px / max(image.size)))
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST) if scale > 1 else image
