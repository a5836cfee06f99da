"""The report on a set: what would spoil a result, the images behind it, and the remedies."""

import json

import streamlit as st

from core.data.browse import Browser
from core.data.edits import current_edits, edit
from core.data.report import Pair, Report, by_reason, report_on, separation
from core.data.sources.containers import readable
from core.data.splits import SPLITS
from core.data.store.image_store import ImageStore
from core.figures import sets as figures
from pages._routes import image_url
from pages.components.image_grid import Tile, image_grid
from pages.components.large_image import begin_at, large_image, one_of
from pages.data.images import described, edit_buttons
from pages.shared.actions import do
from pages.shared.session import workspace
from pages.shared.text import escaped
from pages.train.settings_form import begin_with_set

SHOWN_PAIRS = 24
BETWEEN = {
    "splits": "Copies in two splits",
    "classes": "Copies in two classes",
    "same class": "Copies within a class",
}


def report_of(browser: Browser) -> Report:
    """Worked out once for each revision of the set."""
    return _cached_report(browser.store.path.name, browser.edits.revision, browser)


@st.cache_data(max_entries=16, show_spinner=False)
def _cached_report(store: str, revision: str, _browser: Browser) -> Report:
    return report_on(_browser.store, _browser.edits)


def set_report(name: str, browser: Browser, report: Report) -> None:
    if not report.findings:
        st.success("No data problems found.")
    for finding in report.findings:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"finding-{finding.code}"):
            st.markdown(escaped(finding.message), width="stretch")
            remedy(name, browser, report, finding.remedy)
    st.header("Images by class and split")
    st.plotly_chart(figures.class_histogram(report.counts), key="report-classes", config={"displayModeBar": False})
    rows = [
        {"Class": cls, **{split.capitalize(): report.counts[split][cls] for split in SPLITS if split in report.counts}}
        for cls in report.class_names
    ]
    with st.expander("As a table", key="class-counts"):
        st.dataframe(rows, hide_index=True, key="class-count-table")
    duplicates(name, browser, report)
    left_out(report)
    st.download_button(
        "Download the report (JSON)",
        lambda: json.dumps(report.as_dict(browser.store), ensure_ascii=False, indent=2),
        "report.json",
        "application/json",
        key="download-report",
        on_click="ignore",
    )


def remedy(name: str, browser: Browser, report: Report, kind: str) -> None:
    if kind == "separate":
        label = f"Exclude {len(report.leaking):,}"
        help_text = (
            "Keeps all copies on one side: those of train are excluded, and those of validation where test has one; test stays as it is. "
            "Can be undone."
        )
        if st.button(label, key="separate", help=help_text):
            do(lambda: edit(workspace(), name, separation(browser.store, report)), "Excluded. Undo stands under Images.")
    elif kind == "flag":
        change = browser.change("flag", report.contradicting.tolist())
        if change is None:
            st.caption("All flagged", width="content")
        elif st.button("Flag them", key="flag-contradicting", help="To find them again under Images."):
            do(lambda: edit(workspace(), name, change), f"{change.summary}.")
    elif kind == "drop":
        label = "Drop it" if len(report.untaught) == 1 else f"Drop these {len(report.untaught):,}"
        help_text = "They are no classes of the set then, and the network has no outputs for them. Undo stands under Classes."
        if st.button(label, key="drop-untaught", help=help_text):
            do(lambda: drop_untaught(name, browser, report), "Dropped.")
    elif kind == "balance":
        ways = {"class_weights": "with class weights", "sampling": "with a balanced sampler"}
        for setting, words in ways.items():
            if st.button(f"Train {words}", key=f"balance-{setting}"):
                begin_with_set(name)
                path = "loss.class_weights" if setting == "class_weights" else "data.sampling"
                st.session_state.changes[path] = "balanced"
                st.switch_page("train/train.py")


def drop_untaught(name: str, browser: Browser, report: Report) -> None:
    if change := browser.change_classes("drop", report.untaught):
        edit(workspace(), name, change)


def duplicates(name: str, browser: Browser, report: Report) -> None:
    total = sum(report.num_pairs.values())
    if not total:
        return
    st.header("Duplicates")
    kinds = [kind for kind in BETWEEN if report.num_pairs[kind]]
    kind = (
        st.segmented_control(
            "Duplicates",
            kinds,
            default=kinds[0],
            key="duplicate-kind",
            label_visibility="collapsed",
            format_func=lambda k: f"{BETWEEN[k]} ({report.num_pairs[k]:,})",
        )
        or kinds[0]
    )
    chosen = [pair for pair in report.pairs if pair.between == kind]
    more = f" The first {SHOWN_PAIRS} of {report.num_pairs[kind]:,} pairs; the report as JSON lists more."
    st.caption(f"Click a pair to see both large and to change either.{more if len(chosen) > SHOWN_PAIRS else ''}")
    chosen = chosen[:SHOWN_PAIRS]
    _, height, width = browser.store.meta.shape
    image_grid(
        [pair_tile(browser, number, pair) for number, pair in enumerate(chosen)],
        key="pairs",
        label="Pairs of duplicates, side by side",
        side_px=260,
        ratio=width / height,
        on_open=lambda number: st.session_state.update({"open-pair": number}),
    )
    number = st.session_state.pop("open-pair", None)
    if number is not None and 0 <= number < len(chosen):
        begin_at("pair-shown", number)
        one_pair(name, browser.store, chosen)


def pair_tile(browser: Browser, number: int, pair: Pair) -> Tile:
    """The two images side by side; each says its class, its split and its file."""
    store, names = browser.store, browser.all_names
    both = (pair.first, pair.second)
    lines = [
        f"{side}: {names[browser.labels[i]]}, {SPLITS[browser.splits[i]]}, {readable(store.key(i))}"
        for side, i in zip(("Left", "Right"), both, strict=True)
    ]
    return Tile(id=number, urls=tuple(image_url(store.path.name, i) for i in both), lines=(alike(pair), *lines))


def alike(pair: Pair) -> str:
    return "The same pixels" if pair.is_exact else "Nearly the same"


@st.dialog("Two copies of an image", width="large", on_dismiss="rerun")
def one_pair(name: str, store: ImageStore, pairs: list[Pair]) -> None:
    """Both as they came, each with what it is and what can be done with it."""
    browser = Browser(store, current_edits(workspace(), name))
    pair = pairs[one_of(len(pairs), "pair-shown")]
    st.caption(f"{alike(pair)}.")
    for side, column, index in zip(("left", "right"), st.columns(2), (pair.first, pair.second), strict=True):
        with column:
            large_image(browser.store, index, key=f"pair-{side}", alt=readable(browser.store.key(index)), height_share=0.5)
            st.markdown(described(browser, index))
            with st.container(horizontal=True, vertical_alignment="bottom"):
                edit_buttons(name, browser, [index], f"{side}-{index}")


def left_out(report: Report) -> None:
    for title, rows, key in (
        ("Files that could not be read", report.unreadable, "unreadable"),
        ("Files that are no images of the set", report.skipped, "skipped"),
    ):
        if not rows:
            continue
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in list(by_reason(rows).items())[:5])
        with st.expander(f"{title} ({len(rows):,})", key=f"{key}-files"):
            st.caption(escaped(reasons))
            st.dataframe([{"File": r["file"], "Why": r["reason"]} for r in rows[:5000]], hide_index=True, key=f"{key}-table")
            if len(rows) > 5000:
                st.caption("The first 5,000; the report as JSON lists all.")
