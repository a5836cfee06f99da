"""The settings of a row of layers as sliders, and where its weights come from."""

from typing import Any

import streamlit as st

from core.errors import InputError
from core.layer_lab.weights import NAMED, Weights, convolutions, kernel_text, row_like, trained_convolution
from core.layers import LAYERS, pair
from core.runs.checkpoints import find_checkpoint, has_checkpoint
from core.runs.directory import find_run
from core.runs.index import entries
from core.settings import Setting, settings_of
from pages.networks.lab_state import chosen_row, is_current, renew, row_key
from pages.results.checkpoint_choice import checkpoint_titles
from pages.shared.run_row import titles_of
from pages.shared.session import workspace
from pages.shared.setting_widget import setting_widget
from pages.shared.text import escaped

SLIDER_TO = {"channels": 32, "kernel": 11, "stride": 8, "padding": 8, "dilation": 5, "groups": 16, "side": 16}
MOST_RUNS = 100
OTHER_WEIGHTS = {"random": "Random", "typed": "Typed", "run": "Of a trained run"}
DECIDED_BY = {"typed": ("kernel",), "run": ("channels", "kernel", "groups", "bias")}  # settings that the weights have already
NO_WEIGHTS = {
    "batch-norm2d": "Scale 1 and shift 0, as before a training. Mean and variance are this input's own.",
    "dropout": "As in training. Evaluation and prediction leave every value as it is.",
    "dropout2d": "As in training. Evaluation and prediction leave every value as it is.",
}


def row_fields() -> None:
    """The fields of the row looked at."""
    row = chosen_row()
    kind = row["layer"]["layer"]
    hidden = DECIDED_BY.get(row["weights"]["kind"], ()) if kind == "conv2d" else ()
    items = [item for item in settings_of(LAYERS[kind].settings) if item.path not in hidden]
    for are_toggles in (False, True):  # two beside each other, so that all stay in sight
        chosen = [item for item in items if (item.kind == "bool") == are_toggles]
        for place in range(0, len(chosen), 2):
            for column, item in zip(st.columns(2), chosen[place : place + 2], strict=False):
                with column:
                    _setting(item, row)
    if any(item.kind == "sizes" for item in items):
        key = row_key("apart")
        st.toggle("Height and width apart", row.get("apart", False), key=key, on_change=_set_apart, args=(key,))
    if kind == "conv2d":
        _weights(row)
    elif kind in ("linear", "dropout", "dropout2d"):
        _seed(row)
    if kind in NO_WEIGHTS:
        st.caption(NO_WEIGHTS[kind])


def _setting(item: Setting, row: dict[str, Any]) -> None:
    name, value = item.path, row["layer"][item.path]
    if item.kind == "sizes":
        _size(item, row, value)
    elif item.kind == "int" and name != "features":
        key = row_key(name)
        upper = max(int(value), SLIDER_TO[name])
        st.slider(
            item.title, int(item.lower or 0), upper, value, key=key, help=item.explanation, on_change=_note, args=(name, key)
        )
    else:
        empty = "10" if name == "features" else "automatic"
        slider_to = 1 if item.kind in ("float", "bool") else None
        setting_widget(item, value, row_key(name), on_change=_note, empty=empty, slider_to=slider_to)


def _size(item: Setting, row: dict[str, Any], value: Any) -> None:
    """One slider, or two beside each other: height and width."""
    sides = pair(tuple(value) if isinstance(value, list) else value)
    upper = max(*sides, SLIDER_TO[item.path])
    common: dict[str, Any] = {"help": item.explanation, "on_change": _note_size}
    if not row.get("apart", False):
        key = row_key(item.path)
        st.slider(item.title, int(item.lower), upper, sides[0], key=key, args=(item.path, None, key), **common)
        return
    for column, which, side in zip(st.columns(2), (0, 1), ("height", "width"), strict=True):
        key = row_key(f"{item.path}-{side}")
        with column:
            st.slider(
                f"{item.title}, {side}", int(item.lower), upper, sides[which], key=key, args=(item.path, which, key), **common
            )


def _weights(row: dict[str, Any]) -> None:
    """Where a convolution's weights come from, and what belongs to that."""
    weights, key = row["weights"], row_key("weights")
    options = OTHER_WEIGHTS | {name: named.title for name, named in NAMED.items()}
    chosen = weights["name"] if weights["kind"] == "named" else weights["kind"]
    st.selectbox(
        "Weights",
        list(options),
        index=list(options).index(chosen),
        format_func=options.get,
        key=key,
        on_change=_choose_weights,
        args=(key,),
        help="The numbers of the kernel. One kernel that is typed or has a name is every filter's, and takes the mean over the channels.",
    )
    match weights["kind"]:
        case "random":
            _seed(row)
        case "typed":
            key = row_key("text")
            st.text_area(
                "Kernel", weights["text"], key=key, height=120, on_change=_note_weight, args=("text", key), max_chars=20_000
            )
        case "run":
            _of_run(row)
    if weights["kind"] in ("named", "typed") and row["layer"]["bias"]:
        key = row_key("bias-value")
        st.number_input(
            "Bias value", -1e6, 1e6, weights["bias"], step=0.1, format="%.6g", key=key, on_change=_note_weight, args=("bias", key)
        )


def _seed(row: dict[str, Any]) -> None:
    key = row_key("seed")
    st.number_input(
        "Seed",
        0,
        9999,
        row["weights"]["seed"],
        key=key,
        on_change=_note_weight,
        args=("seed", key),
        help="Another number draws other ones; the same draws the same, as torch.manual_seed does.",
    )


def _of_run(row: dict[str, Any]) -> None:
    """Run, checkpoint and convolution."""
    weights = row["weights"]
    listed = [entry for entry in entries(workspace())[:MOST_RUNS] if has_checkpoint(entry.run)]
    if not listed:
        st.info("No run has kept a checkpoint yet.")
        return
    titles = titles_of(listed)
    try:
        if weights["run"] not in titles:
            _take_run(row, listed[0].run.id)
        run = find_run(workspace(), weights["run"])
        _choice("Run", "run", titles)
        checkpoints = checkpoint_titles(run)
        _choice("Checkpoint", "checkpoint", checkpoints)
        layers = convolutions(find_checkpoint(run, weights["checkpoint"]))
    except InputError as error:
        st.error(escaped(str(error)))
        return
    if not layers:
        st.info("This run's network has no convolution. Choose another run.")
        return
    _choice("Layer of the run", "layer", {path: f"{path}: {_about(layer)}" for path, layer in layers})


def _about(layer: Any) -> str:
    height, width = layer.kernel_size
    return f"{layer.in_channels} → {layer.out_channels}, {height} × {width}"


def _choice(label: str, name: str, options: dict[str, str]) -> None:
    weights, key = chosen_row()["weights"], row_key(f"of-{name}")
    index = list(options).index(weights[name]) if weights[name] in options else None
    st.selectbox(label, list(options), index=index, format_func=options.get, key=key, on_change=_choose_of_run, args=(name, key))


def _take_run(row: dict[str, Any], run_id: str) -> None:
    """The newest checkpoint of a run and its first convolution."""
    weights = row["weights"]
    run = find_run(workspace(), run_id)
    weights |= {"run": run_id, "checkpoint": next(iter(checkpoint_titles(run)), ""), "layer": ""}
    if layers := convolutions(find_checkpoint(run, weights["checkpoint"])):
        weights["layer"] = layers[0][0]
        _take_settings(row)


def _take_settings(row: dict[str, Any]) -> None:
    """A trained layer's own stride, padding and so on, to begin with."""
    trained = trained_convolution(workspace(), Weights(**row["weights"]))
    row["layer"] = row_like(trained).model_dump(mode="json")
    row["apart"] = any(isinstance(value, list) for value in row["layer"].values())


# --- what was chosen


def _note(name: str, key: str) -> None:
    if is_current(key):
        chosen_row()["layer"][name] = st.session_state[key]


def _note_size(name: str, which: int | None, key: str) -> None:
    if not is_current(key):
        return
    layer, value = chosen_row()["layer"], st.session_state[key]
    if which is None:
        layer[name] = value
        return
    sides = list(pair(tuple(layer[name]) if isinstance(layer[name], list) else layer[name]))
    sides[which] = value
    layer[name] = sides


def _set_apart(key: str) -> None:
    if not is_current(key):
        return
    row = chosen_row()
    row["apart"] = st.session_state[key]
    if not row["apart"]:
        row["layer"] = {name: value[0] if isinstance(value, list) else value for name, value in row["layer"].items()}
    renew()


def _note_weight(name: str, key: str) -> None:
    if is_current(key):
        chosen_row()["weights"][name] = st.session_state[key]


def _choose_weights(key: str) -> None:
    if not is_current(key):
        return
    row, chosen = chosen_row(), st.session_state[key]
    if chosen == "typed":  # what the kernel was, to be changed
        kernel = row["layer"]["kernel"]
        row["weights"]["text"] = kernel_text(Weights(**row["weights"]), tuple(kernel) if isinstance(kernel, list) else kernel)
    if chosen in NAMED:
        row["weights"] |= {"kind": "named", "name": chosen}
        least = NAMED[chosen].least
        if min(pair(tuple(k) if isinstance(k := row["layer"]["kernel"], list) else k)) < least:
            row["layer"]["kernel"] = least
    else:
        row["weights"]["kind"] = chosen
    renew()


def _choose_of_run(name: str, key: str) -> None:
    if not is_current(key):
        return
    row, value = chosen_row(), st.session_state[key]
    try:
        if name == "run":
            _take_run(row, value)
        else:
            row["weights"][name] = value
            _take_settings(row)
    except InputError as error:
        st.session_state["trouble"] = str(error)
    renew()
