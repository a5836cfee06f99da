"""A row of evaluated images with the network's answers: the same ones while it learns, or its worst mistakes."""

from collections.abc import Callable, Sequence

from core.insight.run_results import EvaluatedImages, images_of
from core.runs.directory import Run
from core.wording import percent
from pages._routes import image_url
from pages.components.image_grid import Tile, image_grid
from pages.shared.session import workspace

SIDE_PX = 62


def strip(
    run: Run,
    evaluated: EvaluatedImages,
    names: Sequence[str],
    positions: Sequence[int],
    *,
    key: str,
    label: str,
    on_open: Callable[[int], None] | None = None,
) -> None:
    """positions: among the evaluated images. Nothing is shown where the images are no longer on this machine."""
    store = images_of(workspace(), run, evaluated)
    if store is None:
        return
    _, height, width = store.meta.shape
    labels, said = evaluated.labels, evaluated.predictions

    def tile(position: int) -> Tile:
        predicted, true = int(said.predicted[position]), int(labels[position])
        is_right = predicted == true
        answer = f"{'✓' if is_right else '✗'} {names[predicted]}"
        other = percent(float(said.confidence[position]), 0) if is_right else f"true: {names[true]}"
        return Tile(
            id=position,
            urls=(image_url(store.path.name, int(evaluated.indices[position])),),
            lines=(answer, other),
            edge="right" if is_right else "wrong",
        )

    image_grid(
        [tile(position) for position in positions],
        key=key,
        label=label,
        side_px=SIDE_PX,
        ratio=width / height,
        is_strip=True,
        on_open=on_open,
    )
