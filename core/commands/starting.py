"""--recipe and --config: the configuration that several commands start from."""

import argparse
from pathlib import Path

from core.commands.output import say
from core.config import TrainConfig
from core.errors import InputError
from core.settings import config_from_json
from core.workspace import Workspace


def config_of(workspace: Workspace, options: argparse.Namespace, is_to_start: bool = True) -> TrainConfig | None:
    """That of the recipe, or in the file; None where neither is named. is_to_start: what is missing for a start is said."""
    from core.running.recipe_start import start_from

    if options.recipe:
        start = start_from(workspace, options.recipe)
        if start.note and is_to_start:
            say(start.note)
        return start.config
    if not options.config:
        return None
    try:
        return config_from_json(Path(options.config).read_bytes())
    except OSError as error:
        raise InputError(f"{options.config} can't be read ({error.strerror}).", code="config") from None
