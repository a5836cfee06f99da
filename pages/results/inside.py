"""A look inside: what a checkpoint's network makes of one image, where it finds the evidence, and its filters."""

import random
from collections.abc import Sequence

import numpy as np
import streamlit as st
from PIL import Image

from core.data.transforms.preprocessing import array_to_image
from core.errors import InputError
from core.figures import inside as figures
from core.figures.runs import probability_bars
from core.inference import layers as look
from core.inference import saliency
from core.inference.kept_occlusion import Covering, kept_occlusion, occlusion_for, occlusion_request
from core.inference.layers import Layer
from core.inference.predictor import Prediction, network_of, predict
from core.insight.run_results import EvaluatedImages, image_at, images_of
from core.models.network_spec import NetworkSpec
from core.runs.checkpoints import Checkpoint
from core.runs.directory import Run
from core.wording import counted, percent
from pages.results.checkpoint_choice import checkpoint_choice
from pages.shared.actions import do
from pages.shared.enlarged import enlarged
from pages.shared.session import workspace
from pages.shared.text import escaped
from pages.shared.upload import uploaded_image
from pages.shared.work import begin, going_on_for, work_on

SIDE_PX = 260
TOP_K = 5
MOST_BARS = 128
PREDICTED, MEAN = -1, -1  # in the place of a class, of a channel
NOTHING = 1e-4  # of a probability: less is rounding


def inside(run: Run, evaluated: EvaluatedImages, names: list[str]) -> None:
    checkpoint = checkpoint_choice(run, evaluated, "inside")
    if checkpoint is None:
        return
    image = chosen_image(run, evaluated, names)
    if image is None:
        return
    try:
        said = predict(checkpoint, image)
        model, spec = network_of(checkpoint)
    except InputError as error:
        st.error(escaped(str(error)))
        return
    layers = look.layers_of(spec)
    what_it_says(said)
    evidence(run, checkpoint, model, spec, layers, said)
    what_a_layer_does(model, spec, layers, said)


def chosen_image(run: Run, evaluated: EvaluatedImages, names: list[str]) -> Image.Image | None:
    """One of the evaluated ones, or one from outside."""
    source = st.segmented_control(
        "Image from",
        ["Evaluated images", "Upload"],
        default="Evaluated images",
        key="inside-source",
        required=True,
        label_visibility="collapsed",
    )
    return uploaded_image("inside-upload") if source == "Upload" else chosen_evaluated(run, evaluated, names)


def chosen_evaluated(run: Run, evaluated: EvaluatedImages, names: list[str]) -> Image.Image | None:
    total, store = len(evaluated.labels), images_of(workspace(), run, evaluated)
    if store is None or not total:
        st.info(
            "The images that this run was evaluated on are no longer on this machine. Upload one to look inside all the same."
        )
        return None
    state, box = st.session_state, f"inside-number-{run.id}"
    at = min(max(0, state.get(f"looked-at-{run.id}", 0)), total - 1)

    def turn_to(position: int) -> None:
        state[f"looked-at-{run.id}"] = position

    state[box] = at + 1
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input(
            "Image",
            1,
            total,
            key=box,
            width=150,
            on_change=lambda: turn_to(state[box] - 1),
            help="By its number among those the run was evaluated on. It begins with the one last opened large.",
        )
        st.button("Previous", key="inside-previous", disabled=at == 0, on_click=turn_to, args=(at - 1,))
        st.button("Next", key="inside-next", disabled=at == total - 1, on_click=turn_to, args=(at + 1,))
        st.button("Another one", key="inside-another", on_click=turn_to, args=(random.randrange(total),))
    image = image_at(store, int(evaluated.indices[at]), names[evaluated.labels[at]])
    st.caption(f"{escaped(image.file)}, true class: **{escaped(image.true)}**")
    return image.image


def what_it_says(said: Prediction) -> None:
    seen, bars = st.columns([1, 2])
    with seen:
        _, height, width = said.seen.shape
        show(array_to_image(said.seen), "The image as the network sees it", f"What the network sees: {width} × {height} pixels")
    with bars:
        st.plotly_chart(
            probability_bars(said.top(TOP_K)), key="inside-bars", config={"displayModeBar": False}, alt="Likeliest classes"
        )


def evidence(
    run: Run, checkpoint: Checkpoint, model: object, spec: NetworkSpec, layers: Sequence[Layer], said: Prediction
) -> None:
    """Grad-CAM and occlusion for one class."""
    st.header("Saliency: where it looks")
    predicted = int(said.probabilities.argmax())
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            "For the class",
            [PREDICTED, *range(len(said.class_names))],
            key=f"inside-class-{len(said.class_names)}",
            width=260,
            persist_state="session",
            format_func=lambda k: f"{said.class_names[predicted]} (predicted)" if k == PREDICTED else said.class_names[k],
        )
        target = predicted if chosen == PREDICTED else chosen
        layer = layer_of_evidence(layers)
    st.caption(
        f"{escaped(said.class_names[target])} gets {percent(float(said.probabilities[target]))}. Orange speaks for this class, blue against it; "
        "the strongest place of each image is opaque."
    )
    left, right = st.columns(2)
    with left:
        grad_cam(model, spec, layer, said, target)
    with right:
        covering(run, checkpoint, said, target)


def layer_of_evidence(layers: Sequence[Layer]) -> Layer | None:
    candidates = saliency.explaining_layers(layers)
    if not candidates:
        return None
    places = list(range(len(candidates)))
    place = st.selectbox(
        "Grad-CAM at layer",
        places,
        index=places[candidates.index(saliency.default_layer(layers))],
        format_func=lambda i: titled(candidates[i]),
        key=f"inside-cam-{layers_id(layers)}",
        width=380,
        help="Late layers know most about classes and least about positions. The last activation with positions is the usual choice.",
    )
    return candidates[place]


def grad_cam(model: object, spec: NetworkSpec, layer: Layer | None, said: Prediction, target: int) -> None:
    st.markdown("**Grad-CAM**")
    if layer is None:
        st.info(
            "This network has no convolution whose output has positions, so there is no Grad-CAM. Occlusion works with any network."
        )
        return
    small = saliency.grad_cam(model, look.as_input(said.seen[None], spec), layer, target)
    name = escaped(said.class_names[target])
    if not small.any():
        st.info(f"At this layer no position speaks for {name}.")
        return
    large = saliency.at_image_size(small, said.seen.shape[1:])
    height, width = small.shape
    show(
        figures.overlay(said.seen, large),
        f"Grad-CAM for {said.class_names[target]}",
        f"Grad-CAM for {name}, from maps of {width} × {height} positions",
    )


def covering(run: Run, checkpoint: Checkpoint, said: Prediction, target: int) -> None:
    """Occlusion: at once where it is quick or was done before, else by a button, since it costs hundreds of passes."""
    st.markdown("**Occlusion**")
    _, height, width = said.seen.shape
    sizes = saliency.patch_sizes(height, width)
    choice = (
        st.select_slider(
            "Covered square",
            range(len(sizes)),
            min(1, len(sizes) - 1),
            format_func=lambda i: f"{sizes[i][0]} px",
            key=f"inside-patch-{height}-{width}",
        )
        if len(sizes) > 1
        else 0
    )
    patch, stride = sizes[choice]
    how = Covering(target=target, patch=patch, stride=stride, temperature=said.calibration.temperature)
    fall = kept_occlusion(run, checkpoint, said.seen, how)
    if fall is None and saliency.is_quick(height, width, patch, stride):
        fall = occlusion_for(run, checkpoint, said.seen, how)
    if fall is None:
        request = occlusion_request(run, checkpoint, said.seen, how)
        if st.button(f"Cover {saliency.num_windows(height, width, patch, stride):,} squares", key="inside-cover"):
            do(lambda: begin(request))
        st.caption("Shows by how much the probability falls when a square is covered. The image is evaluated once for each.")
        work_on(going_on_for("occlusion", run) or request)
        return
    show_covered(said, target, fall, patch)


def show_covered(said: Prediction, target: int, fall: np.ndarray, patch: int) -> None:
    name = escaped(said.class_names[target])
    strongest = float(np.abs(fall).max())
    if strongest < NOTHING:
        st.info(f"Covering a square of {patch} × {patch} pixels changes nothing about the probability of {name}.")
        return
    show(
        figures.overlay(said.seen, fall),
        f"Occlusion for {said.class_names[target]}",
        f"Occlusion for {name} by grey squares of {patch} × {patch} pixels",
    )
    if strongest < 0.005:
        st.caption(f"Covering one square hardly changes the answer: by {percent(strongest, 2)} at most.")
    else:
        rise, drop = max(0.0, -float(fall.min())), max(0.0, float(fall.max()))
        st.caption(f"The probability falls by up to {percent(drop)} and rises by up to {percent(rise)}.")


def show(image: Image.Image, alt: str, caption: str) -> None:
    """At a whole multiple of its size: an image with a longer caption would be stretched."""
    large = enlarged(image, SIDE_PX)
    st.image(large, caption=caption, width=large.width, output_format="PNG", alt=alt)


def what_a_layer_does(model: object, spec: NetworkSpec, layers: Sequence[Layer], said: Prediction) -> None:
    """Activations and filters of any layer."""
    st.header("Layer by layer")
    place = st.selectbox(
        "Layer",
        range(len(layers)),
        format_func=lambda i: titled(layers[i]),
        key=f"inside-layer-{layers_id(layers)}",
        width=480,
        help="In the order in which an image passes them.",
    )
    layer = layers[place]
    left, right = st.columns(2)
    with left:
        st.markdown("**Activations**")
        show_activations(look.activations(model, look.as_input(said.seen[None], spec), layer), layer)
    with right:
        st.markdown("**Filters**")
        show_filters(model, spec, layer)


def show_activations(values: np.ndarray, layer: Layer) -> None:
    if layer.is_map:
        count, height, width = values.shape
        st.image(figures.maps_montage(values), output_format="PNG", width="content", alt=f"Activations of {layer.path}")
        shown = f"The first {figures.MOST_TILES} of {count:,} maps" if count > figures.MOST_TILES else counted(count, "map")
        st.caption(
            f"{shown} of {width} × {height} positions, each from its lowest value (black) to its highest (white)."
            f"{figures.dead(values[: figures.MOST_TILES])}"
        )
        return
    values = values.reshape(-1)
    if len(values) <= MOST_BARS:
        st.plotly_chart(
            figures.unit_bars(values), key="inside-units", config={"displayModeBar": False}, alt=f"Activations of {layer.path}"
        )
        st.caption(f"{counted(len(values), 'value')}, one for each unit.")
        return
    st.image(figures.table_image(figures.in_rows(values)), output_format="PNG", alt=f"Activations of {layer.path}")
    st.caption(f"{counted(len(values), 'value')}, row by row: 0 is mid grey, light is above it, dark below.")


def show_filters(model: object, spec: NetworkSpec, layer: Layer) -> None:
    found = look.filters(model, spec, layer)
    if found is None:
        st.caption(f"This layer ({layer.kind}) has no filters. Choose a convolution or a dense layer.")
        return
    if not found.is_table and not found.is_colour and found.num_inputs > 1:
        channel = st.selectbox(
            "Input channel",
            [MEAN, *range(found.num_inputs)],
            format_func=lambda c: "mean over all" if c == MEAN else f"{c + 1}",
            key=f"inside-channel-{layer.path}-{found.num_inputs}",
            width=200,
        )
        found = look.filters(model, spec, layer, None if channel == MEAN else channel)
    if found.is_table:
        rows, columns = found.values.shape[2:]
        st.image(figures.table_image(found.values[0, 0]), output_format="PNG", alt=f"Weights of {layer.path}")
        cut = rows > figures.MOST_ROWS or columns > figures.MOST_COLUMNS
        st.caption(
            f"{rows:,} × {columns:,} weights: a row for each unit, a column for each of its inputs. 0 is mid grey, light is above it, dark below."
            + (f" The first {min(rows, figures.MOST_ROWS)} × {min(columns, figures.MOST_COLUMNS)} are shown." if cut else "")
        )
        return
    count, _, height, width = found.values.shape
    st.image(figures.filters_montage(found.values), output_format="PNG", alt=f"Filters of {layer.path}")
    shown = f"The first {figures.MOST_TILES} of {count:,} filters" if count > figures.MOST_TILES else counted(count, "filter")
    scale = "in the image's colours, mid grey is 0" if found.is_colour else "0 is mid grey, light is above it, dark below"
    st.caption(
        f"{shown} of {width} × {height} weights on {counted(found.num_inputs, 'input channel')}; {scale}, all on one scale."
    )


def titled(layer: Layer) -> str:
    """A layer as the lists call it: what it is, what comes out, its name in the weights file."""
    use = f", use {layer.use + 1}" if layer.use else ""
    return f"{layer.kind} → {' × '.join(map(str, layer.shape))} · {layer.path}{use}"


def layers_id(layers: Sequence[Layer]) -> str:
    """Changes with the network, so that a choice of layer stays with the networks it fits."""
    return f"{len(layers)}-{layers[-1].path}-{layers[0].shape}"
