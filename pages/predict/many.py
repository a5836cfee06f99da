"""Many images at once: a folder, a zip or several files become a table, with figures where labels are known."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from core.data.sources.containers import readable
from core.data.sources.decoding import SUFFIXES
from core.errors import InputError
from core.figures import runs as figures
from core.files import write_new
from core.inference.kept_answers import UPLOAD, KeptAnswers, answers_request, kept_answers
from core.inference.many import Answer, as_csv, figures_of, path_to_images
from core.insight.metrics import confusion_among
from core.runs.checkpoints import Checkpoint
from core.runs.directory import Run
from core.wording import counted, percent
from pages.components.live_chart import live_chart
from pages.shared.actions import do
from pages.shared.enlarged import data_url
from pages.shared.session import workspace
from pages.shared.text import escaped, for_people
from pages.shared.theme import background
from pages.shared.work import begin, going_on_for, work_on

ROWS = 100  # on a page of the table
MOST_MB = 500
ORDERS = {"file": "By file", "unsure": "Least certain first", "sure": "Most certain first"}
ALL = "All"
CERTAINTY = (ALL, "Sure", "Not sure", "Wrong", "Can't be read")
MATRIX = 50  # classes


def many(run: Run, checkpoint: Checkpoint) -> None:
    _question(run, checkpoint)
    tables = kept_answers(run)
    if not tables:
        return
    titles = [f"{table.title}, {table.checkpoint}" for table in tables]
    chosen = 0
    if len(tables) > 1:
        chosen = st.selectbox(
            "Table", range(len(tables)), format_func=titles.__getitem__, key=f"answers-{run.id}-{tables[0].artifact.name}"
        )
    try:
        _table(tables[chosen], tables[chosen].answers)
    except InputError as error:
        st.error(escaped(for_people(error)))


def _question(run: Run, checkpoint: Checkpoint) -> None:
    number = st.session_state.get("asked-many", 0)
    left, right = st.columns(2, gap="large")
    files = left.file_uploader(
        "Images, or a zip of them",
        type=[*(suffix.removeprefix(".") for suffix in sorted(SUFFIXES)), "zip"],
        accept_multiple_files=True,
        max_upload_size=MOST_MB,
        key=f"many-files-{number}",
    )
    path = right.text_input(
        "Or the path of a folder or zip on this machine", key=f"many-path-{number}", placeholder="/home/me/pictures"
    )
    right.caption("Folders named like classes, or a table of labels, make figures of how many are right.")
    if st.button("Predict all", type="primary", key="many-now", disabled=not files and not path.strip()):
        do(lambda: _begin(run, checkpoint, files, path))
    if request := going_on_for("predict", run):
        work_on(request)
    elif asked := st.session_state.get("many-asked"):
        ended = work_on(answers_request(**{**asked, "run": run}))
        if ended is None or ended.state != "running":
            st.session_state.pop("many-asked")


def _begin(run: Run, checkpoint: Checkpoint, files: Sequence, path: str) -> None:
    """Uploads are put into a folder of their own first, for the process that reads them."""
    if files:
        folder = Path(tempfile.mkdtemp(prefix=UPLOAD, dir=workspace().home))
        names = [_file_name(file.name, number) for number, file in enumerate(files)]
        for name, file in zip(names, files, strict=True):
            write_new(folder / name, file.getbuffer())
        is_zip = len(files) == 1 and names[0].lower().endswith(".zip")
        asked = {"path": str(folder / names[0] if is_zip else folder), "is_upload": True}
        title = readable(files[0].name) if len(files) == 1 else f"{len(files)} uploaded images"
    else:
        place = path_to_images(path)
        asked, title = {"path": str(place), "is_upload": False}, readable(place.name)
    asked |= {"checkpoint": checkpoint.name, "title": title}
    begin(answers_request(run, **asked))
    st.session_state["many-asked"] = asked
    st.session_state["asked-many"] = st.session_state.get("asked-many", 0) + 1


def _file_name(name: str, number: int) -> str:
    """For an upload: its own, but harmless, and told apart from others that are called so too."""
    plain = "".join(c if c.isalnum() or c in " ._-()" else "_" for c in readable(Path(name).name))[-100:].lstrip(".")
    return f"{number + 1:03d} {plain}"


def _table(table: KeptAnswers, answers: list[Answer]) -> None:
    known = figures_of(answers, table.class_names)
    broken = sum(bool(answer.error) for answer in answers)
    with st.container(horizontal=True, gap="medium", key="figures"):
        st.metric("Images", f"{len(answers):,}", width="content")
        if known:
            accuracy = known.report.accuracy
            about = f"95 % CI {percent(accuracy.low)} to {percent(accuracy.high)}, of {len(known.labels):,} whose class is known"
            st.metric("Accuracy", percent(accuracy.value), width="content", help=about)
        st.metric("Not sure", f"{sum(not a.is_sure and not a.error for a in answers):,}", width="content")
        if broken:
            st.metric("Can't be read", f"{broken:,}", width="content")
    name = table.artifact.name
    with st.container(horizontal=True, vertical_alignment="bottom"):
        said = sorted({answer.said for answer in answers if answer.said})
        wanted = st.selectbox("Class", [ALL, *said], key=f"many-class-{name}", width=200)
        certainty = st.selectbox("Which", CERTAINTY, key=f"many-sure-{name}", width=160)
        order = st.selectbox("Order", list(ORDERS), format_func=ORDERS.get, key=f"many-order-{name}", width=200)
        chosen = _selected(answers, wanted, certainty, order)
        st.download_button(
            "As CSV",
            as_csv([answers[place] for place in chosen]),
            f"{table.title}.csv",
            "text/csv",
            key=f"many-csv-{name}",
            on_click="ignore",
        )
    if not chosen:
        st.info("No image is so. Choose others.")
        return
    first = 0
    if len(chosen) > ROWS:
        pages = -(-len(chosen) // ROWS)
        first = ROWS * (st.number_input(f"Page, of {pages}", 1, pages, 1, key=f"many-page-{name}-{len(chosen)}", width=160) - 1)
    _rows(table, answers, chosen[first : first + ROWS], has_labels=any(answer.true for answer in answers))
    st.caption(f"{counted(len(chosen), 'image')}, {first + 1:,} to {min(first + ROWS, len(chosen)):,} shown.")
    if known:
        _by_class(table, known)


def _selected(answers: list[Answer], wanted: str, certainty: str, order: str) -> list[int]:
    kinds = {
        ALL: lambda a: True,
        "Sure": lambda a: a.is_sure and not a.error,
        "Not sure": lambda a: not a.is_sure and not a.error,
        "Wrong": lambda a: bool(a.true) and not a.error and a.true != a.said,
        "Can't be read": lambda a: bool(a.error),
    }
    places = [place for place, a in enumerate(answers) if kinds[certainty](a) and wanted in (ALL, a.said)]
    if order != "file":
        places.sort(key=lambda place: answers[place].probability, reverse=order == "sure")
    return places


def _rows(table: KeptAnswers, answers: list[Answer], places: list[int], has_labels: bool) -> None:
    rows = []
    for place, small in zip(places, table.thumbnails(places), strict=True):
        answer = answers[place]
        row = {"": None if answer.error else data_url(small), "File": answer.file, "Class": answer.said or answer.error}
        row |= {"Probability": 100 * answer.probability if answer.said else None, "Second": answer.second, "Sure": answer.is_sure}
        rows.append(row | ({"True class": answer.true} if has_labels else {}))
    st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        row_height=48,
        key=f"many-rows-{table.artifact.name}",
        column_config={
            "": st.column_config.ImageColumn(width="small"),
            "Probability": st.column_config.NumberColumn(format="%.1f %%"),
        },
    )


def _by_class(table: KeptAnswers, known) -> None:
    st.header("Where labels are known")
    if known.left_out:
        st.caption(f"{counted(known.left_out, 'image')} of classes that the network does not know are left out.")
    rows = [
        {"Class": row.name, "Recall": 100 * row.recall.value, "Precision": 100 * row.precision.value, "Images": row.support}
        for row in known.report.rows
        if row.support or row.precision.value == row.precision.value
    ]
    shares = {name: st.column_config.NumberColumn(format="%.1f %%") for name in ("Recall", "Precision")}
    left, right = st.columns([2, 3], gap="large")
    left.dataframe(rows, hide_index=True, width="stretch", key=f"many-classes-{table.artifact.name}", column_config=shares)
    occurring = np.unique(np.concatenate([known.labels, known.predicted]))[:MATRIX]
    totals = [np.bincount(of, minlength=len(table.class_names))[occurring] for of in (known.labels, known.predicted)]
    counts = confusion_among(known.labels, known.predicted, occurring)
    names = [table.class_names[place] for place in occurring]
    with right:
        live_chart(
            figures.confusion_heatmap(counts, names, background(), "counts", *totals, classes=occurring),
            key=f"many-confusion-{table.artifact.name}",
            alt="Confusion matrix: true classes against predicted ones",
        )
