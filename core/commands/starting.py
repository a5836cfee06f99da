"""--recipe and --config: the configuration that several commands start from."""

import argparse
from pathlib import Path

from core.config import TrainConfig
from core.errors import InputError
from core.settings import config_from_json


def config_of(options: argparse.Namespace) -> TrainConfig | None:
    """That of the recipe, or in the file; None where neither is named."""
    from core.recipes import recipe_named

    if options.recipe:
        return recipe_named(options.recipe).config
    if not options.config:
        return None
    try:
        return config_from_json(Path(options.config).read_bytes())
    except OSError as error:
        raise InputError(f"{options.config} can't be read ({error.strerror}).", code="config") from None
