"""The command line: the same engine without a browser. `python -m core --help`; the JSON is described in docs/command-line.md."""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # before torch loads OpenMP; why: docs/decisions/threads.md

import sys

from core.commands.parser import main

if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue] a pipe on Windows takes 256 letters
    sys.exit(main())
