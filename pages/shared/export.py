"""Files of a run to take away: a link where they are quickly sent, else made by a job first, and then a link."""

import streamlit as st

from core.export.kept_exports import export_request, kept_export
from core.runs.directory import Run, disk_use
from core.wording import size
from pages.shared.actions import do
from pages.shared.text import escaped
from pages.shared.work import begin, work_on

STREAMED_BYTES = 50_000_000  # a zip up to here is made while it is sent, within a second


def export_link(run: Run, file: str, label: str, *, key: str, help: str = "") -> None:
    """A file that is made while it is sent."""
    st.link_button(label, f"trainscope/runs/{run.id}/{file}", key=key, help=help or None)


def made_export(run: Run, file: str, make: str, open_it: str, *, key: str, help: str = "") -> None:
    """A file that takes its time: `make` is the button's word before it is there, `open_it` the link's afterwards."""
    if kept := kept_export(run, file):
        export_link(run, file, f"{open_it} ({size(kept.path.stat().st_size)})", key=f"{key}-made", help=help)
        if kept.proof:
            st.caption(f":green[:material/verified:] {escaped(kept.proof)}", width="content")
        return
    request = export_request(run, file)
    if st.button(make, key=key, help=help or None):
        do(lambda: begin(request))
    work_on(request)


def run_export(run: Run) -> None:
    """The whole run as a zip."""
    if disk_use(run.path) <= STREAMED_BYTES:
        export_link(run, "run.zip", "Download the whole run", key="download-run")
    else:
        made_export(run, "run.zip", "Make a zip of the whole run", "Download the whole run", key="download-run")
