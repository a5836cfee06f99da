"""The one exception for what a person can cause. Faults of our own are asserts and other exceptions."""

from collections.abc import Mapping
from typing import Any


class InputError(ValueError):
    """Says what was found, what was expected and what to do; pages and the command line show it as it is.

    code: a short stable name for scripts, for example "config" or "dataset".
    hint: what to do next, as a sentence of its own; may be empty.
    fields: what is wrong with each setting, by its path, where the message is made of that.
    mended_by: settings, by path, that would put it right.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "input",
        hint: str = "",
        fields: Mapping[str, str] | None = None,
        mended_by: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.code = code
        self.hint = hint
        self.fields = dict(fields or {})
        self.mended_by = dict(mended_by or {})
