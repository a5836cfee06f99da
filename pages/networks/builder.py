"""The builder: rows of layers become a network; shapes and faults are said at each row while one edits."""

import json
from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.config import MOST_ROWS, LayerNetwork
from core.data.catalogue import DATASETS
from core.errors import InputError
from core.layers import LAYERS, Flatten, Layer, Linear
from core.models.catalogue import MODELS
from core.models.from_rows import Misfit, RowState, examine, in_words
from core.models.own_networks import as_json, delete_network, faults_by_row, from_json, own_networks, save_network
from core.models.to_rows import REFERENCES, as_rows
from core.settings import parse_size, settings_of
from core.wording import counted, large
from pages.shared.actions import do
from pages.shared.session import workspace
from pages.shared.setting_widget import setting_widget
from pages.shared.text import escaped, for_people
from pages.train.settings_form import begin_with_network

START = (Flatten(), Linear())
EMPTY = "Two rows: flatten and linear"
UNNAMED = "My network"
FIELD_PX = 100
COLOURS = {1: "grey", 3: "colour"}

# Kept in the session: the name, the rows as JSON has them, each with an id of its own, by which its widgets are known.


def builder_view() -> None:
    state = _state()
    _start(state)
    left, *fields = st.columns([3, 1, 1, 1], vertical_alignment="bottom")
    with left:
        state["name"] = st.text_input("Name", state["name"], key=f"builder-name-{state['form']}", max_chars=100)
    with fields[0]:
        state["channels"] = st.selectbox(
            "Images", (1, 3), (1, 3).index(state["channels"]), key=f"builder-channels-{state['form']}", format_func=COLOURS.get
        )
    with fields[1]:
        state["side"] = st.number_input("Size (px)", 1, 512, state["side"], key=f"builder-side-{state['form']}")
    with fields[2]:
        state["classes"] = st.number_input("Classes", 1, 100_000, state["classes"], key=f"builder-classes-{state['form']}")
    _rows(state)


def _state() -> dict[str, Any]:
    state = st.session_state.setdefault("builder", {"form": 0, "next": 0})
    if "rows" not in state:
        _take(LayerNetwork(name=UNNAMED, rows=START), (1, 28, 28), 10)
    return state


def _take(network: LayerNetwork, shape: tuple[int, int, int], num_classes: int) -> None:
    """Has the builder stand for this network."""
    state = st.session_state["builder"]
    state.update(name=network.name, channels=shape[0], side=shape[1], classes=num_classes, form=state["form"] + 1)
    _set_rows(network.rows)


def _set_rows(rows: tuple[Layer, ...]) -> None:
    """Rows that stay as they are keep their widgets."""
    state = st.session_state["builder"]
    left = list(state.get("rows", []))
    made = []
    for row in rows:
        values = row.model_dump(mode="json")
        same = next((entry for entry in left if entry["values"] == values), None)
        if same:
            left.remove(same)
        made.append(same or _entry(values))
    state["rows"] = made


def _entry(values: dict[str, Any]) -> dict[str, Any]:
    state = st.session_state["builder"]
    state["next"] += 1
    return {"id": state["next"], "values": values}


def _start(state: dict[str, Any]) -> None:
    """From what one begins: a network of the tutorials, one of one's own, a file."""
    own = own_networks(workspace())
    options = [EMPTY, *REFERENCES, *(f"own:{name}" for name in own)]
    titles = {
        EMPTY: EMPTY,
        **{name: MODELS[name].title for name in REFERENCES},
        **{f"own:{name}": f"{name} (yours)" for name in own},
    }
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Start from", options, key="builder-start", format_func=titles.get, width=320)
        if st.button("Start", key="builder-start-now"):
            _begin(chosen, own)
            st.rerun()
        with st.popover("Import", key="builder-import"):
            file = st.file_uploader("A network as JSON", type="json", key=f"builder-file-{state['form']}")
            if file and st.button("Take it", key="builder-import-now"):
                do(lambda: _take(from_json(file.getvalue()), _shape(state), state["classes"]), "The network is here.")
        if chosen.startswith("own:"):
            name = chosen.removeprefix("own:")
            with st.popover("Delete", key="builder-delete-asked"):
                st.caption("Its runs keep their own copy.")
                if st.button(f"Delete {escaped(name)}", key="builder-delete"):
                    st.session_state.pop("builder-start")
                    do(lambda: delete_network(workspace(), name), f"{name} is deleted. Its runs keep their own copy.")


def _begin(chosen: str, own: dict[str, LayerNetwork]) -> None:
    state = st.session_state["builder"]
    if chosen in REFERENCES:
        data = DATASETS["cifar10" if chosen.startswith("cifar10") else "mnist"]
        _take(as_rows(chosen, data.shape, data.num_classes), data.shape, data.num_classes)
    elif name := chosen.removeprefix("own:") if chosen.startswith("own:") else "":
        _take(own[name], _shape(state), state["classes"])
    else:
        _take(LayerNetwork(name=UNNAMED, rows=START), _shape(state), state["classes"])


def _shape(state: dict[str, Any]) -> tuple[int, int, int]:
    return state["channels"], state["side"], state["side"]


@st.fragment
def _rows(state: dict[str, Any]) -> None:
    """An edit reruns only this."""
    network, refused = _network(state)
    states: dict[int, RowState] = {}
    misfit: Misfit | None = None
    if network:
        states, misfit = examine(network.rows, _shape(state), state["classes"])
    st.markdown(f"**Image** &nbsp; {in_words(_shape(state))}")
    refusals = faults_by_row(refused) if refused else {}
    if refusals:  # up to the first row that can't be, shapes are known all the same
        states = _states_before(min(refusals), state)
    passed = 0  # rows that a shortcut still passes over
    for place, entry in enumerate(state["rows"]):
        wrong = misfit if misfit and misfit.row == place + 1 else None
        _row(place, entry, states.get(place + 1), passed > 0, wrong, refusals.get(place + 1, ()))
        passed = max(passed - 1, entry["values"].get("over") or 0)
    if refused and not refusals:
        st.error(escaped(for_people(refused)))
    if misfit and misfit.row > len(state["rows"]):
        _fault(misfit)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer = st.selectbox("Layer", list(LAYERS), key="builder-add", format_func=lambda name: LAYERS[name].title, width=220)
        st.button("Add row", key="builder-add-now", on_click=_add, args=(layer,), disabled=len(state["rows"]) >= MOST_ROWS)
    if network and not misfit:
        total = sum(made.num_parameters for made in states.values())
        st.caption(f":green[:material/check_circle:] {counted(len(state['rows']), 'row')}, {large(total)} parameters.")
    _keep(state, network, is_sound=misfit is None)


def _network(state: dict[str, Any]) -> tuple[LayerNetwork | None, InputError | None]:
    name, rows = state["name"].strip() or UNNAMED, [entry["values"] for entry in state["rows"]]
    try:
        return from_json(json.dumps({"name": name, "rows": rows}).encode()), None
    except InputError as error:
        return None, error


def _states_before(row: int, state: dict[str, Any]) -> dict[int, RowState]:
    """Of the rows before one, counted from 1."""
    before = [entry["values"] for entry in state["rows"][: row - 1]]
    if not before:
        return {}
    return examine(from_json(json.dumps({"name": UNNAMED, "rows": before}).encode()).rows, _shape(state), state["classes"])[0]


def _row(
    place: int,
    entry: dict[str, Any],
    made: RowState | None,
    is_passed: bool,
    wrong: Misfit | None,
    refused: Sequence[str],
) -> None:
    values, key = entry["values"], f"row-{entry['id']}"
    record = LAYERS[values["layer"]]
    with st.container(border=True, key=f"{key}-passed" if is_passed else key, gap="small"):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            st.selectbox(
                f"Row {place + 1}",
                list(LAYERS),
                list(LAYERS).index(values["layer"]),
                key=f"{key}-layer",
                format_func=lambda name: LAYERS[name].title,
                help=record.summary,
                width=176,
                on_change=_change_layer,
                args=(entry["id"],),
            )
            for item in settings_of(record.settings):
                with st.container(width=FIELD_PX):
                    setting_widget(
                        item,
                        values[item.path],
                        f"{key}-{item.path}",
                        on_change=_note(entry["id"]),
                        empty="classes",
                        is_bounded=False,
                    )
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            weights = f" · {large(made.num_parameters)} parameters" if made and made.num_parameters else ""
            st.markdown(f"→ **{in_words(made.shape)}**{weights}" if made else "", width="stretch")
            last = place == len(st.session_state["builder"]["rows"]) - 1
            for label, key_of, action, is_off in (
                ("Up", "up", (_move, entry["id"], -1), place == 0),
                ("Down", "down", (_move, entry["id"], 1), last),
                ("Remove", "remove", (_remove, entry["id"]), last and place == 0),
            ):
                call, *arguments = action
                st.button(label, key=f"{key}-{key_of}", on_click=call, args=arguments, disabled=is_off, type="tertiary")
        for sentence in refused:
            st.markdown(f":red[Row {place + 1}. {escaped(sentence)}]")
        if wrong:
            _fault(wrong)


def _fault(misfit: Misfit) -> None:
    """What does not fit, and the mend that is offered."""
    with st.container(horizontal=True, vertical_alignment="center", key="builder-fault"):
        found = misfit.message.partition(": ")[2]
        st.markdown(f":red[{escaped(found[0].upper() + found[1:])}] {escaped(misfit.hint)}", width="stretch")
        if misfit.mend:
            st.button(misfit.mend.words, key="builder-mend", on_click=_set_rows, args=(misfit.mend.rows,), type="primary")


def _keep(state: dict[str, Any], network: LayerNetwork | None, is_sound: bool) -> None:
    """What can be done with it: train, save, export."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Train it", type="primary", key="builder-train", disabled=not is_sound or network is None) and network:
            begin_with_network(network, _shape(state))
            st.switch_page("train/train.py")
        if st.button("Save", key="builder-save", disabled=network is None) and network:
            do(lambda: save_network(workspace(), network), f"Saved as {network.name}.")
        st.download_button(
            "Export as JSON",
            as_json(network) if network else "",
            f"{network.name if network else 'network'}.json",
            "application/json",
            key="builder-export",
            on_click="ignore",
            disabled=network is None,
        )


# --- edits; a row is known by its id, so that a late update of one that is gone changes nothing


def _place(row_id: int) -> int | None:
    return next((place for place, entry in enumerate(st.session_state["builder"]["rows"]) if entry["id"] == row_id), None)


def _note(row_id: int):
    def note(path: str, key: str) -> None:
        if (place := _place(row_id)) is not None:
            values = st.session_state["builder"]["rows"][place]["values"]
            kind = next(item.kind for item in settings_of(LAYERS[values["layer"]].settings) if item.path == path)
            values[path] = parse_size(st.session_state[key]) if kind == "sizes" else st.session_state[key]

    return note


def _change_layer(row_id: int) -> None:
    if (place := _place(row_id)) is not None:
        name = st.session_state[f"row-{row_id}-layer"]
        st.session_state["builder"]["rows"][place] = _entry(LAYERS[name].settings().model_dump(mode="json"))


def _add(layer: str) -> None:
    st.session_state["builder"]["rows"].append(_entry(LAYERS[layer].settings().model_dump(mode="json")))


def _remove(row_id: int) -> None:
    if (place := _place(row_id)) is not None:
        del st.session_state["builder"]["rows"][place]


def _move(row_id: int, by: int) -> None:
    rows = st.session_state["builder"]["rows"]
    place = _place(row_id)
    if place is not None and 0 <= place + by < len(rows):
        rows.insert(place + by, rows.pop(place))
