"""What the last bits of a result depend on, beside configuration and data: recorded in checkpoints, compared on going on."""

import importlib.metadata
import platform
from functools import cache
from pathlib import Path
from typing import Any

import torch

from core.training.device import Compute

WORDS = {
    "device": "another device",
    "precision": "another precision",
    "threads": "another number of threads",
    "processor": "another processor",
    "torch": "another version of PyTorch",
    "numpy": "another version of NumPy",
}


def current_environment(compute: Compute, threads: int) -> dict[str, Any]:
    return {
        "device": str(compute.device),
        "precision": compute.precision,
        "threads": threads,
        "processor": processor(),
        **versions(),
    }


def versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("torch", "numpy")}


@cache
def processor() -> str:
    """Its name, with the instructions that PyTorch uses of it: sums are ordered by them."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass  # not Linux
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def why_inexact(before: dict[str, Any], now: dict[str, Any]) -> str:
    """In words, why going on may differ in the last bits from never having been interrupted; empty if it can't."""
    reasons = [f"{WORDS[name]} ({before.get(name)}, now {now[name]})" for name in WORDS if before.get(name) != now[name]]
    if now["device"] != "cpu":
        reasons.append("a GPU adds numbers up in no fixed order")
    return "; ".join(reasons)
