"""How large each layer's gradient is on one batch of a set."""

from collections.abc import Sequence

import streamlit as st

from core.config import ModelConfig
from core.data.catalogue import DATASETS
from core.data.imports import imported_sets
from core.data.sets import own_store
from core.errors import InputError
from core.figures.gradients import gradient_sizes
from core.inference.gradients import GradientCheck, LayerGradient, gradient_check
from core.wording import counted
from pages.components.live_chart import live_chart
from pages.shared.session import workspace
from pages.shared.text import escaped, for_people

SEED = 1
STATES = {
    "dead": "has no gradient at all: it can't learn from these images",
    "small": "learns more than a hundred times slower than the others",
    "large": "would move more than a hundred times faster than the others",
    "not finite": "has a gradient that is not a number",
}


def gradients_view(config: ModelConfig, shape: tuple[int, int, int]) -> None:
    """shape: (C, H, W) to which the images of a set are brought."""
    stores = {name: store for name in (*DATASETS, *imported_sets(workspace())) if (store := own_store(workspace(), name))}
    if not stores:
        st.info("No images have been read yet. Open a set on the Data page first.")
        return
    as_they_are = [name for name, store in stores.items() if store.meta.shape == shape]
    name = st.selectbox(
        "On a batch of",
        list(stores),
        list(stores).index(as_they_are[0]) if as_they_are else 0,
        key="gradients-set",
        format_func=lambda name: DATASETS[name].title if name in DATASETS else name,
        width=320,
    )
    try:
        check = _checked(config.model_dump_json(), stores[name].path.name, shape, config, name)
    except InputError as error:
        st.error(escaped(for_people(error)))
        return
    brought = "" if stores[name].meta.shape == shape else f" brought to {' × '.join(map(str, shape))}"
    st.caption(
        f"Fresh weights, {counted(check.num_images, 'image')}{brought}, one step backwards. Loss {check.loss:.2f}; guessing all classes alike "
        f"costs {check.uniform:.2f}."
    )
    live_chart(gradient_sizes(check), key="gradients", alt="Size of the gradient of each layer")
    _notable([layer for layer in check.layers if layer.state != "ok"])


def _notable(layers: Sequence[LayerGradient]) -> None:
    if not layers:
        st.caption(":green[:material/check_circle:] Every layer learns; none stands out.")
    for layer in layers:
        st.warning(f"**{escaped(layer.path)}** ({layer.kind}) {STATES[layer.state]}.")


@st.cache_data(max_entries=50, show_spinner="Going one step backwards")
def _checked(model: str, store: str, shape: tuple[int, int, int], _config: ModelConfig, _name: str) -> GradientCheck:
    found = own_store(workspace(), _name)
    assert found, "it was there a moment ago"
    return gradient_check(_config, found, SEED, shape)
