"""What a network is made of: its figures, its graph, its layers, for any size of image and number of classes."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.config import CatalogueNetwork, ModelConfig
from core.data.catalogue import DATASETS
from core.errors import InputError
from core.figures.network_graph import in_words, network_svg, open_at_first
from core.models.card import ModelCard, model_card
from core.models.catalogue import MODELS, model_summary, model_title
from core.models.own_networks import own_networks
from core.recipes import RECIPES
from core.running.plan import plan_run
from core.runs.directory import find_run
from core.runs.history import model_now
from core.settings import config_from
from core.wording import large, share, size
from pages.components.network_graph import network_graph
from pages.networks.gradients import gradients_view
from pages.shared.network_choice import ASKED
from pages.shared.run_row import title_of
from pages.shared.session import workspace
from pages.shared.text import escaped, for_people
from pages.train.settings_form import begin_with_network

PHOTOGRAPH, CLASSES = (3, 224, 224), 10
PARTS = ("Graph", "Layers", "As PyTorch prints it", "Gradients")


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A network that can be looked at, and the images (C, H, W) and classes for which it is shown first."""

    title: str
    config: ModelConfig
    shape: tuple[int, int, int]
    num_classes: int


def model_card_view() -> None:
    offers = _offers()
    asked = f"run:{run}" if (run := st.query_params.get("run")) else st.query_params.get("model", "")
    st.session_state.setdefault("network", asked if asked in offers else next(iter(offers)))
    if st.session_state["network"] not in offers:  # deleted meanwhile
        st.session_state["network"] = next(iter(offers))
    left, *fields = st.columns([3, 1, 1, 1], vertical_alignment="bottom")
    chosen = left.selectbox("Network", list(offers), key="network", format_func=lambda name: offers[name].title)
    offer = offers[chosen]
    if not chosen.startswith("run:"):
        st.query_params["model"] = chosen
    channels, height, width = offer.shape
    with fields[0]:
        colour = st.selectbox(
            "Images", (1, 3), (1, 3).index(channels), key=f"{chosen}-channels", format_func={1: "grey", 3: "colour"}.get
        )
    with fields[1]:
        side = st.number_input("Size (px)", 1, 2048, height, key=f"{chosen}-side", help="Height and width of the images.")
    with fields[2]:
        classes = st.number_input("Classes", 1, 100_000, offer.num_classes, key=f"{chosen}-classes")
    config = offer.config
    if isinstance(config, CatalogueNetwork) and MODELS[config.name].family:
        heads = {"replaced": "Last layer replaced", "appended": "A layer appended"}
        head = st.segmented_control(
            "Last layer",
            list(heads),
            default=config.head,
            format_func=heads.get,
            key=f"{chosen}-head",
            required=True,
            label_visibility="collapsed",
        )
        config = config.model_copy(update={"head": head})
    st.caption(escaped(model_summary(config)))
    shape = (colour, side, side if (side, height) != (height, height) else width)
    try:
        card = model_card(config, shape, classes)
    except InputError as error:
        st.error(escaped(for_people(error)))
        return
    _figures(card)
    with st.container(horizontal=True, vertical_alignment="center"):
        part = st.segmented_control(
            "Part", PARTS, default=PARTS[0], key="network-part", label_visibility="collapsed", required=True
        )
        if st.button("Train it", key="train-network"):
            begin_with_network(config, shape)
            st.switch_page("train/train.py")
    match part:
        case "Graph":
            _graph(card, chosen)
        case "Layers":
            _table(card)
        case "Gradients":
            gradients_view(config, shape)
        case _:
            st.code(card.tree, language=None)


def _offers() -> dict[str, Offer]:
    """By a code that the address can name: that of the run in the address or of the form, those of the catalogue, one's own."""
    found: dict[str, Offer] = {}
    if asked := st.session_state.get(ASKED):
        config = config_from({"model": asked["model"]}).model
        found[ASKED] = Offer(
            title=f"{model_title(config)}, as set up on the Train page",
            config=config,
            shape=asked["shape"],
            num_classes=asked["num_classes"],
        )
    if run_id := st.query_params.get("run"):
        try:
            run = find_run(workspace(), run_id)
            plan = plan_run(workspace(), run.config)
        except InputError as error:
            st.warning(escaped(for_people(error)))
        else:
            spec = plan.dataset
            found[f"run:{run.id}"] = Offer(
                title=f"That of {title_of(run)}", config=model_now(run), shape=spec.shape, num_classes=spec.num_classes
            )
    made_for = {recipe.config.model.name: DATASETS.get(recipe.config.data.dataset) for recipe in reversed(RECIPES.values())}
    for name, record in MODELS.items():
        data = made_for.get(name)
        found[name] = Offer(
            title=record.title,
            config=CatalogueNetwork(name=name),
            shape=data.shape if data else PHOTOGRAPH,
            num_classes=data.num_classes if data else CLASSES,
        )
    mnist = DATASETS["mnist"]
    for name, network in own_networks(workspace()).items():
        found[f"own:{name}"] = Offer(title=f"{name} (yours)", config=network, shape=mnist.shape, num_classes=mnist.num_classes)
    return found


def _figures(card: ModelCard) -> None:
    trainable = card.num_trainable / card.num_parameters if card.num_parameters else 0.0
    receptive = card.receptive_px
    sides = sorted(set(receptive)) if receptive else []
    figures = {
        "Parameters": (large(card.num_parameters), "Numbers that training finds."),
        "Trainable": (share(trainable), "The share of them that training changes."),
        "Multiply-adds": (
            large(card.num_multiply_adds),
            "Of its convolutions and matrix products, for one image: what a prediction costs.",
        ),
        "File size": (size(card.num_bytes), "Of its weights in float32, and the running means of its norms."),
        "Activations": (size(card.activation_bytes), "Memory of all that its layers give out, for one image in float32."),
        "Receptive field": (
            f"{' × '.join(map(str, sides))} px" if sides else "–",
            "How large a square of the image one value of the last convolution's maps can see.",
        ),
    }
    with st.container(horizontal=True, gap="medium", key="figures"):
        for label, (value, about) in figures.items():
            st.metric(label, value, width="content", help=about)


def _graph(card: ModelCard, chosen: str) -> None:
    state: dict[str, Any] = st.session_state.setdefault("network-open", {})
    about = [chosen, *card.shape, card.num_classes]
    if state.get("of") != about:
        state.update({"of": about, "blocks": sorted(open_at_first(card))})

    def toggle(block: str) -> None:
        blocks = set(state["blocks"]) ^ {block}
        state["blocks"] = sorted(path for path in blocks if path in card.blocks)

    if card.blocks:
        st.caption("A click on a block opens it into its layers, a click on the name of an open one folds it.")
    network_graph(network_svg(card, frozenset(state["blocks"])), key="network-graph", name=card.title, on_toggle=toggle)


def _table(card: ModelCard) -> None:
    rows = [
        {
            "Layer": operation.path if operation.is_layer else f"{operation.path} ({operation.kind})".strip(),
            "Kind": operation.kind,
            "Settings": operation.settings,
            "Output": in_words(operation.shape),
            "Parameters": operation.num_parameters,
            "Trainable": operation.num_trainable,
            "Multiply-adds": operation.num_multiply_adds,
            "Memory": size(operation.num_bytes) if operation.num_bytes else "–",
            "Sees": f"{operation.receptive_px[0]} × {operation.receptive_px[1]} px" if operation.receptive_px else "–",
        }
        for operation in card.operations[1:]
    ]
    number = st.column_config.NumberColumn(format="localized")
    st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(rows), 700),
        key="network-layers",
        column_config={
            "Parameters": number,
            "Trainable": number,
            "Multiply-adds": number,
            "Memory": st.column_config.TextColumn(help="Of its output for one image; none where it changes its input in place."),
            "Sees": st.column_config.TextColumn(
                help="Receptive field: the square of the image that one value of its output can see."
            ),
        },
    )
