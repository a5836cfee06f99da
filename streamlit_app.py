"""Trainscope's server: starts and stops the launcher of training processes, and serves plotly.js from the Python package.

Start with `streamlit run streamlit_app.py`. The pages begin in pages/_navigation.py.
"""

import asyncio
import gc
import logging
import os
import secrets
from contextlib import asynccontextmanager
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # before torch loads OpenMP; why: docs/decisions/threads.md

import plotly
import streamlit as st
from starlette.responses import FileResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from core.errors import InputError
from core.export.downloads import export
from core.runs.launcher import launcher_for
from core.workspace import open_workspace

PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


@asynccontextmanager
async def lifespan(app):
    import pandas  # noqa: F401 two sessions that import it at the same moment get half of it
    import torch

    torch.set_num_threads(1)  # predictions are single pictures; the cores belong to the training
    gc.collect()
    gc.freeze()
    launcher = launcher_for(open_workspace())
    yield {}
    await asyncio.to_thread(launcher.close)


def show_reference(error: Exception) -> bool:
    """A fault of ours: a number on the page, the traceback under it in the log."""
    reference = secrets.token_hex(4)
    logging.getLogger("trainscope").error("reference %s", reference, exc_info=error)
    st.error(
        f"Something in Trainscope went wrong (reference {reference}). Running trainings are not affected; the server's log has the details."
    )
    return True


async def plotly_js(request):
    return FileResponse(PLOTLY_JS, media_type="text/javascript", headers={"Cache-Control": "public, max-age=86400"})


async def download(request):
    """A run or a checkpoint as a file, made piece by piece while it is sent."""
    run_id, file = request.path_params["run"], request.path_params["file"]
    try:
        name, pieces = await asyncio.to_thread(export, open_workspace(), run_id, file)
    except InputError as error:
        return PlainTextResponse(str(error), status_code=404)
    return StreamingResponse(
        pieces, media_type="application/octet-stream", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


app = st.App(
    "pages/_navigation.py",
    lifespan=lifespan,
    on_script_error=show_reference,
    routes=[Route("/trainscope/plotly.min.js", plotly_js), Route("/trainscope/runs/{run}/{file}", download)],
)
