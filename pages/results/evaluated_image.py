"""One evaluated image, large: all that is said of it, its course over the epochs, and what can be done with it."""

from collections.abc import Sequence

import streamlit as st

from core.data.browse import Browser
from core.data.edits import AS_DELIVERED, current_edits
from core.data.store.image_store import ImageStore
from core.errors import InputError
from core.figures import runs as figures
from core.inference.predictor import predict
from core.insight.learning import Learning
from core.insight.prediction_history import learning_until, prediction_history
from core.insight.run_results import EvaluatedImages, checkpoint_for, dataset_of, image_at, images_of, is_still_its_set
from core.runs.directory import Run
from core.runs.pins import pin, pins_of, unpin
from pages.components.large_image import begin_at, large_image, one_of
from pages.data.images import edit_buttons, last_action
from pages.shared.session import choose_run, workspace
from pages.shared.text import escaped
from pages.train.settings_form import begin_with

MOST_CLASSES = 20  # of the bars


def open_image(run: Run, evaluated: EvaluatedImages, names: list[str], among: Sequence[int]) -> None:
    """Shows the image that was clicked large, its neighbours among these a click away."""
    position = st.session_state.pop("open-evaluated", None)
    if position is not None and 0 <= position < len(evaluated.labels):
        among = list(among) if position in among else [position]  # a run that trains may have learned it meanwhile
        begin_at("evaluated-shown", among.index(position))
        one_image(run, evaluated, names, among, learning_until(run, evaluated))


@st.dialog("Image", width="large", on_dismiss="rerun")
def one_image(run: Run, evaluated: EvaluatedImages, names: list[str], among: Sequence[int], learning: Learning | None) -> None:
    position = int(among[one_of(len(among), "evaluated-shown")])
    st.session_state[f"looked-at-{run.id}"] = position
    index = int(evaluated.indices[position])
    store = images_of(workspace(), run, evaluated)
    image = image_at(store, index, names[evaluated.labels[position]])
    left, right = st.columns([3, 2])
    with left:
        large_image(store, index, key="evaluated-picture", alt=image.file, height_share=0.5)
        width, height = store.sizes[index].tolist()
        predicted = escaped(names[int(evaluated.predictions.predicted[position])])
        st.markdown(
            f"True class: **{escaped(image.true)}**, predicted: **{predicted}**  \n{escaped(image.file)}, {width} × {height} pixels"
        )
    with right:
        probabilities(run, evaluated, image.image, position)
        if learning:
            prediction_history_chart(run, learning, position)
    if evaluated.evaluation is None:
        pin_button(run, position, len(evaluated.labels))
    if st.button(
        "Look inside", key=f"look-inside-{position}", help="Activations, filters and evidence for this image.", on_click=_inside
    ):
        st.rerun()
    what_to_do(run, evaluated, store, index, position)


def _inside() -> None:
    st.session_state["result-view"] = "Explain"


def probabilities(run: Run, evaluated: EvaluatedImages, image, position: int) -> None:
    """Of all classes, by the checkpoint of the epoch shown, or the last one where that is not kept."""
    try:
        checkpoint = checkpoint_for(run, evaluated)
        said = predict(checkpoint, image)
    except InputError as error:
        st.caption(escaped(str(error)))
        return
    doubt = "" if said.is_sure else f" Below the threshold of {said.calibration.threshold:.0%}: not sure."
    fewer = f", its {MOST_CLASSES} likeliest classes" if len(said.class_names) > MOST_CLASSES else ""
    st.caption(f"Prediction of {checkpoint.name}{fewer}.{doubt}")
    bars = figures.probability_bars(said.top(MOST_CLASSES))
    st.plotly_chart(bars, key=f"evaluated-bars-{position}", config={"displayModeBar": False})


def prediction_history_chart(run: Run, learning: Learning, position: int) -> None:
    """How it was learned, as a curve and in words."""
    found = prediction_history(run, position)
    if len(found.epochs) < 2:
        return
    chart = figures.image_history(found.epochs, found.probability, found.is_right)
    st.plotly_chart(chart, key=f"evaluated-history-{position}", config={"displayModeBar": False})
    at, forgotten = int(learning.learned_at[position]), int(learning.forgotten[position])
    times = {0: "and never forgotten", 1: "and forgotten once"}.get(forgotten, f"and forgotten {forgotten} times")
    by_chance = "Correct by chance before training. " if found.epochs[0] == 0 and found.is_right[0] else ""
    st.caption(f"{by_chance}{f'First correct after epoch {at}, {times}.' if at else 'Never correct so far.'}")


def pin_button(run: Run, position: int, total: int) -> None:
    is_pinned = position in pins_of(run, total)
    st.button(
        "Unpin" if is_pinned else "Pin",
        key=f"pin-{position}",
        on_click=unpin if is_pinned else pin,
        args=(run, position, total),
        help="Pinned images are followed from epoch to epoch under Epochs.",
    )


def what_to_do(run: Run, evaluated: EvaluatedImages, store: ImageStore, index: int, position: int) -> None:
    """Relabel, leave out, flag: in the set that the image is of."""
    dataset = dataset_of(run, evaluated)
    if not is_still_its_set(workspace(), dataset, store):
        st.caption("The set of this name holds other images by now, so nothing can be changed about them from here.")
        return
    st.caption("Changes are kept with the set, and new runs use them; this run stays as it is.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        edit_buttons(dataset, Browser(store, current_edits(workspace(), dataset)), [index], f"evaluated-{position}")
    last_action(dataset)
    train_again(run, key="train-again-from-picture")


def train_again(run: Run, key: str) -> None:
    """Offered once the run's set was edited after its start."""
    data = run.config.data
    edits = current_edits(workspace(), data.dataset)
    if data.edits == AS_DELIVERED or edits.revision == data.edits:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"The set was edited since this run began: {escaped(edits.summary) or 'as delivered again'}.", width="content"
        )
        if st.button("Train again with it", key=key):
            begin_with(run)
            choose_run(None)
            st.switch_page("train/train.py")
