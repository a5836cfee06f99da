"""Trainscope's server: starts and stops the launcher of training processes.

Start with `streamlit run streamlit_app.py`. The pages begin in pages/_navigation.py, other routes are in pages/_routes.py.
"""

import asyncio
import gc
import logging
import os
import secrets
import sys
from contextlib import asynccontextmanager

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # before torch loads OpenMP; why: docs/decisions/threads.md

import streamlit as st

from core.errors import InputError
from core.serving.launcher import launcher_for
from core.workspace import open_workspace
from pages._door import greeting, token_of_this_server
from pages._guard import guard
from pages._memory import give_back_memory
from pages._routes import ROUTES


def entrance() -> str:
    """The token of this server. Ends it with a sentence where it would stand open to everybody."""
    try:
        return token_of_this_server()
    except InputError as error:
        sys.exit(f"Trainscope was not started. {error}")


TOKEN = entrance()


@asynccontextmanager
async def lifespan(app):
    import pandas  # noqa: F401 two sessions that import it at the same moment get half of it
    import torch

    torch.set_num_threads(1)  # predictions are single images; the cores belong to the training
    gc.collect()
    gc.freeze()
    launcher = launcher_for(open_workspace())
    collecting = asyncio.create_task(give_back_memory())
    print(greeting(TOKEN), flush=True)
    yield {}
    collecting.cancel()
    await asyncio.to_thread(launcher.close)


def show_reference(error: Exception) -> bool:
    """A fault of ours: a number on the page, the traceback under it in the log."""
    reference = secrets.token_hex(4)
    logging.getLogger("trainscope").error("reference %s", reference, exc_info=error)
    st.error(
        f"Something in Trainscope went wrong (reference {reference}). Running trainings are not affected; the server's log has the details."
    )
    return True


app = st.App("pages/_navigation.py", lifespan=lifespan, on_script_error=show_reference, routes=ROUTES, middleware=guard(TOKEN))
