"""The images that were fixed and those that were broken, opened with what both runs said of them in the course of their epochs."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from core.data.sources.containers import readable
from core.data.store.image_store import ImageStore
from core.figures import comparison as figures
from core.insight.comparison import Answers, Comparison
from core.insight.prediction_history import prediction_history
from core.insight.run_results import store_of
from core.runs.records import evaluated_images
from core.wording import counted, percent
from pages._routes import image_url
from pages.compare.choice import Contender
from pages.components.image_grid import Tile, image_grid
from pages.components.large_image import begin_at, large_image, one_of
from pages.shared.gallery_choice import ANY
from pages.shared.session import workspace
from pages.shared.text import escaped

PAGE = 60
KINDS = {"fixed": "Fixed", "broken": "Broken"}


def changed_images(comparison: Comparison, a: Contender, epoch_a: int, b: Contender, epoch_b: int, is_live: bool) -> None:
    """One of the two galleries, of all classes or one; as of these epochs, until something is chosen anew."""
    store, indices = images_of(comparison, a, b)
    if store is None:
        st.info("These images are no longer on this machine; the figures stay.")
        return
    numbers = {"fixed": comparison.fixed, "broken": comparison.broken}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control(
            "Images",
            list(KINDS),
            default="fixed",
            key="compare-kind",
            required=True,
            persist_state="session",
            format_func=lambda kind: f"{KINDS[kind]} ({len(numbers[kind]):,})",
        )
        found = of_class(comparison, numbers[kind])
        if is_live:
            st.button("Update the images", key="compare-update", help="They stay as they are while a run goes on.")
    called = f"after epoch {epoch_a} of {a.letter} and {epoch_b} of {b.letter}"
    if not len(found):
        st.info(f"No image was {kind} {called}.")
        return
    pages = (len(found) + PAGE - 1) // PAGE
    page = 1
    if pages > 1:
        page = st.number_input(
            f"Page of {pages}", 1, pages, 1, key=f"compare-page-{kind}-{a.run.id}-{b.run.id}-{pages}", width=160
        )
    st.caption(f"{counted(len(found), 'image')}, {called}; those that changed most come first.")
    _, height, width = store.meta.shape
    image_grid(
        [_tile(comparison, store, indices, a, b, place) for place in found[(page - 1) * PAGE : page * PAGE].tolist()],
        key="compare-pictures",
        label=f"{KINDS[kind]} images",
        side_px=120,
        ratio=width / height,
        # marked as open at once: an update of the live part that comes first would close it
        on_open=lambda place: st.session_state.update({"open-compared": place, "compared-is-open": True}),
    )
    place = st.session_state.pop("open-compared", None)
    if place is not None:
        among = found if place in found else np.array([place])  # a run that trains may have learned it meanwhile
        begin_at("compared-shown", among.tolist().index(place))
        one_image(comparison, store, indices, among, a, b)


def images_of(comparison: Comparison, a: Contender, b: Contender) -> tuple[ImageStore | None, np.ndarray]:
    """The store of one of the two runs, and where in it each compared image lies."""
    for contender, positions in ((b, comparison.matching.in_b), (a, comparison.matching.in_a)):
        if store := store_of(workspace(), contender.run):
            return store, evaluated_images(contender.run)[0][positions]
    return None, np.zeros(0, int)


def of_class(comparison: Comparison, found: np.ndarray) -> np.ndarray:
    """Those of the chosen class."""
    names, labels = comparison.matching.names, comparison.matching.labels
    classes = [ANY, *np.unique(labels).tolist()]
    if st.session_state.get("compare-class") not in classes:
        st.session_state["compare-class"] = ANY
    chosen = st.selectbox(
        "True class",
        classes,
        format_func=lambda k: "any" if k == ANY else names[k],
        key="compare-class",
        persist_state="session",
        width=220,
    )
    return found if chosen == ANY else found[labels[found] == chosen]


def _tile(comparison: Comparison, store: ImageStore, indices: np.ndarray, a: Contender, b: Contender, place: int) -> Tile:
    lines = (f"true: {comparison.matching.names[comparison.matching.labels[place]]}", *said_by_both(comparison, a, b, place))
    return Tile(id=place, urls=(image_url(store.path.name, int(indices[place])),), lines=lines)


def said_by_both(comparison: Comparison, a: Contender, b: Contender, place: int) -> tuple[str, str]:
    """ "A: 5 (80 %)" and "B: 3 (97 %)"."""

    def said(letter: str, answers: Answers) -> str:
        return f"{letter}: {comparison.matching.names[answers.predicted[place]]} ({percent(answers.confidence[place], 0)})"

    called = (a.letter, b.letter) if a != b else ("before", "after")
    return said(called[0], comparison.a), said(called[1], comparison.b)


def closed() -> None:
    st.session_state["compared-is-open"] = False


@st.dialog("Image", width="large", on_dismiss=closed)
def one_image(
    comparison: Comparison, store: ImageStore, indices: np.ndarray, found: Sequence[int], a: Contender, b: Contender
) -> None:
    """One of the gallery, with its neighbours a click away."""
    matching, place = comparison.matching, int(found[one_of(len(found), "compared-shown")])
    index, name = int(indices[place]), matching.names[matching.labels[place]]
    file = readable(store.key(index))
    left, right = st.columns([3, 2])
    with left:
        large_image(store, index, key="compared-picture", alt=file, height_share=0.5)
        width, height = store.sizes[index].tolist()
        st.markdown(f"True class: **{escaped(name)}**  \n{escaped(file)}, {width} × {height} pixels")
    with right:
        st.markdown("  \n".join(escaped(line) for line in said_by_both(comparison, a, b, place)))
        pairs = ((a, matching.in_a), (b, matching.in_b)) if a != b else ((a, matching.in_a),)
        prediction_histories = [(c.letter, c.place, prediction_history(c.run, int(positions[place]))) for c, positions in pairs]
        st.plotly_chart(
            figures.two_prediction_histories(prediction_histories),
            key=f"compared-course-{place}",
            config={"displayModeBar": False},
        )
        st.caption("Probability of the true class after each epoch; a filled point is right.")
