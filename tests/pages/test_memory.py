"""What is held by nothing but a cycle, as an upload whose tab is gone, is given back without a rerun."""

import asyncio
import contextlib
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

from pages._memory import give_back_memory


class Upload:
    def __init__(self) -> None:
        self.itself = self
        self.content = bytes(1000)


def test_an_upload_that_only_a_cycle_holds_is_given_back() -> None:
    gc.disable()
    try:
        upload = weakref.ref(Upload())
        assert upload() is not None

        async def a_moment() -> None:
            task = asyncio.create_task(give_back_memory(every_s=0.001))
            deadline = asyncio.get_running_loop().time() + 10
            while upload() is not None and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.001)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        with ThreadPoolExecutor(1) as another_thread:  # Playwright's loop may live in this one
            another_thread.submit(lambda: asyncio.run(a_moment())).result()
        assert upload() is None
    finally:
        gc.enable()
