"""One run's sheet: its name and notes, going on with it, its checkpoints, downloads, what happened to it, and its end."""

import streamlit as st

from core.errors import InputError
from core.export.kept_exports import kept_export
from core.insight.family import family_of
from core.insight.setting_differences import in_words as setting_in_words
from core.runs.checkpoints import find_checkpoint, list_checkpoints, prune_by_hand, remove_checkpoint
from core.runs.directory import Run, disk_use, find_run
from core.runs.history import History, history_of
from core.runs.index import label_of
from core.runs.notes import Notes, read_notes, tags_from, write_notes
from core.runs.status import Status, status_of
from core.runs.tensorboard_files import has_tensorboard_files, opening_command
from core.runs.timeline import exactness, timeline
from core.settings import get, sections
from core.wording import duration, percent, size
from pages.compare.choice import compare_runs
from pages.compare.family import family_tree
from pages.run.delete import delete_button
from pages.shared.actions import do
from pages.shared.again import again_button
from pages.shared.continue_fields import go_on_fields
from pages.shared.export import export_link, made_export, run_export
from pages.shared.run_row import badge, subject_of, title_of, when_of
from pages.shared.session import choose_run, chosen_run, go_to, launcher, workspace
from pages.shared.text import escaped
from pages.train.settings_form import begin_with


def sheet(run: Run) -> None:
    status, history = status_of(run), history_of(run)
    st.fragment(follow, run_every=2.0)(run, (status.state, len(list_checkpoints(run))))
    header(run, status, history)
    reached(history, status)
    left, right = st.columns(2, gap="large")
    with left:
        if status.is_active:
            while_it_trains(run)
        else:
            going_on(run, status)
    with right:
        notes_form(run)
    settings_of_run(run, history)
    checkpoints(run, status, history)
    downloads(run)
    tensorboard(run)
    family = family_of(workspace(), [run.id])
    if family.members:
        st.header("Lineage")
        family_tree(family, {run.id: "→"}, here=run.id)
    st.header("History")
    st.dataframe(
        timeline(history),
        hide_index=True,
        width="stretch",
        key="chronicle",
        column_config={
            "time": "Time",
            "step": st.column_config.TextColumn("Step", alignment="right"),
            "what": st.column_config.TextColumn("What", width="large"),
        },
    )
    if not status.is_active:
        delete_button(run, then="runs/runs.py")


def header(run: Run, status: Status, history: History) -> None:
    st.title(escaped(read_notes(run).name or label_of(run)))
    st.markdown(f"{when_of(run)} &nbsp; {badge(status)} &nbsp; {escaped(subject_of(run))}  \n{escaped(status.message)}")
    if origin := run.config.origin:
        with st.container(horizontal=True, vertical_alignment="center"):
            what = f"Loaded from the file {origin.name}"
            if origin.kind == "run":
                what = f"Began with the weights of {parent_title(origin.name)}, {origin.checkpoint}"
            st.markdown(f"{escaped(what)}. {escaped(origin.note)}", width="content")
            if origin.kind == "run" and st.button("Show the parent", key="show-parent"):
                show_parent(origin.name)
    if words := exactness(history):
        st.caption(escaped(words))
    with st.container(horizontal=True):
        if st.button("Results", key="to-results"):
            go_to("results/results.py", run)
        if st.button("Curves", key="to-train"):
            go_to("train/train.py", run)
        if st.button("Network", key="to-network", help="Its layers, what each costs, and how they hang together."):
            st.switch_page("networks/networks.py", query_params={"view": "look inside", "run": run.id})
        again_button(run)
        if st.button("Compare with others", key="compare-this"):
            compare_runs([run.id, *parent_here(run)])


def reached(history: History, status: Status) -> None:
    """How accurate it is, and what that took."""
    last, best = history.last_evaluation, history.best_evaluation
    if last is None:
        return
    with st.container(horizontal=True, gap="large", key="reached"):
        st.metric(f"{last.split.capitalize()} accuracy", percent(last.accuracy, 2), width="content")
        if best:
            st.metric(f"Best, epoch {best.epoch}", percent(best.accuracy, 2), width="content")
        st.metric("Epochs", f"{last.epoch:,}", width="content")
        st.metric("Time", duration(status.seconds), width="content")


def settings_of_run(run: Run, history: History) -> None:
    """All of them, as they stand after what was changed while it trained."""
    config = history.config(run.config)
    with st.expander("Settings", key="settings"):
        rows = [
            {"Section": title, "Setting": item.title, "Value": setting_in_words(get(config, item.path), item)}
            for _, title, items in sections(config)
            for item in items
        ]
        st.dataframe(rows, hide_index=True, width="stretch", height=min(38 + 35 * len(rows), 500), key="settings-table")


def parent_here(run: Run) -> list[str]:
    """The id of the run whose weights it began with, if that is still here."""
    origin = run.config.origin
    try:
        return [find_run(workspace(), origin.name).id] if origin and origin.kind == "run" else []
    except InputError:
        return []


def parent_title(run_id: str) -> str:
    try:
        return title_of(find_run(workspace(), run_id))
    except InputError:
        return f"{run_id}, which is not here any more"


def show_parent(run_id: str) -> None:
    try:
        go_to("run/run.py", find_run(workspace(), run_id))
    except InputError as error:
        st.error(escaped(str(error)))


def follow(run: Run, shown: tuple[str, int]) -> None:
    """Shows the sheet anew when the run's state changes, or a checkpoint comes or goes."""
    if run.path.exists() and (status_of(run).state, len(list_checkpoints(run))) != shown:
        st.rerun()


def while_it_trains(run: Run) -> None:
    st.header("While it trains")
    with st.container(horizontal=True):
        if st.button("Stop", key="stop"):
            do(lambda: launcher().stop(run))
        if st.button("Pause", key="pause", help="Saved at this step; Resume goes on exactly from there."):
            do(lambda: launcher().pause(run))
    st.caption("Its settings are changed on the Train page, beside its curves.")


def going_on(run: Run, status: Status) -> None:
    """Resume, or train longer: with more epochs, another learning rate, another patience, from another checkpoint."""
    label = "Train longer" if status.state == "finished" else "Resume"
    st.header(label)
    names = ["last", *reversed([checkpoint.name for checkpoint in list_checkpoints(run)])]
    with st.form(f"going-on-{run.id}"):
        changes = go_on_fields(run)
        name = st.selectbox(
            "From checkpoint",
            names,
            key=f"go-on-from-{run.id}",
            help="Last: exactly where it was. From an earlier one, what came after it is superseded.",
        )
        if st.form_submit_button(label, type="primary", key="go-on"):
            do(lambda: launcher().resume(run, changes, name), to="train/train.py")


def notes_form(run: Run) -> None:
    notes = read_notes(run)
    st.header("Name and notes")
    with st.form(f"notes-{run.id}"):
        name = st.text_input("Name", notes.name, key=f"notes-name-{run.id}", placeholder="As the recipe")
        tags = st.text_input("Tags", ", ".join(notes.tags), key=f"notes-tags-{run.id}", placeholder="baseline, for the paper")
        note = st.text_area("Note", notes.note, key=f"notes-note-{run.id}", height=100)
        if st.form_submit_button("Save", key="keep-notes"):
            do(lambda: write_notes(run, Notes(name, tags_from(tags), note)), notice="Saved.")


def checkpoints(run: Run, status: Status, history: History) -> None:
    there = {checkpoint.name: disk_use(checkpoint.path) for checkpoint in list_checkpoints(run)}
    st.header("Checkpoints")
    if not there:
        st.info("None yet. The first is saved after the first epoch, or after half a minute.")
        return
    pointed = {name: marked(run, name) for name in ("best", "last")}
    accuracies = {f"epoch-{row.epoch:04d}": row.accuracy for row in history.evaluations}
    rows = [
        {
            "Checkpoint": name,
            "Marked": ", ".join(pointer for pointer, of in pointed.items() if of == name),
            "Accuracy": percent(accuracies.get(name), 2),
            "Size": size(num_bytes),
        }
        for name, num_bytes in there.items()
    ]
    st.caption(f"{size(sum(there.values()))} together; the whole run takes {size(disk_use(run.path))}.")
    st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(rows), 290),
        key="checkpoints",
        column_config={name: st.column_config.TextColumn(alignment="right") for name in ("Accuracy", "Size")},
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Checkpoint", list(reversed(there)), key=f"chosen-checkpoint-{run.id}-{len(rows)}", width=220)
        if st.button("Start a new run from it", key="branch"):
            begin_with(run, name)
            choose_run(None)
            st.switch_page("train/train.py")
        whole = "The checkpoint with its optimizer. Loaded in another installation, its weights begin a run of their own; the whole run goes on."
        export_link(run, f"{name}.zip", "Download it", key="download-zip", help=whole)
        if not status.is_active:
            with st.popover("Remove", key="prune"):
                if st.button(f"Remove {name}", key="remove-checkpoint"):
                    do(lambda: remove_checkpoint(run, name), notice=f"{name} is removed.")
                every = st.number_input(
                    "Or keep best and last, and every so many epochs (0: no others)", 0, 100_000, 0, key="prune-every"
                )
                if st.button("Remove all others", key="prune-now"):
                    do(lambda: prune_by_hand(run, int(every) or None), notice="The others are removed.")
    elsewhere(run, name)


OTHER_FORMS = {  # that are there at once
    "pt": ("Weights as .pt", "The weights alone, as torch.save writes a state_dict."),
    "safetensors": ("as .safetensors", "The weights alone, in a format that holds no code."),
}
MADE_FORMS = {
    "onnx": ("ONNX", "The network as one graph for other programs and languages; normalisation and temperature are inside."),
    "pt2": ("torch.export", "The same graph as PyTorch's own file."),
}


def elsewhere(run: Run, name: str) -> None:
    """What a checkpoint becomes for other programs."""
    st.header("Use it elsewhere")
    about = "Weights, the network in plain PyTorch, preprocessing, a program and a small server that predict without Trainscope."
    with st.container(horizontal=True, vertical_alignment="center", key="bundle"):
        made_export(run, f"{name}.bundle.zip", "Make a bundle", "Download the bundle", key="make-bundle", help=about)
        if not kept_export(run, f"{name}.bundle.zip"):
            st.caption("A zip that predicts without Trainscope. First it has to answer images as the app does.", width="content")
    with st.container(horizontal=True, vertical_alignment="center"):
        for kind, (label, help) in OTHER_FORMS.items():
            export_link(run, f"{name}.{kind}", label, key=f"download-{kind}", help=help)
        for kind, (label, help) in MADE_FORMS.items():
            made_export(run, f"{name}.{kind}", f"Make {label}", f"Download {label}", key=f"make-{kind}", help=help)


def marked(run: Run, pointer: str) -> str:
    try:
        return find_checkpoint(run, pointer).name
    except InputError:
        return ""


def downloads(run: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        run_export(run)
        st.caption("Curves, records and checkpoints in one zip, which opens in another installation.", width="content")


def tensorboard(run: Run) -> None:
    st.header("TensorBoard")
    if not has_tensorboard_files(run):
        st.caption("This run has no files for it: TensorBoard is turned off in its settings, or it has not begun yet.")
        return
    st.markdown(f"Its files lie in `{run.tensorboard}`. To open them, in Trainscope's folder:")
    st.code(opening_command(workspace(), run), language=None, wrap_lines=True)
    st.caption("Without the run's id it opens all runs. TensorBoard has a page of its own, whose address it says.")


if run := chosen_run():
    for note in st.session_state.pop("loaded-notes", []):
        st.info(escaped(note))
    sheet(run)
else:
    st.title("Run")
    st.info("No run is chosen.")
    if st.button("See all runs", type="primary", key="all-runs"):
        st.switch_page("runs/runs.py")
