"""The images behind the numbers: chosen by what the network made of them."""

import streamlit as st

from core.data.browse import Browser
from core.data.edits import current_edits
from core.data.sources.containers import readable
from core.data.store.image_store import ImageStore
from core.insight.gallery import Wanted, select
from core.insight.learning import Learning
from core.insight.prediction_history import learning_until
from core.insight.run_results import EvaluatedImages, dataset_of, images_of, is_still_its_set
from core.runs.directory import Run
from core.wording import percent
from pages._routes import image_url
from pages.components.image_grid import Tile, image_grid
from pages.data.images import edited
from pages.results.evaluated_image import open_image, train_again
from pages.shared.gallery_choice import ANY
from pages.shared.session import workspace

PAGE = 60
CHOICES = {
    "mistakes": "Mistakes",
    "highest loss": "Highest loss",
    "least certain": "Least certain",
    "certain and wrong": "Confidently wrong",
    "right by luck": "Correct with low confidence",
    "all": "All",
    "suspicious labels": "Suspicious labels first",
    "early": "Learned early",
    "late": "Learned late",
    "forgotten": "Forgotten at times",
    "never": "Never learned",
}
LEARNED = ("early", "late", "forgotten", "never")  # known of the images that were evaluated after each epoch
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


def gallery(run: Run, evaluated: EvaluatedImages, names: list[str]) -> None:
    store = images_of(workspace(), run, evaluated)
    if store is None:
        st.info("The images that this run was evaluated on are no longer on this machine; its figures stay.")
        return
    train_again(run, key="train-again")
    learning = learning_until(run, evaluated)
    wanted = filters(names, learning)
    found = select(wanted, evaluated.predictions, evaluated.labels, learning)
    if text := EXPLAINED.get(wanted.choice):
        st.caption(text)
    if not len(found):
        st.info("No image fits. Choose another kind, class or epoch.")
        return
    pages = (len(found) + PAGE - 1) // PAGE
    page = 1
    if pages > 1:
        page = st.number_input("Page", 1, pages, 1, key=f"gallery-page-{wanted}-{evaluated.epoch}", width=160)
    st.caption(f"{len(found):,} of {len(evaluated.labels):,} images")
    shown = found[(page - 1) * PAGE : page * PAGE].tolist()
    dataset = dataset_of(run, evaluated)
    browser = None
    if is_still_its_set(workspace(), dataset, store):
        browser = Browser(store, current_edits(workspace(), dataset))
    _, height, width = store.meta.shape
    image_grid(
        [tile(store, evaluated, names, position, browser=browser) for position in shown],
        key=f"gallery-{run.id}",
        label="Evaluated images",
        side_px=110,
        ratio=width / height,
        on_open=lambda position: st.session_state.update({"open-evaluated": position}),
    )
    open_image(run, evaluated, names, found)


def filters(names: list[str], learning: Learning | None) -> Wanted:
    first, second, third = st.columns(3)
    choices = [choice for choice in CHOICES if (learning and learning.epochs) or choice not in LEARNED]
    if st.session_state.get("gallery-choice") not in choices:
        st.session_state["gallery-choice"] = choices[0]
    choice = first.selectbox("Show", choices, format_func=CHOICES.get, key="gallery-choice", persist_state="session")
    everything = [ANY, *range(len(names))]

    def called(k: int) -> str:
        return "any" if k == ANY else names[k]

    for key in ("gallery-true", "gallery-predicted"):
        if st.session_state.get(key) not in everything:  # of another run's classes
            st.session_state[key] = ANY
    true = second.selectbox("True class", everything, format_func=called, key="gallery-true", persist_state="session")
    predicted = third.selectbox(
        "Predicted class", everything, format_func=called, key="gallery-predicted", persist_state="session"
    )
    return Wanted(choice, *(None if k == ANY else k for k in (true, predicted)))


def tile(
    store: ImageStore,
    evaluated: EvaluatedImages,
    names: list[str],
    position: int,
    with_truth: bool = False,
    browser: Browser | None = None,
) -> Tile:
    """with_truth: the probability of the true class also where another was predicted. browser: for what was done to the image since."""
    predicted, true = int(evaluated.predictions.predicted[position]), int(evaluated.labels[position])
    index = int(evaluated.indices[position])
    mark = "✓" if predicted == true else "✗"
    lines = [f"{mark} {names[predicted]} ({percent(float(evaluated.predictions.confidence[position]), 0)})"]
    if predicted != true:
        probability = f" ({percent(float(evaluated.predictions.true_probability[position]), 0)})" if with_truth else ""
        lines.append(f"true: {names[true]}{probability}")
    lines.append(readable(store.key(index)).rpartition("/")[2])
    lines += edited(browser, index) if browser else []
    return Tile(
        id=position,
        urls=(image_url(store.path.name, index),),
        lines=tuple(lines),
        dimmed=browser is not None and not browser.kept[index],
        edge="right" if predicted == true else "wrong",
    )
