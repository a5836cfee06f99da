"""The one exception for what a person can cause. Faults of our own are asserts and other exceptions."""


class InputError(ValueError):
    """Says what was found, what was expected and what to do; pages and the command line show it as it is.

    code: a short stable name for scripts, for example "config" or "dataset".
    hint: what to do next, as a sentence of its own; may be empty.
    """

    def __init__(self, message: str, *, code: str = "input", hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.code = code
        self.hint = hint
