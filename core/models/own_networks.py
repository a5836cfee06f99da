"""Networks of one's own: rows of layers saved under a name in the workspace, and as files that go elsewhere."""

import json
import re
from typing import Any

from core.config import LayerNetwork
from core.errors import InputError
from core.named_files import delete_named, read_named, save_named
from core.settings import config_from
from core.workspace import Workspace

ROW = re.compile(r"model\.rows, row (\d+) \([^)]*\)(?:, (\w+))?")
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


def faults_by_row(error: InputError) -> dict[int, list[str]]:
    """What is wrong with the settings of rows, by their numbers from 1, as `from_json` found it."""
    found: dict[int, list[str]] = {}
    for place, sentence in error.fields.items():
        if row := ROW.fullmatch(place):
            setting = f"{row[2].replace('_', ' ').capitalize()}: " if row[2] else ""
            words = sentence.removeprefix(f"{place}: ")
            found.setdefault(int(row[1]), []).append(setting + words if setting else words[0].upper() + words[1:])
    return found


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
