"""The kinds of jobs there are: one record each, from which the queue, the Activity page and the command line follow."""

from core.errors import InputError
from core.export.kept_exports import EXPORTS
from core.inference.kept_answers import tidy as tidy_answers
from core.inference.kept_maps import POINTS, TSNE
from core.inference.kept_occlusion import OCCLUSIONS
from core.inference.robustness import ROBUSTNESS
from core.jobs.job import Job
from core.jobs.kinds import JobKind
from core.running.train_job import TRAIN
from core.runs.artifacts import ArtifactKind, sweep_aside
from core.runs.directory import find_run
from core.runs.evaluations import EVALUATIONS
from core.serving.data_work import tidy_import, tidy_store
from core.workspace import Workspace


def _half_made(*kinds: ArtifactKind):
    """Removes what was being written for a run."""

    def tidy(workspace: Workspace, job: Job) -> None:
        try:
            run = find_run(workspace, job.inputs["run"])
        except InputError:  # deleted meanwhile
            return
        for kind in kinds:
            sweep_aside(run, kind)

    return tidy


KINDS = {
    kind.name: kind
    for kind in (
        TRAIN,
        JobKind(name="import", title="Import", work="core.serving.data_work:import_work", tidy=tidy_import),
        JobKind(name="download", title="Set of images", work="core.serving.data_work:store_work", tidy=tidy_store),
        JobKind(name="weights", title="Pretrained weights", work="core.serving.data_work:weights_work"),
        JobKind(name="evaluate", title="Evaluation", work="core.inference.kept_evaluations:work", tidy=_half_made(EVALUATIONS)),
        JobKind(name="robustness", title="Robustness", work="core.inference.robustness:work", tidy=_half_made(ROBUSTNESS)),
        JobKind(name="map", title="Embedding map", work="core.inference.kept_maps:work", tidy=_half_made(POINTS, TSNE)),
        JobKind(name="occlusion", title="Occlusion", work="core.inference.kept_occlusion:work", tidy=_half_made(OCCLUSIONS)),
        JobKind(name="predict", title="Prediction", work="core.inference.kept_answers:work", tidy=tidy_answers),
        JobKind(name="export", title="Export", work="core.export.kept_exports:work", tidy=_half_made(EXPORTS)),
        JobKind(name="report", title="Report", work="core.export.kept_exports:work", tidy=_half_made(EXPORTS)),
    )
}
