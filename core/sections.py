"""What every group of settings is made of: a frozen, validated model whose fields bring their words along."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A frozen group of settings that refuses NaN, infinity and names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


def setting(
    default: Any, title: str, explanation: str, *, unit: str = "", basic: bool = False, empty: str = "automatic", **bounds: Any
) -> Any:
    """A field with its words. basic: one of the few that the form shows first. empty: what it means to leave it out, where it may be."""
    extra = {"unit": unit, "basic": basic, "empty": empty}
    return Field(default, title=title, description=explanation, json_schema_extra=extra, **bounds)
