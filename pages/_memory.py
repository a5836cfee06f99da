"""Memory given back now and then, rather than after every rerun, which cost most of a page's latency (.streamlit/config.toml)."""

import asyncio
import gc

COLLECT_S = 60.0  # an upload whose tab is gone is held by nothing but a cycle of Streamlit's


async def give_back_memory(every_s: float = COLLECT_S) -> None:
    """For ever: a full collection from time to time. What was imported is frozen, so that it takes a moment only."""
    while True:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(gc.collect)
