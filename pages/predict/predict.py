"""Predict: draw an image, upload one or take one of the data, and see what a trained network takes it for."""

import random

import numpy as np
import streamlit as st
from PIL import Image
from streamlit_drawable_canvas import st_canvas

from core.data.transforms.preprocessing import array_to_image
from core.errors import InputError
from core.figures import runs as figures
from core.inference.predictor import predict
from core.insight.run_results import evaluated_image, store_of
from core.runs.calibration import PLAIN, Calibration, calibration_of
from core.runs.checkpoints import Checkpoint, find_checkpoint, list_checkpoints
from core.runs.directory import Run, list_runs
from core.runs.index import entries
from core.runs.records import evaluated_images
from core.runs.status import status_of
from core.wording import percent
from pages.predict.many import many
from pages.shared.enlarged import enlarged
from pages.shared.run_row import titles_of
from pages.shared.session import choose_run, chosen_run, workspace
from pages.shared.text import escaped
from pages.shared.upload import uploaded_image

CANVAS_PX = 340
SEEN_PX = 200
MOST_BARS = 20  # classes that all have a bar, in their own order, so that they move in place while one draws
TOP_K = 5


def checkpoint_choice() -> tuple[Run, Checkpoint] | None:
    """The run and the checkpoint to use; only runs that have one are offered."""
    usable = [run for run in list_runs(workspace())[:200] if (run.checkpoints / "last.json").exists()]
    if not usable:
        st.info("There is no trained network yet. Train one first; digits take a few seconds.")
        if st.button("Go to training", type="primary", key="go-train"):
            st.switch_page("train/train.py")
        return None
    was_named = "run" in st.query_params
    chosen = chosen_run()
    if chosen is None and was_named:
        return None
    if chosen and chosen not in usable and (chosen.checkpoints / "last.json").exists():
        usable.append(chosen)  # an old one
    if chosen is None or chosen.id not in {run.id for run in usable}:
        if chosen is not None:
            st.caption("The chosen run has no checkpoint yet; another one is used.")
        chosen = usable[0]
    left, right = st.columns([3, 1])
    ids = [run.id for run in usable]
    by_id = dict(zip(ids, usable, strict=True))
    titles = titles_of([entry for entry in entries(workspace()) if entry.run.id in by_id])
    picked = left.selectbox(
        "Network",
        ids,
        index=ids.index(chosen.id),
        key=f"run-of-predict-{chosen.id}",
        format_func=lambda i: f"{titles[i]} · {percent(status_of(by_id[i]).accuracy)}",
    )
    if picked != chosen.id:
        choose_run(by_id[picked])
        st.rerun()
    checkpoint = pick_checkpoint(chosen, right)
    return (chosen, checkpoint) if checkpoint else None


def pick_checkpoint(run: Run, place) -> Checkpoint | None:
    pointers = [name for name in ("last", "best") if (run.checkpoints / f"{name}.json").exists()]
    names = [*pointers, *(checkpoint.name for checkpoint in list_checkpoints(run))]
    name = place.selectbox(
        "Checkpoint",
        names,
        key=f"checkpoint-{run.id}",
        help="Best: the most accurate epoch. Last: where training ended.",
    )
    try:
        checkpoint = find_checkpoint(run, name)
    except InputError as error:  # it was pruned a moment ago
        st.error(escaped(str(error)))
        return None
    if calibration_of(checkpoint) == PLAIN and (others := [c.name for c in list_checkpoints(run) if calibration_of(c) != PLAIN]):
        st.caption(f"A temperature and a threshold are kept for {', '.join(others)}; {checkpoint.name}, used here, has none.")
    return checkpoint


def new_canvas(keep_drawing: bool) -> None:
    """A fresh canvas. A canvas that is left takes its strokes with it, so the next one begins with those kept."""
    state = st.session_state
    if not keep_drawing:
        state["strokes"], state["drawn"] = None, None
    state["first-strokes"] = state.get("strokes")
    state["canvas"] = state.get("canvas", 0) + 1


@st.fragment
def draw(checkpoint: Checkpoint) -> None:
    """The canvas with its answer; a stroke reruns only this."""
    state = st.session_state
    with st.container(horizontal=True, gap="large", key="drawing"):  # on a narrow window the answer goes below
        left, right = st.container(width=CANVAS_PX + 4), st.container(width="stretch")
    with left:
        result = st_canvas(
            stroke_width=24,
            stroke_color="#000000",
            background_color="#ffffff",
            width=CANVAS_PX,
            height=CANVAS_PX,
            drawing_mode="freedraw",
            return_image_data=True,
            initial_drawing=state["first-strokes"],
            key=f"canvas-{state['canvas']}",
        )
        if st.button("Clear", key="clear-canvas"):
            new_canvas(keep_drawing=False)
            st.rerun(scope="fragment")
    if result.json_data is not None:
        state["strokes"] = result.json_data
        if not result.json_data.get("objects"):
            state["drawn"] = None
        elif result.image_data is not None:  # a canvas that began with strokes has no pixels of them until the next one
            state["drawn"] = np.asarray(result.image_data, dtype=np.uint8)
    with right:
        if state.get("drawn") is not None:
            answer(checkpoint, Image.fromarray(state["drawn"], "RGBA"), key="drawn")
        else:
            st.info("Draw with the mouse or a finger. Without either, upload an image.")


def upload(checkpoint: Checkpoint) -> None:
    if image := uploaded_image("picture"):
        answer(checkpoint, image, key="uploaded")


def from_the_data(run: Run, checkpoint: Checkpoint) -> None:
    """One of the images that the run was evaluated on, which it never learned from."""
    total = len(evaluated_images(run)[0])
    if store_of(workspace(), run) is None or not total:
        st.info("The images that this run was evaluated on are not on this machine.")
        return
    key = f"sample-{run.id}"

    def another() -> None:
        st.session_state[key] = random.randint(1, total)

    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = st.number_input(
            "Image", 1, total, 1, key=key, width=180, help="By its number among those the run was evaluated on."
        )
        st.button("Another one", key="another-sample", on_click=another)
    sample = evaluated_image(workspace(), run, number - 1)
    st.caption(escaped(f"{sample.file}, true class: {sample.true}"))
    answer(checkpoint, sample.image, key="sample")


def answer(checkpoint: Checkpoint, image: Image.Image, key: str) -> None:
    """The answer, large; the classes as bars, and the image as the network saw it."""
    try:
        prediction = predict(checkpoint, image)
    except InputError as error:
        st.error(escaped(str(error)))
        return
    top = prediction.top(TOP_K)
    said = f"{escaped(top[0][0])} &nbsp; {percent(top[0][1])}"
    with st.container(key=f"answer-{key}"):
        st.markdown(f"## {said}" if prediction.is_sure else f"## Not sure\nThe likeliest is {said}.")
    if prediction.calibration != PLAIN:
        st.caption(escaped(in_use(prediction.calibration)))
    with st.container(horizontal=True, gap="medium"):
        bars, seen = st.container(width="stretch"), st.container(width=SEEN_PX)
    with bars:
        if len(prediction.class_names) <= MOST_BARS:
            chart = figures.class_probabilities(prediction.class_names, prediction.probabilities)
        else:
            chart = figures.probability_bars(top)
        st.plotly_chart(chart, key=f"bars-{key}", config={"displayModeBar": False}, alt="Probability of each class")
    with seen:
        image = enlarged(array_to_image(prediction.seen))
        st.image(image, caption="What the network saw", output_format="PNG", width=SEEN_PX, alt="The image as the network saw it")
        st.caption(prediction.done)


def in_use(calibration: Calibration) -> str:
    """What makes these probabilities other than the network's own."""
    threshold = f" Below {percent(calibration.threshold)} it is not sure." if calibration.threshold else ""
    return f"Probabilities at a temperature of {calibration.temperature:.3f}, fitted on {calibration.fitted_on}.{threshold}"


st.title("Predict")
if st.session_state["has-arrived"]:
    new_canvas(keep_drawing=True)
if chosen := checkpoint_choice():
    run, checkpoint = chosen
    drawing, uploading, sampling, all_at_once = st.tabs(
        ["Draw", "Upload", "From the data", "Many at once"], key="way", on_change="rerun"
    )
    with drawing:
        draw(checkpoint)
    with uploading:
        upload(checkpoint)
    with sampling:
        from_the_data(run, checkpoint)
    if all_at_once.open:
        with all_at_once:
            many(run, checkpoint)
