"""Long work beside the pages: in a thread of its own, one at a time, with its progress, and stopped when asked to.

The same work is done once, whoever waits for it.
"""

from collections import OrderedDict
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Generic, TypeVar

from core.data.store.image_store import Progress

Result = TypeVar("Result")
MOST_FINISHED = 8  # whose results are held, about a megabyte each


class Cancelled(Exception):
    """Raised in the work, where it tells its progress, once it is no longer wanted."""


class Work(Generic[Result]):
    """what, done, total: the progress told last."""

    def __init__(self, action: Callable[[Progress], Result]) -> None:
        self.what, self.done, self.total = "Waiting for other work to end", 0, 0
        self._action = action
        self._result: Result | None = None
        self._error: BaseException | None = None
        self._is_unwanted, self._has_ended = Event(), Event()
        Thread(target=self._run, daemon=True, name="background work").start()

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended, by then at the latest."""
        return self._has_ended.wait(timeout_s)

    def result(self) -> Result:
        """Of work that has ended. Raises what the work raised, or Cancelled."""
        assert self._has_ended.is_set()
        if self._error:
            raise self._error
        return self._result

    def cancel(self) -> None:
        self._is_unwanted.set()

    @property
    def is_unwanted(self) -> bool:
        return self._is_unwanted.is_set()

    @property
    def has_failed(self) -> bool:
        return self._error is not None

    def _run(self) -> None:
        try:
            while not _turn.acquire(timeout=0.1):
                self._tell(self.what, 0, 0)
            try:
                self._tell("Beginning", 0, 0)
                self._result = self._action(self._tell)
            finally:
                _turn.release()
        except BaseException as error:  # raised again where somebody asks for the result
            self._error = error
        finally:
            self._has_ended.set()

    def _tell(self, what: str, done: int, total: int) -> None:
        if self._is_unwanted.is_set():
            raise Cancelled
        self.what, self.done, self.total = what, done, total


_turn = Lock()
_works: OrderedDict[str, Work] = OrderedDict()
_works_lock = Lock()


def work_named(name: str) -> Work | None:
    """Work that is being done or has ended; None for what was cancelled. What failed is told once, and forgotten."""
    with _works_lock:
        work = _works.get(name)
        if work and (work.has_failed or work.is_unwanted):
            del _works[name]
        return None if work is None or work.is_unwanted else work


def work_on(name: str, action: Callable[[Progress], Result]) -> Work[Result]:
    """Begins the work, or joins in what is being done under this name."""
    with _works_lock:
        work = _works.get(name)
        if work is None or work.has_failed or work.is_unwanted:
            work = _works[name] = Work(action)
        ended = [other for other, known in _works.items() if known.wait(0)]
        for other in ended[:-MOST_FINISHED]:
            del _works[other]
        return work
