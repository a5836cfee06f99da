"""The form of the Train page, made from the settings' own descriptions: the few that matter first, then all of them."""

from contextlib import suppress
from typing import Any

import streamlit as st

from core.config import CATALOGUES, TAGS, Augmentation, CatalogueNetwork, ModelConfig, Preprocessing, TrainConfig
from core.data.catalogue import DATASETS
from core.data.imports import imported_sets
from core.data.transforms.lab import Composition
from core.data.transforms.presets import list_presets
from core.errors import InputError
from core.models.catalogue import model_summary
from core.models.own_networks import own_networks
from core.recipes import RECIPES, recipe_named
from core.running.branch import begun_from, config_to_branch
from core.running.recipe_start import affordable, brought_to, start_from, suited_to
from core.runs.directory import Run, find_run
from core.serving.data_work import weights_request
from core.settings import Setting, changed, get, sections
from pages.shared.actions import do
from pages.shared.network_choice import OWN, network_titles
from pages.shared.run_row import title_of
from pages.shared.session import workspace
from pages.shared.setting_widget import setting_widget, value_of
from pages.shared.text import escaped, in_words
from pages.shared.work import begin, work_on
from pages.train.recipe_cards import recipe_cards

# Kept in the session: the recipe's name, and what was changed since, by path. A counter renews the widgets with the recipe,
# another those of a section of which another kind was chosen.


KINDS = {
    "optimizer": "How the weights are updated from their gradients.",
    "schedule": "How the learning rate changes in the course of the run.",
}


MAIN = (
    "optimizer.name",
    "optimizer.lr",
    "schedule.name",
    "epochs",
    "batch_size",
    "data.evaluate_on",
)  # what every variant has, first


def settings_form() -> TrainConfig | None:
    """Shows the form. Returns the configuration it stands for, or None while it is impossible, with the reason shown."""
    state = _form_state()
    if _earlier_run():
        _show_earlier_run()
    else:
        _recipe_choice()

    config, problem = _configuration()
    shown = config or state.get("last_possible", _base())
    state.last_possible = shown
    wrong = dict(problem.fields) if problem else {}
    left, right = st.columns(2)
    with left:
        _dataset_choice(shown)
        _transforms_choice(shown)
    with right:
        _model_choice(shown)
    st.caption(_about(shown))
    by_path = {item.path: item for _, _, items in sections(shown) for item in items}
    own = [path for path, item in by_path.items() if item.basic and path not in (*MAIN, "data.dataset", "model.name")]
    columns = st.columns(3)
    for i, path in enumerate((*MAIN, *own)):
        with columns[i % 3]:
            if path in TAGS.values():
                _kind_choice(path, shown)
            else:
                _widget(by_path[path], shown, wrong)
    _all_settings(shown, wrong)
    if state.changes:
        st.button("Back to the recipe", on_click=_forget_changes, key="back-to-recipe")
    if problem and (not problem.fields or wrong):  # of several settings together, or of one that has no field here
        st.error(escaped(in_words(" ".join(wrong.values()) or str(problem))))
    return config


def _all_settings(shown: TrainConfig, wrong: dict[str, str]) -> None:
    """Every other setting, a tab for each section: the one worked in stays open whatever is chosen there."""
    with st.expander("All settings", key="all-settings"):
        parts = [
            (title, [item for item in items if not item.basic and item.path != "recipe"]) for _, title, items in sections(shown)
        ]
        parts = [(title, rest) for title, rest in parts if rest]
        for tab, (_, rest) in zip(st.tabs([title for title, _ in parts], key="settings-sections"), parts, strict=True):
            with tab:
                for is_box in (False, True):  # boxes in rows of their own: they are not as high as fields
                    columns = st.columns(3)
                    for i, item in enumerate(item for item in rest if (item.kind == "bool") == is_box):
                        with columns[i % 3]:
                            _widget(item, shown, wrong)


def _kind_choice(path: str, shown: TrainConfig) -> None:
    section = path.partition(".")[0]
    records = CATALOGUES[section]
    words = "\n".join([KINDS[section], "", *(f"- {kind}: {record.summary}" for kind, record in records.items())])
    title = {"optimizer": "Optimizer", "schedule": "Learning rate schedule"}[section]
    _choice(path, title, {name: name for name in records}, getattr(shown, section).name, words)


def _form_state():
    """The session's state with what the form keeps there."""
    state = st.session_state
    state.setdefault("recipe", next(iter(RECIPES)))
    state.setdefault("changes", {})
    state.setdefault("form", 0)
    state.setdefault("sections", {})
    return state


def _recipe_choice() -> None:
    state = st.session_state
    if clicked := recipe_cards(state.recipe):
        take_recipe(clicked)
        st.rerun()
    recipe = recipe_named(state.recipe)
    published = f" Published: {recipe.published.words}." if recipe.published else ""
    st.caption(recipe.summary + published)
    start = start_from(workspace(), state.recipe)
    if state.get("proposal"):
        st.info(escaped(state.proposal))
    if start.note:
        with st.container(horizontal=True, vertical_alignment="center", border=True, key="without-weights"):
            st.markdown(escaped(start.note), width="stretch")
            get_weights(recipe.config.model.name, key="get-weights")


def get_weights(model: str, key: str) -> None:
    """A button that has pretrained weights downloaded, and how far that is."""
    request = weights_request(model)
    if st.button("Download the weights", key=key):
        do(lambda: begin(request))
    if (ended := work_on(request)) and ended.state == "finished":
        do(lambda: None, "The weights are here.")


def begin_with(run: Run, checkpoint: str = "") -> None:
    """Has the form stand for a new run with this one's settings, that begins with the weights of a checkpoint, or with fresh ones."""
    st.session_state["start-from"] = {"run": run.id, "checkpoint": checkpoint}
    _form_state()
    _forget_changes()


def forget_earlier_run() -> None:
    st.session_state.pop("start-from", None)


def _earlier_run() -> tuple[Run, str] | None:
    """The run whose settings the form begins with, and the checkpoint whose weights are taken too; empty for fresh ones."""
    chosen = st.session_state.get("start-from")
    if not chosen:
        return None
    try:
        return find_run(workspace(), chosen["run"]), chosen["checkpoint"]
    except InputError:  # deleted meanwhile
        del st.session_state["start-from"]
        return None


def _show_earlier_run() -> None:
    run, checkpoint = _earlier_run()
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="parent"):
        whose = f"**{escaped(title_of(run))}**"
        what = (
            f"Begins with the weights of {whose}, {escaped(checkpoint)}."
            if checkpoint
            else f"Has the settings of {whose}, and fresh weights."
        )
        st.markdown(what, width="stretch")
        if st.button("Begin with fresh weights" if checkpoint else "Begin with a recipe", key="fresh-weights"):
            forget_earlier_run()
            _forget_changes()
            st.rerun()


def _base() -> TrainConfig:
    """What the form begins with: an earlier run's configuration, or the recipe's."""
    earlier = _earlier_run()
    return config_to_branch(earlier[0]) if earlier else start_from(workspace(), st.session_state.recipe).config


def _about(shown: TrainConfig) -> str:
    """Data and model in a sentence each."""
    name = shown.data.dataset
    data = DATASETS[name].summary if name in DATASETS else "Your own images."
    return f"{data} {escaped(model_summary(shown.model))}"


def _configuration() -> tuple[TrainConfig | None, InputError | None]:
    """With the parent whose weights it begins with, where one was chosen; or what is wrong with it."""
    try:
        config = changed(_base(), st.session_state.changes)
        earlier = _earlier_run()
        return (begun_from(config, *earlier) if earlier and earlier[1] else config), None
    except InputError as error:
        return None, error


def take_recipe(name: str) -> None:
    """Has the form stand for this recipe, without what was changed in the one before."""
    _form_state().recipe = name
    _forget_changes()


def _forget_changes() -> None:
    state = st.session_state
    state.changes = {}
    state.proposal = ""
    state.pop("last_possible", None)
    _renew_widgets()


def _renew() -> None:
    """New widgets for another choice. They show what is possible, so what made the configuration impossible is let go."""
    state = st.session_state
    kept: dict[str, Any] = {}
    for path, value in state.changes.items():
        try:
            changed(_base(), {**kept, path: value})
        except InputError:
            continue
        kept[path] = value
    state.changes = kept
    _renew_widgets()


def _renew_widgets() -> None:
    state = st.session_state
    state.form += 1 + max(state.sections.values(), default=0)
    state.sections = {}


def _key(path: str) -> str:
    """Of the setting's widget in the form as it is now."""
    state = st.session_state
    section = path.partition(".")[0]
    return f"set-{state.form + (0 if path in TAGS.values() else state.sections.get(section, 0))}-{path}"


def _note(path: str, key: str) -> None:
    """A widget has a new value: it is what the configuration is to have at this path.

    An update that the browser asked for before it had the new form brings every widget of the old one back, as if just changed.
    """
    state = st.session_state
    if key != _key(path):
        return
    value = value_of(path, key)
    if path in TAGS.values():  # another optimizer or schedule has settings of its own
        section = path.partition(".")[0]
        state.changes = {p: v for p, v in state.changes.items() if not p.startswith(f"{section}.")}
        state.changes[path] = value
        state.sections[section] = state.sections.get(section, 0) + 1
        return
    if path == "model.name":
        _take_model(value)
        return
    if path == "data.dataset":
        choose_dataset(value)
        return
    state.changes[path] = value


def choose_dataset(name: str) -> None:
    """Puts another set into the configuration, with what suits it; the recipe's own figures belong to the recipe's set."""
    state = _form_state()
    state.changes = {**state.changes, **_suited(name)}
    _renew()


def begin_with_set(name: str) -> None:
    """Has the form stand for a training on this set, begun from the recipe made for it: for one's own images that for photographs."""
    state = _form_state()
    state.pop("start-from", None)
    state.pop("run", None)  # else the Train page would show a run that is still at work
    own = "ants-bees" if name in imported_sets(workspace()) else state.recipe
    state.recipe = next((recipe.name for recipe in RECIPES.values() if recipe.config.data.dataset == name), own)
    state.changes = {}
    choose_dataset(name)
    with suppress(InputError):  # a set that can't be trained on as it is: the form says why
        proposal = affordable(workspace(), changed(_base(), state.changes))
        state.changes |= proposal.changes
        state.proposal = proposal.note


def change(settings: dict[str, Any]) -> None:
    """Has the form stand for other values of some settings, by path."""
    _form_state().changes |= settings
    _renew()


def begin_with_network(network: ModelConfig, shape: tuple[int, int, int]) -> None:
    """Has the form stand for a training of this network: by the recipe made for it, else on the set chosen before.

    shape: (C, H, W) of the images that it is for, to which those of the set are brought.
    """
    state = _form_state()
    state.pop("start-from", None)
    state.pop("run", None)  # else the Train page would show a run that is still at work
    made_for = next((r.name for r in RECIPES.values() if r.config.model.name == network.name and network.kind == "network"), None)
    _forget_changes()
    if made_for:
        state.recipe = made_for
        model, wanted = _base().model.model_dump(mode="json"), network.model_dump(mode="json")
        state.changes = {f"model.{name}": wanted[name] for name in ("width", "head") if wanted[name] != model[name]}
    else:
        state.changes = {"model": network.model_dump(mode="json")}
    with suppress(InputError):  # a set that is gone: the plan will say so
        state.changes |= brought_to(workspace(), _base(), shape)


def _suited(name: str) -> dict[str, Any]:
    try:
        return suited_to(workspace(), _base(), name)
    except InputError:  # a folder that is gone: the plan will say so
        return {"data.dataset": name}


def begin_with_transforms(dataset: str, preprocessing: Preprocessing, augmentation: Augmentation) -> None:
    """Has the form stand for a training on this set with these transforms."""
    begin_with_set(dataset)
    st.session_state.changes |= Composition(preprocessing, augmentation).changes()


def _transforms_choice(shown: TrainConfig) -> None:
    """The saved compositions, where there are any; the chosen one is that which the form stands for."""
    presets = {preset.name: preset.composition for preset in list_presets(workspace())}
    if not presets:
        return
    current = Composition(shown.preprocessing, shown.augmentation)
    names = list(presets)
    key = _transforms_key()
    st.selectbox(
        "Transforms",
        names,
        index=next((i for i, name in enumerate(names) if presets[name] == current), None),
        key=key,
        placeholder="as set below",
        on_change=_take_transforms,
        args=(key, presets),
        help="How images are prepared and changed at random: compositions saved in the transform lab of the Data page.",
    )


def _transforms_key() -> str:
    return f"transforms-{st.session_state.form}"


def _take_transforms(key: str, presets: dict[str, Composition]) -> None:
    if key == _transforms_key() and (name := st.session_state[key]):
        st.session_state.changes |= presets[name].changes()
        _renew()


def _dataset_choice(shown: TrainConfig) -> None:
    names = {name: r.title for name, r in DATASETS.items()}
    names |= {name: f"{name} (yours)" for name in imported_sets(workspace())}
    if shown.data.dataset not in names:
        names[shown.data.dataset] = f"Folder {shown.data.dataset}"
    _choice(
        "data.dataset",
        "Data set",
        names,
        shown.data.dataset,
        "The images to learn from. Your own are added on the Data page.",
    )


def _model_choice(shown: TrainConfig) -> None:
    """The catalogue's, those of one's own, and the network of rows with which the form began."""
    names = network_titles()
    for network in (_base().model, shown.model):
        if not isinstance(network, CatalogueNetwork):
            names.setdefault(f"{OWN}{network.name}", f"{network.name} (yours)")
    chosen = shown.model.name if isinstance(shown.model, CatalogueNetwork) else f"{OWN}{shown.model.name}"
    _choice("model.name", "Model", names, chosen, "The network's architecture. The Networks page shows what each is made of.")


def _take_model(name: str) -> None:
    """Between networks of the catalogue width and weights stay as chosen; rows of layers have neither."""
    state = st.session_state
    was_own = "model" in state.changes or not isinstance(_base().model, CatalogueNetwork)
    if not name.startswith(OWN):
        state.changes.pop("model", None)
        state.changes |= {"model.kind": "network", "model.name": name}
    else:
        changes = {path: value for path, value in state.changes.items() if path.partition(".")[0] != "model"}
        began, own = _base().model, own_networks(workspace()).get(name.removeprefix(OWN))
        is_the_first = not isinstance(began, CatalogueNetwork) and began.name == name.removeprefix(OWN)
        if own and not is_the_first:
            changes["model"] = own.model_dump(mode="json")
        state.changes = changes
    if was_own or name.startswith(OWN):
        _renew()


def _choice(path: str, label: str, options: dict[str, str], value: str, explanation: str) -> None:
    key = _key(path)
    st.selectbox(
        label,
        list(options),
        index=list(options).index(value),
        format_func=options.get,
        key=key,
        on_change=_note,
        args=(path, key),
        help=explanation or None,
    )


def _widget(item: Setting, config: TrainConfig, wrong: dict[str, str]) -> None:
    """The field of a setting; what is wrong with it stands under it, and is taken out of what is wrong."""
    setting_widget(
        item,
        get(config, item.path),
        _key(item.path),
        on_change=_note,
        empty=item.empty,
        is_bounded=False,
    )
    if sentence := wrong.pop(item.path, ""):
        found = sentence.removeprefix(f"{item.path}: ")
        st.caption(f":red[{escaped(found[0].upper() + found[1:])}]")
