"""Networks of one's own: rows of layers saved under a name in the workspace, and as files that go elsewhere."""

import json
from typing import Any

from core.config import LayerNetwork
from core.errors import InputError
from core.named_files import delete_named, read_named, save_named
from core.settings import config_from
from core.workspace import Workspace

MOST_BYTES = 1_000_000  # of a file with rows; 200 rows take 30 kB


def save_network(workspace: Workspace, network: LayerNetwork) -> LayerNetwork:
    """Kept under its name; one that had it is replaced. Raises InputError for a name that can't be."""
    name = save_named(workspace.networks, network.name, {"rows": network.model_dump(mode="json")["rows"]}, "a network")
    return network.model_copy(update={"name": name})


def own_networks(workspace: Workspace) -> dict[str, LayerNetwork]:
    """All that are saved, by name."""
    return read_named(workspace.networks, lambda entry: LayerNetwork(name=entry["name"], rows=entry["rows"]))


def delete_network(workspace: Workspace, name: str) -> None:
    """Gone, also if it was gone already. Runs of it keep their own copy."""
    delete_named(workspace.networks, name)


def as_json(network: LayerNetwork) -> str:
    return json.dumps({"name": network.name, "rows": network.model_dump(mode="json")["rows"]}, ensure_ascii=False, indent=2)


def from_json(data: bytes) -> LayerNetwork:
    """The network that a file describes. Raises InputError that names what is wrong, and in which row."""
    if len(data) > MOST_BYTES:
        raise InputError(f"The file has {len(data):,} bytes, expected at most {MOST_BYTES:,}.", code="model")
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"The file is no JSON ({str(error)[:100]}).", code="model", hint='It begins with {"name": "…", "rows": […]}.'
        ) from None
    if not isinstance(found, dict) or set(found) - {"name", "rows", "kind"} or "rows" not in found:
        raise InputError(
            "The file is not a network of rows.",
            code="model",
            hint='It begins with {"name": "…", "rows": […]}, as Export writes it.',
        )
    network = config_from({"model": {"kind": "layers", "name": found.get("name", "network"), "rows": found["rows"]}}).model
    assert isinstance(network, LayerNetwork)
    return network
