"""A map of the evaluated images: those that are alike to the network lie together."""

import numpy as np
import streamlit as st

from core.data.store.image_store import ImageStore
from core.errors import InputError
from core.figures import inside as figures
from core.inference.embedding import FEWEST_POINTS, MOST_POINTS, Points
from core.inference.kept_maps import kept_points, kept_tsne, map_inputs, map_request, points_for
from core.insight.run_results import EvaluatedImages, images_of
from core.jobs.job import Request
from core.runs.artifacts import Inputs
from core.runs.checkpoints import Checkpoint
from core.runs.directory import Run
from core.wording import percent
from pages._routes import image_url
from pages.components.live_chart import live_chart
from pages.results.checkpoint_choice import checkpoint_choice
from pages.results.epoch_slider import is_playing
from pages.results.evaluated_image import open_image
from pages.shared.actions import do
from pages.shared.session import workspace
from pages.shared.text import escaped
from pages.shared.work import begin, going_on_for, is_going_on, work_on

AT_ONCE_PIXELS = 300_000  # of all images together: well within a second, so that it needs no job
QUICK_PIXELS = 6_000_000  # of all images together: a few seconds for the networks that fit them
SAMPLES = (500, 1_000, 2_000, MOST_POINTS)


def embedding_map(run: Run, evaluated: EvaluatedImages, names: list[str]) -> None:
    store = images_of(workspace(), run, evaluated)
    if store is None:
        st.info("The images that this run was evaluated on are no longer on this machine; its figures stay.")
        return
    if len(evaluated.labels) < FEWEST_POINTS:
        st.info(f"A map needs at least {FEWEST_POINTS} evaluated images, there are {len(evaluated.labels)}.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        checkpoint = checkpoint_choice(run, evaluated, "map")
        if checkpoint is None:
            return
        if (at_work := going_on_for("map", run)) and at_work.inputs["checkpoint"] == checkpoint.name:
            st.session_state[f"map-most-{store.path.name}"] = at_work.inputs["most"]
        most = sample_choice(store, len(evaluated.labels))
    try:
        inputs = map_inputs(checkpoint, store, evaluated.indices, most)
        points = kept_points(run, inputs) or worked_out(run, checkpoint, store, evaluated, most, inputs)
        if points is None:
            return
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.session_state.setdefault("map-projection", "PCA")
            if st.session_state.pop("map-back-to-pca", False):  # t-SNE was cancelled
                st.session_state["map-projection"] = "PCA"
            projection = st.segmented_control("Projection", ["PCA", "t-SNE"], key="map-projection", required=True)
            groups = colours(evaluated.labels[points.positions], points.predicted, names)
        places = tsne_places(run, checkpoint, evaluated, most, inputs, points) if projection == "t-SNE" else points.scores[:, :2]
        if places is None:
            return
    except InputError as error:
        st.error(escaped(str(error)))
        return
    say_what_it_is(projection, points, len(evaluated.labels))
    axes = tuple(f"Component {i + 1} ({percent(float(points.explained[i]))} of the variance)" for i in range(2))
    show(
        run,
        store,
        evaluated,
        points,
        places,
        groups,
        axes if projection == "PCA" else ("", ""),
        f"map-{projection}-{inputs.key}",
        names,
    )


def sample_choice(store: ImageStore, total: int) -> int:
    """How many images at most; fewer of large ones, unless more are asked for."""
    if total <= SAMPLES[0]:
        return MOST_POINTS
    options = [count for count in SAMPLES if count < total] + ([MOST_POINTS] if total < MOST_POINTS else [])
    usual = max((count for count in options if min(count, total) * pixels(store) <= QUICK_PIXELS), default=options[0])
    return st.selectbox(
        "Images",
        options,
        index=options.index(usual),
        key=f"map-most-{store.path.name}",
        width=160,
        format_func=lambda count: f"all {total:,}" if count >= total else f"{count:,} of {total:,}",
    )


def pixels(store: ImageStore) -> int:
    return store.meta.shape[1] * store.meta.shape[2]


def worked_out(
    run: Run, checkpoint: Checkpoint, store: ImageStore, evaluated: EvaluatedImages, most: int, inputs: Inputs
) -> Points | None:
    """The network passes over the images: here where that takes a moment, as a job where it takes seconds, else when asked to."""
    count = min(most, len(evaluated.labels))
    if count * pixels(store) <= AT_ONCE_PIXELS:
        return points_for(run, checkpoint, store, evaluated.indices, most)
    request = map_request(run, checkpoint, evaluated, most, with_tsne=False)
    if is_begun(request, by_itself=count * pixels(store) <= QUICK_PIXELS):
        return None
    if st.button(f"Make a map of {count:,} images", type="primary", key="make-map"):
        do(lambda: begin(request))
    st.caption("The network passes over each image once. For images of this size that takes a while; the map is kept.")
    return kept_points(run, inputs)


def tsne_places(
    run: Run, checkpoint: Checkpoint, evaluated: EvaluatedImages, most: int, inputs: Inputs, points: Points
) -> np.ndarray | None:
    if (known := kept_tsne(run, inputs, len(points.positions))) is not None:
        return known
    if is_playing(run):
        st.info("t-SNE takes longer than an epoch is shown. Stop playing to have it worked out, or choose PCA.")
        return None
    request = map_request(run, checkpoint, evaluated, most, with_tsne=True)
    if is_begun(request, by_itself=True):
        return None
    if st.button("Work out t-SNE", key="make-tsne"):
        do(lambda: begin(request))
    return kept_tsne(run, inputs, len(points.positions))


def is_begun(request: Request, by_itself: bool) -> bool:
    """Whether the work goes on, which is shown. What was cancelled or has failed is not begun again by itself."""
    state = st.session_state
    ended = work_on(request)
    if ended is None and by_itself and state.get("map-given-up") != request.key:
        do(lambda: begin(request))
    if ended and not ended.is_active:
        state["map-given-up"] = request.key
        if ended.state == "cancelled" and request.inputs["tsne"]:
            state["map-back-to-pca"] = True
            st.rerun()
    return is_going_on(ended)


def colours(labels: np.ndarray, predicted: np.ndarray, names: list[str]) -> list[figures.Group]:
    """Which points look alike."""
    few = len(np.union1d(labels, predicted)) <= figures.MOST_COLOURED
    options = [*(["True class", "Predicted class"] if few else []), "Right or wrong", "One class"]
    by = st.selectbox("Colour", options, key=f"map-colour-{few}", persist_state="session", width=180)
    if by == "True class":
        return figures.by_class(labels, names)
    if by == "Predicted class":
        return figures.by_class(predicted, names)
    if by == "Right or wrong":
        return figures.by_outcome(labels, predicted)
    chosen = st.selectbox("Class", range(len(names)), format_func=lambda k: names[k], key=f"map-class-{len(names)}", width=220)
    return figures.by_one_class(labels, predicted, chosen, names[chosen])


def say_what_it_is(projection: str, points: Points, total: int) -> None:
    count = len(points.positions)
    which = f"All {total:,} evaluated images" if count == total else f"{count:,} of {total:,} evaluated images, evenly taken"
    if projection == "PCA":
        how = f"PCA: the two directions in which they differ most, {percent(float(points.explained[:2].sum()), 0)} of all differences."
    else:
        how = "t-SNE: near points are alike to the network; how far groups lie apart, and how large they are, says little."
    thinned = (
        f" Of {points.num_features:,} features {points.num_used:,} count, evenly taken."
        if points.num_used < points.num_features
        else ""
    )
    st.caption(
        f"{which}, placed by the {points.num_features:,} features that the network's last layer gets. {how}{thinned} "
        "Point at one to see its image, click to open it; without a mouse, the same images are under Images."
    )


def show(run, store, evaluated, points, places, groups, axes, key, names) -> None:
    labels = evaluated.labels[points.positions]
    words = [
        f"✓ {names[p]}" if t == p else f"✗ {names[p]}\ntrue: {names[t]}"
        for t, p in zip(labels.tolist(), points.predicted.tolist(), strict=True)
    ]
    ids = np.stack([evaluated.indices[points.positions], points.positions], axis=1)
    live_chart(
        figures.points_map(places, groups, ids, words, axes),
        key=key,
        alt=f"Map of {len(places):,} evaluated images by what the network makes of them",
        on_pick=lambda position: st.session_state.update({"open-evaluated": position}),
        images=image_url(store.path.name, 0).removesuffix("0"),
    )
    open_image(run, evaluated, names, range(len(evaluated.labels)))
