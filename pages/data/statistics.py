"""Figures of a set: sizes, mean image of each class, mean and deviation of each channel."""

import streamlit as st

from core.data.browse import MEAN_OF, Browser
from core.data.transforms.preprocessing import array_to_image
from core.figures import sets as figures
from pages.shared.enlarged import enlarged
from pages.shared.text import escaped

MOST_MEANS = 60  # classes


def set_figures(browser: Browser) -> None:
    store = browser.store
    channels = ("grey",) if store.meta.shape[0] == 1 else ("red", "green", "blue")
    st.header("Channels")
    rows = [
        {"Channel": channel, "Mean": mean, "Standard deviation": std}
        for channel, mean, std in zip(channels, store.meta.mean, store.meta.std, strict=True)
    ]
    number = st.column_config.NumberColumn(format="%.4f")
    st.dataframe(
        rows, hide_index=True, key="channels", width="content", column_config={"Mean": number, "Standard deviation": number}
    )
    st.caption(
        "Of the training images as they are stored, pixels from 0 to 1. Training normalises by them unless told otherwise."
    )
    sizes, aspects = st.columns(2)
    with sizes:
        st.header("Sizes as they came")
        st.plotly_chart(figures.size_scatter(store.sizes), key="sizes", config={"displayModeBar": False})
    with aspects:
        st.header("Shapes")
        st.plotly_chart(figures.aspect_histogram(store.sizes), key="aspects", config={"displayModeBar": False})
    st.header("Mean image of each class")
    st.caption(f"Of up to {MEAN_OF:,} training images of the class. What stays sharp is the same in most of them.")
    with st.container(horizontal=True, gap="medium", key="class-means"):
        for label, name in list(enumerate(browser.class_names))[:MOST_MEANS]:
            mean = _mean(store.path.name, browser.edits.revision, label, browser)
            if mean is not None:
                with st.container(width=140, gap="small"):
                    st.image(enlarged(array_to_image(mean)), width=132, output_format="PNG", alt="The mean image of the class")
                    st.caption(escaped(name))
    if len(browser.class_names) > MOST_MEANS:
        st.caption(f"The first {MOST_MEANS} of {len(browser.class_names):,} classes.")


@st.cache_data(max_entries=2000, show_spinner=False)
def _mean(store: str, revision: str, label: int, _browser: Browser):
    return _browser.class_mean(label)
