"""jobs, cancel: what takes long in the workspace, whichever process does it."""

import argparse
import time

from core.commands.output import Result
from core.wording import rough_duration
from core.workspace import Workspace

MOST_ENDED = 50
ANSWER_S = 10.0


def list_jobs(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.serving.activity import activities

    rows = [
        {
            "job": activity.job.id,
            "kind": activity.job.kind,
            "title": activity.title,
            "status": activity.status.state,
            "message": activity.status.message,
            "what": activity.status.what,
            "done": activity.status.done,
            "total": activity.status.total,
            "seconds": activity.status.seconds,
            "left_s": activity.status.left_s,
        }
        for activity in activities(workspace, MOST_ENDED if options.all else 0)
    ]
    return {"jobs": rows}


def show_jobs(result: Result) -> None:
    if not result["jobs"]:
        print("Nothing is going on.")
    for row in result["jobs"]:
        counted = f" {row['done']:,} of {row['total']:,}" if row["total"] else ""
        left = f", {rough_duration(row['left_s'])} left" if row["left_s"] else ""
        print(
            f"{row['job']:48} {row['kind']:10} {row['status']:12} {row['title']}  {row['what']}{counted}{left} {row['message']}"
        )


def cancel(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.serving.activity import cancel as cancel_job
    from core.serving.job_kinds import KINDS

    job = cancel_job(workspace, options.job)
    deadline = time.monotonic() + ANSWER_S
    while (status := KINDS[job.kind].status(workspace, job)).is_active and time.monotonic() < deadline:
        time.sleep(0.05)
    return {"job": job.id, "status": status.state, "message": status.message}


def show_cancelled(result: Result) -> None:
    print(f"{result['job']}: {result['status']}. {result['message']}")
