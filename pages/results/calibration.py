"""Whether the network is as sure as it is right: reliability, a temperature that mends it, a threshold below which it does not answer."""

import numpy as np
import streamlit as st

from core.figures.calibration import coverage_chart, reliability_diagram
from core.figures.look import colour_of
from core.insight.calibration import answered, coverage_curve, reliability
from core.insight.run_results import EvaluatedImages, scaling_of
from core.runs.calibration import PLAIN, Calibration, calibration_of, save_calibration
from core.runs.directory import Run
from core.runs.evaluations import checkpoint_of
from core.wording import percent
from pages.components.live_chart import live_chart
from pages.results.evaluate import evaluate_form
from pages.shared.actions import do
from pages.shared.text import escaped

FEW = 100  # images, below which a bin's figures say little


def calibration(run: Run, evaluated: EvaluatedImages, names: list[str]) -> None:
    colour = colour_of(evaluated.split)
    is_right = evaluated.predictions.predicted == evaluated.labels
    confidence = evaluated.predictions.confidence.astype(np.float64)
    if len(is_right) < FEW:
        st.caption(f"Only {len(is_right):,} images were evaluated: the figures below are rough.")
    scaling = scaling_of(evaluated.evaluation) if evaluated.evaluation else None
    among = "images"
    now = scaling.after if scaling else reliability(confidence, is_right)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Reliability diagram**")
        chart = reliability_diagram(now, colour, scaling.before if scaling else None)
        live_chart(chart, key=f"reliability-{run.id}", alt="Share of right predictions over their probability")
    if scaling:
        with left:
            st.markdown(
                f"Divided by a temperature of **{scaling.temperature:.3f}**, the calibration error (ECE) goes from "
                f"{percent(scaling.before.ece, 2)} to **{percent(scaling.after.ece, 2)}** and the loss from {scaling.nll_before:.4f} to "
                f"{scaling.nll_after:.4f}. Fitted on {scaling.num_fitted:,} of the images, measured on the other {len(scaling.held):,}. "
                "No prediction changes its class."
            )
        confidence, is_right = scaling.confidence, is_right[scaling.held]
        among = f"the {len(scaling.held):,} images it was not fitted on"
    else:
        with left:
            st.markdown(f"Expected calibration error (ECE): **{percent(now.ece, 2)}**. {_leaning(confidence, is_right)}")
            st.caption(why_no_temperature(evaluated))
            evaluate_form(run, key="calibrate")
    with right:
        threshold = threshold_choice(run, evaluated, confidence, is_right, colour, among)
    if evaluated.evaluation and scaling:
        keep(run, evaluated, Calibration(round(scaling.temperature, 6), threshold, _where(evaluated)))


def why_no_temperature(evaluated: EvaluatedImages) -> str:
    if evaluated.evaluation is None:
        return "Temperature scaling fixes this without changing any answer. It is fitted to an evaluation kept with all outputs:"
    why = "are too few" if len(evaluated.labels) < 2 else "would take more than 256 MB and were not kept"
    return f"No temperature can be fitted here: the outputs for these images {why}. Another split may do."


def threshold_choice(
    run: Run, evaluated: EvaluatedImages, confidence: np.ndarray, is_right: np.ndarray, colour: str, among: str
) -> float:
    """The slider that trades coverage against accuracy, with its sentence and curve."""
    st.markdown("**Confidence threshold**")
    key = f"threshold-{run.id}"
    if key not in st.session_state and evaluated.evaluation:
        st.session_state[key] = round(100 * _kept(run, evaluated).threshold, 1)
    threshold = (
        st.slider(
            "Threshold",
            0.0,
            100.0,
            step=0.5,
            format="%.1f %%",
            key=key,
            help="A prediction whose class has less probability than this counts as not sure.",
        )
        / 100
    )
    shares = answered(confidence, is_right, threshold)
    if np.isnan(shares.accuracy.value):
        st.markdown("Coverage 0 %: none of the images is that sure.")
    else:
        st.markdown(
            f"Coverage **{percent(shares.coverage.value)}** of {among}, accuracy **{percent(shares.accuracy.value)}** among these "
            f"(95 % CI {percent(shares.accuracy.low)} to {percent(shares.accuracy.high)})."
        )
    curve = coverage_curve(confidence, is_right)
    chart = coverage_chart(*curve, (shares.coverage.value, shares.accuracy.value), colour)
    live_chart(chart, key=f"coverage-{run.id}", alt="Accuracy over coverage: the share of images that are sure enough")
    return threshold


def keep(run: Run, evaluated: EvaluatedImages, calibration: Calibration) -> None:
    """Temperature and threshold kept with the run, for every prediction with these weights."""
    checkpoint = checkpoint_of(run, evaluated.evaluation)
    if checkpoint is None:
        st.caption(f"The weights that were evaluated here ({evaluated.evaluation.about.checkpoint}) are not kept any more.")
        return
    if evaluated.split == "train":
        st.caption("These images were learned from, where a network is surer than it should be: fit on others.")
    kept = calibration_of(checkpoint)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            f"Use in predictions with {checkpoint.name}", type="primary", key="keep-calibration", disabled=kept == calibration
        ):
            do(lambda: save_calibration(checkpoint, calibration), notice="Kept with the run. Predictions use it from now on.")
        if kept != PLAIN:
            if st.button("Remove", key="remove-calibration"):
                do(lambda: save_calibration(checkpoint, PLAIN), notice="Removed. Predictions are the network's own again.")
            st.caption(
                f"In use: temperature {kept.temperature:.3f}, threshold {percent(kept.threshold)}, fitted on {escaped(kept.fitted_on)}.",
                width="content",
            )


def _kept(run: Run, evaluated: EvaluatedImages) -> Calibration:
    checkpoint = checkpoint_of(run, evaluated.evaluation)
    return calibration_of(checkpoint) if checkpoint else PLAIN


def _where(evaluated: EvaluatedImages) -> str:
    about = evaluated.evaluation.about
    return f"half of {about.num_pictures:,} images, {about.split} of {about.title}"


def _leaning(confidence: np.ndarray, is_right: np.ndarray) -> str:
    gap = float(confidence.mean() - is_right.mean())
    if abs(gap) < 0.005:
        return "On the whole it is as sure as it is right."
    return f"On the whole it is {percent(abs(gap))} {'too sure' if gap > 0 else 'less sure than it could be'}."
