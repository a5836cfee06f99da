"""How a set is divided for training: as delivered, or by shares with a seed."""

import numpy as np
import streamlit as st

from core.config import DataConfig
from core.data.browse import Browser
from core.data.sets import divide, lacking_in
from core.errors import InputError
from core.figures import sets as figures
from pages.shared.session import workspace
from pages.shared.text import escaped
from pages.train.settings_form import begin_with_set

WAYS = {"delivered": "As provided", "shares": "Random split of all images"}


def set_splits(name: str, browser: Browser) -> None:
    store = browser.store
    delivered = [split for split in store.meta.splits if split != "train"]
    st.markdown(
        f"It brings its own {' and '.join(delivered)} split."
        if delivered
        else "No predefined split: a part is held out to evaluate the network on."
    )
    way = "shares"
    if delivered:
        way = st.radio("Splits", list(WAYS), format_func=WAYS.get, key="split-way", horizontal=True, persist_state="session")
    lacks_test = way == "shares" or "test" not in delivered
    lacks_validation = way == "shares" or "validation" not in delivered
    of = "all images" if way == "shares" else "the training images"
    first, second, third = st.columns(3)
    validation = first.number_input(
        "Validation share (%)",
        0,
        90,
        20 if way == "shares" else 0,
        key=f"split-validation-{way}",
        disabled=not lacks_validation,
        help=f"Of {of}, class by class. The network is evaluated on it while it learns.",
        persist_state="session",
    )
    test = second.number_input(
        "Test share (%)",
        0,
        90,
        0,
        key=f"split-test-{way}",
        disabled=not lacks_test,
        persist_state="session",
        help=f"Of {of}, class by class. Kept for the last word on a network whose settings were chosen by the validation split.",
    )
    seed = third.number_input(
        "Seed", 0, 2**32 - 1, 0, key="split-seed", help="The same seed holds out the same images.", persist_state="session"
    )
    try:
        config = DataConfig(
            dataset=name,
            split_by=way,
            validation_fraction=validation / 100 if lacks_validation else 0,
            test_fraction=test / 100 if lacks_test else 0,
            split_seed=seed,
            edits=browser.edits.revision,
        )
    except ValueError:
        st.error(f"Validation and test share together take {validation + test} %: at most 90 % can be held out.")
        return
    try:
        division = divide(workspace(), store, config)
    except InputError as error:
        st.error(escaped(str(error)))
        return
    counts = {
        split: dict(zip(division.class_names, _counts(division.labels[indices], len(division.class_names)), strict=True))
        for split, indices in division.splits.items()
    }
    st.markdown(", ".join(f"**{len(indices):,}** {split}" for split, indices in division.splits.items()) + ".")
    missing = lacking_in(store, division, config)
    for sentence in missing:
        st.warning(escaped(sentence))
    shares = "Other classes keep their share." if missing else "Every class keeps its share."
    st.caption(f"{shares} Duplicates stay in the same split. Each run keeps its own division.")
    st.plotly_chart(figures.class_histogram(counts), key="split-classes", config={"displayModeBar": False})
    evaluation_splits = [split for split in ("validation", "test") if split in division.splits]
    if not evaluation_splits:
        st.info("Nothing is left to evaluate the network on: hold out a validation or a test share.")
    elif st.button("Train with these splits", key="train-with-splits"):
        begin_with_set(name)
        st.session_state.changes |= {
            "data.split_by": config.split_by,
            "data.validation_fraction": config.validation_fraction,
            "data.test_fraction": config.test_fraction,
            "data.split_seed": seed,
            "data.evaluate_on": evaluation_splits[0],
        }
        st.switch_page("train/train.py")


def _counts(labels: np.ndarray, num_classes: int) -> list[int]:
    return np.bincount(labels, minlength=num_classes).tolist()
