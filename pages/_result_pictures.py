"""The pictures behind the numbers: chosen by what the network made of them, opened with their probabilities and their history."""

from collections.abc import Sequence

import streamlit as st

from core.data.browse import Browser
from core.data.containers import readable
from core.data.edits import current_edits
from core.data.store import PictureStore
from core.errors import InputError
from core.figures import runs as figures
from core.inference.predictor import predict
from core.insight.gallery import Wanted, select
from core.insight.learning import Learning, learning_of
from core.insight.run_results import Judged, is_still_its_set, judged_picture, records_of, store_of
from core.runs.checkpoints import find_checkpoint
from core.runs.directory import Run
from core.runs.history import history_of
from core.wording import percent
from pages._common import inert, workspace
from pages._routes import picture_url
from pages._set_pictures import edit_buttons, last_action
from pages.large_picture import begin_at, large_picture, one_of
from pages.picture_grid import Tile, picture_grid

PAGE = 60
CHOICES = {
    "mistakes": "Mistakes", "highest loss": "Highest loss", "least certain": "Least certain", "certain and wrong": "Certain and wrong",
    "right by luck": "Right by luck", "all": "All", "suspicious labels": "Suspicious labels first", "early": "Learned early",
    "late": "Learned late", "forgotten": "Forgotten at times", "never": "Never learned",
}  # fmt: skip
EXPLAINED = {
    "highest loss": "Those whose true class was given the least probability come first.",
    "certain and wrong": "The surest mistakes come first: often wrong labels.",
    "right by luck": "Right, though less than half of the probability went to the answer.",
    "suspicious labels": "Those whose label was denied through all epochs come first: likely label errors.",
    "early": "Right within the first half of the epochs, and ever since.",
    "late": "Right only in the later half of the epochs, and ever since.",
    "forgotten": "Right after one epoch and wrong after a later one; the most often forgotten come first.",
    "never": "Wrong after every epoch. Likely label errors come first.",
}


def gallery(run: Run, judged: Judged, names: list[str]) -> None:
    store = store_of(workspace(), run)
    if store is None:
        st.info("The pictures that this run was judged on are no longer on this machine; its figures stay.")
        return
    epochs = [row["epoch"] for row in history_of(run).evaluations if row["epoch"] <= judged.epoch]
    learning = learning_of(records_of(run, epochs), judged.labels)
    wanted = filters(names)
    found = select(wanted, judged.predictions, judged.labels, learning)
    if text := EXPLAINED.get(wanted.choice):
        st.caption(text)
    if not len(found):
        st.info("No picture fits. Choose another kind, class or epoch.")
        return
    pages = (len(found) + PAGE - 1) // PAGE
    page = 1
    if pages > 1:
        page = st.number_input("Page", 1, pages, 1, key=f"gallery-page-{wanted}-{judged.epoch}", width=160)
    st.caption(f"{len(found):,} of {len(judged.labels):,} pictures")
    shown = found[(page - 1) * PAGE : page * PAGE].tolist()
    _, height, width = store.meta.shape
    picture_grid(
        [tile(store, judged, names, position) for position in shown], key=f"gallery-{run.id}", label="Evaluated pictures",
        side_px=110, ratio=width / height, on_open=lambda position: st.session_state.update({"open-judged": position}),
    )  # fmt: skip
    position = st.session_state.pop("open-judged", None)
    if position in found:
        begin_at("judged-shown", found.tolist().index(position))
        one_picture(run, store, judged, found, learning)


def filters(names: list[str]) -> Wanted:
    first, second, third = st.columns(3)
    choice = first.selectbox("Show", list(CHOICES), format_func=CHOICES.get, key="gallery-choice", persist_state="session")
    everything = [None, *range(len(names))]

    def called(k: int | None) -> str:
        return "any" if k is None else names[k]

    for key in ("gallery-true", "gallery-predicted"):
        if st.session_state.get(key) not in everything:  # of another run's classes
            st.session_state[key] = None
    true = second.selectbox("True class", everything, format_func=called, key="gallery-true", persist_state="session")
    predicted = third.selectbox(
        "Predicted class", everything, format_func=called, key="gallery-predicted", persist_state="session"
    )
    return Wanted(choice, true, predicted)


def tile(store: PictureStore, judged: Judged, names: list[str], position: int) -> Tile:
    predicted, true = int(judged.predictions.predicted[position]), int(judged.labels[position])
    index = int(judged.indices[position])
    mark = "✓" if predicted == true else "✗"
    lines = [f"{mark} {names[predicted]} ({percent(float(judged.predictions.confidence[position]), 0)})"]
    if predicted != true:
        lines.append(f"true: {names[true]}")
    lines.append(readable(store.key(index)).rpartition("/")[2])
    return Tile(position, (picture_url(store.path.name, index),), tuple(lines))


@st.dialog("Picture", width="large")
def one_picture(run: Run, store: PictureStore, judged: Judged, found: Sequence[int], learning: Learning) -> None:
    """One of those that were found, with its neighbours a click away."""
    position = int(found[one_of(len(found), "judged-shown")])
    index = int(judged.indices[position])
    picture = judged_picture(workspace(), run, position)
    left, right = st.columns([3, 2])
    with left:
        large_picture(store, index, key="judged-picture", alt=picture.file, height_share=0.5)
        width, height = store.sizes[index].tolist()
        st.markdown(f"True class: **{inert(picture.true)}**  \n{inert(picture.file)}, {width} × {height} pixels")
    with right:
        try:
            said = predict(find_checkpoint(run, "last"), picture.picture)
            st.caption("What the last checkpoint says of it")
            st.plotly_chart(
                figures.probability_bars(said.top(5)), key=f"judged-bars-{position}", config={"displayModeBar": False}
            )
        except InputError as error:
            st.caption(inert(str(error)))
        records = records_of(run, learning.epochs)
        if len(records) > 1:
            epochs = sorted(records)
            st.plotly_chart(
                figures.picture_history(
                    epochs, [float(records[e].true_probability[position]) for e in epochs],
                    [records[e].predicted[position] == judged.labels[position] for e in epochs],
                ),
                key=f"judged-history-{position}", config={"displayModeBar": False},
            )  # fmt: skip
            st.caption(_course(learning, position))
    dataset = run.config.data.dataset
    if not is_still_its_set(workspace(), run, store):
        st.caption("The set of this name holds other pictures by now, so nothing can be changed about them from here.")
        return
    st.caption("Changes are kept with the set, and new runs use them; this run stays as it is.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        edit_buttons(dataset, Browser(store, current_edits(workspace(), dataset)), [index], f"judged-{position}")
    last_action(dataset)


def _course(learning: Learning, position: int) -> str:
    """How it was learned, in words."""
    at, forgotten = int(learning.learned_at[position]), int(learning.forgotten[position])
    if not at:
        return "Never right so far."
    times = {0: "and never forgotten", 1: "and forgotten once"}.get(forgotten, f"and forgotten {forgotten} times")
    return f"First right after epoch {at}, {times}."
