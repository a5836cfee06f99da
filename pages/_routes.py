"""What the server sends beside its pages: plotly.js, downloads of runs, images of stores."""

import asyncio
import time
from pathlib import Path

import plotly
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from core.data.store.image_store import store_named
from core.data.store.originals import as_png, original_image, stored_image
from core.errors import InputError
from core.export.downloads import export, name_of
from core.export.kept_exports import kept_export
from core.figures import runs as figures
from core.runs.directory import Run, find_run
from core.runs.history import history_of
from core.workspace import open_workspace

PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


async def plotly_js(request: Request) -> Response:
    return FileResponse(PLOTLY_JS, media_type="text/javascript", headers={"Cache-Control": "public, max-age=86400"})


def _kept_export(run_id: str, file: str) -> tuple[str, Path] | None:
    run = find_run(open_workspace(), run_id)
    kept = kept_export(run, file)
    return (name_of(run, file), kept.path) if kept else None


async def download(request: Request) -> Response:
    """A run or a checkpoint as a file: as a job has made it, else made piece by piece while it is sent."""
    run_id, file = request.path_params["run"], request.path_params["file"]
    try:
        if found := await asyncio.to_thread(_kept_export, run_id, file):
            name, path = found
            return FileResponse(path, media_type="application/octet-stream", filename=name)
        name, pieces = await asyncio.to_thread(export, open_workspace(), run_id, file)
    except InputError as error:
        return PlainTextResponse(str(error), status_code=404)
    return StreamingResponse(
        pieces, media_type="application/octet-stream", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _image(store_name: str, index: int, is_original: bool) -> bytes:
    store = store_named(open_workspace(), store_name)
    if store is None:
        raise InputError("There is no such set.", code="dataset")
    return as_png(original_image(store, index) if is_original else stored_image(store, index))


async def image(request: Request) -> Response:
    """An image of a store, whose folder's name changes with its contents: a browser may keep it."""
    path = request.path_params
    try:
        content = await asyncio.to_thread(_image, path["store"], path["index"], path["kind"] == "originals")
    except InputError as error:
        return PlainTextResponse(str(error), status_code=404)
    keep = "private, max-age=604800, immutable" if path["kind"] == "pictures" else "no-cache"  # an original's file may change
    headers = {"Cache-Control": keep, "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type="image/png", headers=headers)


FIRST_POINT_S = 2.0  # before the browser has to ask again
CURVES = {"loss": figures.loss_curve, "accuracy": figures.accuracy_curve}


async def first_point(request: Request) -> Response:
    """The figure of a run's curve as soon as it has a point; 204 where it has none yet after a while."""
    try:
        run = await asyncio.to_thread(find_run, open_workspace(), request.path_params["run"])
        curve = CURVES[request.path_params["name"]]
    except (InputError, KeyError):
        return PlainTextResponse("There is no such curve.", status_code=404)
    x = request.query_params.get("x", "")
    options = {"log": True} if request.query_params.get("log") else {}
    deadline = time.monotonic() + FIRST_POINT_S
    while not (history := await asyncio.to_thread(history_of, run)).evaluations:
        if time.monotonic() > deadline:
            return Response(status_code=204)
        await asyncio.sleep(0.02)
    figure = curve(history, x if x in figures.X_AXES else "examples", **options)
    return Response(figure.to_json(), media_type="application/json", headers={"Cache-Control": "no-store"})


def first_point_url(run: Run, name: str, x: str, log: bool = False) -> str:
    """Where the browser asks for the first point of a run's curve."""
    return f"trainscope/curves/{run.id}/{name}?x={x}{'&log=1' if log else ''}"


def image_url(store_name: str, index: int, kind: str = "pictures") -> str:
    """Where the browser finds an image: as it is stored ("images"), or as it came ("originals")."""
    return f"trainscope/{kind}/{store_name}/{index}"


ROUTES = [
    Route("/trainscope/plotly.min.js", plotly_js),
    Route("/trainscope/runs/{run}/{file}", download),
    Route("/trainscope/curves/{run}/{name}", first_point),
    Route("/trainscope/{kind:str}/{store}/{index:int}", image),
]
