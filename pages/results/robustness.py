"""How accuracy falls as the images get worse: rotated, shifted, blurred, noisy, too bright or dark, flat."""

import streamlit as st

from core.data.transforms.corruptions import CORRUPTIONS
from core.errors import InputError
from core.figures.robustness import robustness_curve
from core.inference.robustness import Robustness, kept_robustness, robustness_request, worse_and_worse
from core.insight.run_results import EvaluatedImages, checkpoint_for, images_of
from core.runs.directory import Run
from core.wording import percent
from pages.components.live_chart import live_chart
from pages.shared.actions import do
from pages.shared.enlarged import enlarged
from pages.shared.gallery_choice import ANY
from pages.shared.session import workspace
from pages.shared.text import escaped
from pages.shared.work import begin, going_on_for, is_going_on, work_on

SAMPLES = (200, 500, 2000, 10_000)


def robustness(run: Run, evaluated: EvaluatedImages, names: list[str]) -> None:
    store = images_of(workspace(), run, evaluated)
    if store is None:
        st.info("The images that this run was evaluated on are no longer on this machine, so nothing can be tried with them.")
        return
    try:
        checkpoint = checkpoint_for(run, evaluated)
    except InputError as error:
        st.info(escaped(str(error)))
        return
    total = len(evaluated.labels)
    sizes = [size for size in SAMPLES if size < total] + [min(total, SAMPLES[-1])]
    if (at_work := going_on_for("robustness", run)) and at_work.inputs["count"] in sizes:
        st.session_state[f"bench-size-{total}"] = at_work.inputs["count"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        count = st.selectbox(
            "Images",
            sizes,
            index=min(1, len(sizes) - 1),
            format_func="{:,}".format,
            key=f"bench-size-{total}",
            persist_state="session",
            width=160,
            help="A sample, spread evenly over the evaluated images. Each is evaluated 31 times.",
        )
        is_asked = st.button(f"Measure {checkpoint.name}", type="primary", key="measure-robustness")
        if st.session_state.get("bench-class") not in (ANY, *range(len(names))):
            st.session_state["bench-class"] = ANY
        chosen = st.selectbox(
            "Highlight class",
            [ANY, *range(len(names))],
            format_func=lambda k: "none" if k == ANY else names[k],
            key="bench-class",
            width=240,
        )
    request = robustness_request(run, checkpoint, evaluated, count)
    if is_asked:
        do(lambda: begin(request))
    if is_going_on(work_on(at_work or request)):
        return
    measured = kept_robustness(run, checkpoint, store, evaluated, count)
    if measured is None:
        st.info(
            "Every image of the sample is made worse in six ways, at five strengths each, and evaluated again. What comes out is kept with the run."
        )
        return
    say(measured)
    index = int(evaluated.indices[0])
    for row in ("rotation", "shift", "blur"), ("noise", "brightness", "contrast"):
        for column, name in zip(st.columns(3), row, strict=True):
            with column:
                st.markdown(f"**{CORRUPTIONS[name].title}**")
                live_chart(
                    robustness_curve(measured, name, names, None if chosen == ANY else chosen),
                    key=f"robustness-{name}-{run.id}",
                    alt=f"Accuracy over the strength of {CORRUPTIONS[name].title.lower()}",
                )
                with st.container(horizontal=True, gap="small"):
                    for image in worse_and_worse(store, index, name):
                        st.image(enlarged(image, 44), width=44, output_format="PNG", alt="An image so changed")


def say(measured: Robustness) -> None:
    """The outcome in a sentence, and how far it can be trusted."""
    name = measured.weakest
    corruption = CORRUPTIONS[name]
    strongest = f"{corruption.strengths[-1]:g}{corruption.unit}"
    st.markdown(
        f"As they are, **{percent(measured.accuracy(name)[0])}** of {measured.num_pictures:,} images are right. What costs most is "
        f"**{corruption.title.lower()}**: at the strongest ({strongest}) {percent(measured.accuracy(name)[-1])} are left."
    )
    st.caption(
        "The strong line is all images, each faint one a class. Under each chart the first image, from as it is to the strongest."
    )
