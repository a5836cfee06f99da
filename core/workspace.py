"""Where everything of a person lies on disk: data sets, image stores, runs. Only paths; what is in them is elsewhere."""

import os
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError


@dataclass(frozen=True)
class Workspace:
    home: Path

    @property
    def datasets(self) -> Path:
        return self.home / "datasets"

    @property
    def stores(self) -> Path:
        return self.home / "stores"

    @property
    def runs(self) -> Path:
        return self.home / "runs"

    @property
    def models(self) -> Path:
        """Pretrained weights."""
        return self.home / "models"

    @property
    def transforms(self) -> Path:
        """Compositions saved under a name."""
        return self.home / "transforms"

    @property
    def networks(self) -> Path:
        """Networks of one's own, rows of layers saved under a name."""
        return self.home / "networks"

    @property
    def locks(self) -> Path:
        return self.home / "locks"

    @property
    def jobs(self) -> Path:
        """Work that takes long, a folder each; trainings are in runs."""
        return self.home / "jobs"

    @property
    def queue(self) -> Path:
        return self.home / "queue.json"

    def create(self) -> "Workspace":
        """Itself, its folders made where they are missing."""
        for folder in (self.datasets, self.stores, self.runs, self.models, self.transforms, self.networks, self.jobs, self.locks):
            folder.mkdir(parents=True, exist_ok=True)
        return self


def open_workspace(home: str | Path | None = None) -> Workspace:
    """The workspace at home, else at TRAINSCOPE_HOME, else "workspace" in the current folder."""
    chosen = home or os.environ.get("TRAINSCOPE_HOME") or "workspace"
    try:
        return Workspace(Path(chosen).expanduser().resolve()).create()
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{str(chosen)[:200]!r} can't be the workspace ({error}).",
            code="home",
            hint="Choose a folder that can be written to.",
        ) from None
