"""Import of a folder or zip of images: seconds and memory, then seconds to open it again.

python -m benchmarks.own_pictures PATH [--home WORKSPACE], by default a workspace that is deleted afterwards.
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path

EVERY_S = 0.02


def resident_mb() -> float:
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("--home")
    options = parser.parse_args()

    import torch  # noqa: F401 what the app's process holds at rest

    from core.config import Preprocessing
    from core.data.edits import NO_EDITS
    from core.data.imports import import_images
    from core.data.report import report_on
    from core.data.sets import prepare_store
    from core.workspace import open_workspace

    at_rest = peak = resident_mb()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(EVERY_S):
            peak = max(peak, resident_mb())

    with tempfile.TemporaryDirectory() as folder:
        workspace = open_workspace(options.home or folder)
        threading.Thread(target=watch, daemon=True).start()
        started = time.perf_counter()
        name = import_images(workspace, options.path, "benchmark").name
        listed = time.perf_counter()
        store = prepare_store(workspace, name, Preprocessing())
        built = time.perf_counter()
        done.set()
        again = prepare_store(workspace, import_images(workspace, options.path, "benchmark").name, Preprocessing())
        imported_again = time.perf_counter()
        prepare_store(workspace, name, Preprocessing())
        opened = time.perf_counter()
        report = report_on(again, NO_EDITS)
        reported = time.perf_counter()
    print(f"{len(store.labels):,} images, {len(store.skipped):,} left out: {report.headline()}")
    print(
        f"listed in {listed - started:.2f} s, imported in {built - started:.1f} s, {len(store.labels) / (built - started):,.0f} pictures/s"
    )
    print(f"memory at rest {at_rest:.0f} MB, at most {peak - at_rest:.0f} MB more")
    print(f"imported again in {imported_again - built:.2f} s, opened again in {1000 * (opened - imported_again):.1f} ms")
    print(f"report in {reported - opened:.2f} s")


if __name__ == "__main__":
    main()
