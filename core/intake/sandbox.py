"""The quarantine's outside: files from outside are read in a process of their own, with limits of memory, time and disk.

Whatever happens to that process, the server goes on; what comes back is clean safetensors, or one sentence why not.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import InputError
from core.intake.contract import Wanted, num_weights
from core.intake.watch import Watch, has_limits
from core.processes import apart, end_all, was_killed

PROJECT = Path(__file__).resolve().parents[2]
GIGABYTE = 10**9
MEMORY_BYTES = GIGABYTE
BASE_S, S_PER_GIGABYTE = 20.0, 20.0
MAX_FILE_BYTES = 8 * GIGABYTE
NEEDED = ("SYSTEMROOT",)  # without it no Python starts on Windows; the rest of our environment is not the reader's business


@dataclass(frozen=True, kw_only=True)
class Task:
    """A file to examine against what a network wants. out: where its weights are to go, None to examine only.

    kind: "legacy" for what torch.save wrote before PyTorch 1.6.
    """

    file: Path
    kind: Literal["torch", "legacy", "safetensors"]
    wanted: Mapping[str, Wanted]
    out: Path | None = None


def examine(tasks: Sequence[Task], memory_bytes: int = MEMORY_BYTES, base_s: float = BASE_S) -> list[list[str]]:
    """What is to be said of each file that was taken, a list of sentences. Raises InputError for the first that is not."""
    taken = []
    for verdict in examine_each(tasks, memory_bytes, base_s):
        if isinstance(verdict, InputError):
            raise verdict
        taken.append(verdict)
    return taken


def describe(file: Path, kind: Literal["torch", "safetensors"]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the likeliest state_dict in a file; its numbers are not looked at. Raises InputError as `examine` does."""
    seconds = BASE_S + S_PER_GIGABYTE * file.stat().st_size / GIGABYTE
    job = {
        "limits": {
            "RLIMIT_DATA": MEMORY_BYTES,
            "RLIMIT_CPU": int(seconds) + 1,
            "RLIMIT_FSIZE": 0,
            "RLIMIT_NOFILE": 64,
            "RLIMIT_CORE": 0,
        },
        "tasks": [{"file": str(file), "kind": kind, "out": None, "wanted": None}],
    }
    (answer,) = _answers(job, seconds)
    verdict = _verdict(answer)
    if isinstance(verdict, InputError):
        raise verdict
    return {name: tuple(shape) for name, shape in answer["taken"]["shapes"].items()}


def examine_each(tasks: Sequence[Task], memory_bytes: int = MEMORY_BYTES, base_s: float = BASE_S) -> list[list[str] | InputError]:
    """The same for all of them, in one process. Raises InputError where the process as a whole comes to its end.

    base_s: seconds for small files; larger ones get 20 s more for each gigabyte.
    """
    total = sum(task.file.stat().st_size for task in tasks)
    if total > MAX_FILE_BYTES:
        raise InputError(
            f"The file has {total / GIGABYTE:.1f} GB, expected {MAX_FILE_BYTES // GIGABYTE} GB at most.",
            code="file",
            hint="Save the weights alone, without the optimizer's state.",
        )
    seconds = base_s + S_PER_GIGABYTE * total / GIGABYTE
    largest = max((num_weights(task.wanted) * 8 for task in tasks), default=0)
    job = {
        "limits": {
            "RLIMIT_DATA": memory_bytes,
            "RLIMIT_CPU": int(seconds) + 1,
            "RLIMIT_FSIZE": largest + 10_000_000,
            "RLIMIT_NOFILE": 64,
            "RLIMIT_CORE": 0,
        },
        "tasks": [
            {
                "file": str(task.file),
                "kind": task.kind,
                "out": str(task.out) if task.out else None,
                "wanted": {name: (want.shape, want.dtype) for name, want in task.wanted.items()},
            }
            for task in tasks
        ],
    }
    return [_verdict(answer) for answer in _answers(job, seconds)]


def _verdict(answer: dict[str, Any]) -> list[str] | InputError:
    if refused := answer.get("refused"):
        return InputError(refused["message"], code=refused["code"], hint=refused["hint"])
    if broken := answer.get("broken"):
        logging.getLogger(__name__).warning("a file from outside broke its reader: %s", broken)
        return _too_much() if broken == "memory" else _unreadable()
    return answer["taken"]["notes"]


def _answers(job: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
    environment = {
        "PYTHONPATH": str(PROJECT),
        **{name: os.environ[name] for name in NEEDED if name in os.environ},
        "PYTHONIOENCODING": "utf-8",
        "PATH": os.environ.get("PATH", ""),
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    child = subprocess.Popen(
        [sys.executable, "-s", "-m", "core.intake.sandbox_child"],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        **apart(),
    )
    outs = [Path(task["out"]) for task in job["tasks"] if task["out"]]
    limits = job["limits"]
    watch = nullcontext() if has_limits() else Watch(child, limits["RLIMIT_DATA"], outs, limits["RLIMIT_FSIZE"])
    try:
        with watch:
            answer, _ = child.communicate(json.dumps(job).encode() + b"\n", timeout=seconds)
    except subprocess.TimeoutExpired:
        raise InputError(
            f"The file could not be read within {seconds:.0f} s, which is far more than it should take.",
            code="file",
            hint="If it comes from somebody you don't know, don't open it elsewhere either.",
        ) from None
    finally:
        if child.poll() is None:
            end_all(child)
            child.communicate()
    try:
        verdicts = json.loads(answer)
        assert child.returncode == 0
    except (ValueError, AssertionError):
        logging.getLogger(__name__).warning("a file from outside ended its reader with status %s", child.returncode)
        is_too_much = was_killed(child.returncode) or (isinstance(watch, Watch) and watch.has_ended_it)
        raise _too_much() if is_too_much else _unreadable() from None
    return verdicts


def _too_much() -> InputError:
    return InputError(
        "Reading the file took more memory or time than it should need.",
        code="file",
        hint="It may be damaged or made to do harm. Save the weights alone: torch.save(model.state_dict(), 'weights.pt').",
    )


def _unreadable() -> InputError:
    return InputError(
        "The file can't be read: it is damaged, or not what torch.save writes.",
        code="file",
        hint="Copy or download it again, or save it again: torch.save(model.state_dict(), 'weights.pt').",
    )
