"""The course of the training seen at one epoch after the other: classes, confusions, chosen images and the first layer's filters."""

import streamlit as st

from core.figures.epochs import class_bars, learning_histogram
from core.figures.inside import filters_montage
from core.insight.prediction_history import learning_until
from core.insight.run_results import EvaluatedImages, images_of
from core.runs.directory import Run
from core.runs.pins import pins_of
from core.runs.records import NUM_SAMPLES, load_filters, spread
from core.wording import percent
from pages.components.image_grid import image_grid
from pages.components.live_chart import live_chart
from pages.results.confusion import classes_in_short, small_confusion
from pages.results.evaluated_image import open_image
from pages.results.gallery import tile
from pages.shared.gallery_choice import show_images
from pages.shared.session import workspace


def epoch_machine(run: Run, evaluated: EvaluatedImages, names: list[str]) -> None:
    """Everything here follows the slider above it."""
    classes = classes_in_short(run, evaluated, len(names))
    if len(classes) < len(names):
        st.caption(
            f"The {len(classes)} of {len(names):,} classes with the most mistakes, of them or for them, after the last epoch."
        )
    labels, predicted = evaluated.labels, evaluated.predictions.predicted
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Recall of each class**")
        figure = class_bars(labels, predicted, names, classes, evaluated.split)
        live_chart(
            figure,
            key=f"epoch-classes-{run.id}",
            alt="Recall of each class after this epoch",
            on_click=show_images,
        )
    with right:
        st.markdown("**Confusions**")
        small_confusion(run, evaluated, names, key="epoch-confusion")
    pinned(run, evaluated, names)
    left, right = st.columns(2, gap="large")
    with left:
        first_layer(run, evaluated)
    with right:
        how_learned(run, evaluated)


def pinned(run: Run, evaluated: EvaluatedImages, names: list[str]) -> None:
    store = images_of(workspace(), run, evaluated)
    if store is None:
        st.info("The images that this run was evaluated on are no longer on this machine; its figures stay.")
        return
    places = pins_of(run, len(evaluated.labels))
    st.markdown("**Pinned images**" if places else "**Some of the images**")
    if not places:
        st.caption("Open any image and pin it to follow it here.")
        places = spread(len(evaluated.labels), NUM_SAMPLES)
    _, height, width = store.meta.shape
    image_grid(
        [tile(store, evaluated, names, place, with_truth=True) for place in places],
        key=f"pinned-{run.id}",
        label="Pinned images",
        side_px=110,
        ratio=width / height,
        on_open=lambda place: st.session_state.update({"open-evaluated": place}),
    )
    open_image(run, evaluated, names, places)


def first_layer(run: Run, evaluated: EvaluatedImages) -> None:
    st.markdown("**First-layer filters**")
    filters = load_filters(run, evaluated.epoch)
    if filters is None:
        st.caption("Its filters were not kept after this epoch; under Explain those of every checkpoint are seen.")
        return
    st.image(filters_montage(filters), output_format="PNG", alt="Filters of the first layer")
    st.caption(f"{len(filters)} filters of {filters.shape[3]} × {filters.shape[2]} pixels; grey is 0, all share one scale.")


def how_learned(run: Run, evaluated: EvaluatedImages) -> None:
    st.markdown("**When the images were learned**")
    learning = learning_until(run, evaluated)
    if not learning.epochs:
        st.caption("Nothing has been learned yet: move on by an epoch.")
        return
    live_chart(learning_histogram(learning), key=f"learned-{run.id}", alt="Images by the epoch after which they were right first")
    counts = {kind: int(learning.of_kind(kind).sum()) for kind in ("early", "late", "forgotten", "never")}
    total = len(evaluated.labels)
    st.caption(
        "; ".join(
            f"{count:,} {words} ({percent(count / total)})"
            for (_, count), words in zip(
                counts.items(), ("learned early", "learned late", "forgotten at times", "never right"), strict=True
            )
        )
        + ". Each kind can be chosen under Images."
    )
