"""Two of the runs, image by image: a sentence whether they can be told apart, and what became of each class."""

from collections.abc import Sequence

import streamlit as st

from core.errors import InputError
from core.figures.comparison import look_of
from core.insight.comparison import TOLD_APART, Comparison, by_class, compared, evaluated, evidence, match
from core.insight.comparison import verdict as outcome
from core.insight.setting_differences import differ_by_seed_alone, setup_of
from core.runs.history import history_of
from core.wording import counted
from pages.compare.choice import Contender
from pages.compare.images import changed_images
from pages.shared.session import workspace
from pages.shared.text import escaped

CHANCE_HELP = (
    "Chance here is the choice of images: would the difference hold on others of the same kind? A run repeated with another seed "
    "differs too, by more or less than that; only several seeds of each can tell how much."
)


@st.fragment
def pair(contenders: Sequence[Contender], updates_s: float | None) -> None:
    """The images stay as they are while runs go on; figures follow them."""
    st.header("Two of them, image by image")
    by_letter = {contender.letter: contender for contender in contenders}
    letters, key = list(by_letter), "-".join(c.run.id[-4:] for c in contenders)
    left, right = st.columns(2)
    with left:
        a = by_letter[_run_choice("Reference", by_letter, letters[0], f"compare-a-{key}")]
        epoch_a = _epoch_choice(a, "a")
    with right:
        b = by_letter[_run_choice("Compared with the reference", by_letter, letters[1], f"compare-b-{key}")]
        epoch_b = _epoch_choice(b, "b")
    if a == b and epoch_a == epoch_b:
        st.info("Choose two runs, or two epochs of one.")
        return
    st.fragment(verdict, run_every=updates_s)(a, epoch_a, b, epoch_b)
    try:
        comparison = compare_now(a, epoch_a, b, epoch_b)
    except InputError:  # said above
        return
    changed_images(comparison, a, _number(a, epoch_a), b, _number(b, epoch_b), is_live=updates_s is not None)


def _run_choice(label: str, by_letter: dict[str, Contender], first: str, key: str) -> str:
    letters = list(by_letter)
    return st.selectbox(
        label, letters, index=letters.index(first), format_func=lambda letter: f"{letter} · {by_letter[letter].title}", key=key
    )


def _epoch_choice(contender: Contender, side: str) -> str | int:
    """ "last", "best", or an epoch's number."""
    epochs = [row.epoch for row in history_of(contender.run).evaluations]
    words = {"last": "Last epoch", "best": "Best epoch"}
    return st.selectbox(
        f"After which epoch of {contender.letter}",
        ["last", "best", *epochs],
        key=f"compare-epoch-{side}-{contender.run.id}",
        format_func=lambda choice: words.get(choice) or f"Epoch {choice}",
        help="The best epoch was chosen by the same images, which flatters it a little. 0 is the network before its training.",
    )


def _number(contender: Contender, choice: str | int) -> int:
    history = history_of(contender.run)
    row = history.best_evaluation if choice == "best" else history.last_evaluation
    if row is None:
        raise InputError(
            f"{contender.letter} has not been evaluated {'after an epoch ' if choice == 'best' else ''}yet.", code="comparison"
        )
    return choice if isinstance(choice, int) else row.epoch


def compare_now(a: Contender, epoch_a: str | int, b: Contender, epoch_b: str | int) -> Comparison:
    number_a, number_b = _number(a, epoch_a), _number(b, epoch_b)
    return compared(match(workspace(), a.run, b.run), evaluated(a.run, number_a), evaluated(b.run, number_b))


def verdict(a: Contender, epoch_a: str | int, b: Contender, epoch_b: str | int) -> None:
    try:
        comparison = compare_now(a, epoch_a, b, epoch_b)
    except InputError as error:
        words = str(error).replace(a.run.id, a.letter).replace(b.run.id, b.letter)
        st.info(f"{escaped(words)} The figures above stand for themselves.")
        return
    called = (
        (a.letter, b.letter)
        if a != b
        else (f"{a.letter} after epoch {_number(a, epoch_a)}", f"after epoch {_number(b, epoch_b)}")
    )
    setups = [setup_of(workspace(), c.run, history_of(c.run)) for c in (a, b)]
    is_seed_alone = a != b and differ_by_seed_alone(setups)
    st.markdown(
        f"**{escaped(outcome(comparison, *called, is_seed_alone))}** {escaped(evidence(comparison, *called))}", help=CHANCE_HELP
    )
    gained = comparison.difference
    words = [
        f"The difference is {signed(gained.value)} percentage points; on all images of this kind it would be "
        f"{signed(gained.low)} to {signed(gained.high)} (Newcombe's 95 % interval for pairs)."
    ]
    if is_seed_alone:
        words.append(
            "Their settings are the same but for the seed: whatever sets them apart is chance of the start and the order of images."
        )
    elif a != b and comparison.p_value < TOLD_APART:
        words.append(
            "This speaks of these two networks: how far another seed would move either, only runs with other seeds tell."
        )
    matching = comparison.matching
    if comparison.count < max(matching.num_a, matching.num_b):
        words.append(
            f"Compared are the {counted(comparison.count, 'image')} that both were evaluated on, of {matching.num_a:,} and {matching.num_b:,}."
        )
    if matching.num_relabelled:
        words.append(f"{counted(matching.num_relabelled, 'image')} with another true class in each are left out.")
    st.caption(escaped(" ".join(words)))
    class_changes(comparison, a, b)


def signed(difference: float) -> str:
    """0.0123 as "+1.23", with a true minus."""
    return f"{100 * difference:+.2f}".replace("-", "−")


def class_changes(comparison: Comparison, a: Contender, b: Contender) -> None:
    first, second = (a.letter, b.letter) if a != b else ("before", "after")
    rows = [
        {
            "Class": row.name,
            f"Accuracy {first}": 100 * row.accuracy_a,
            f"Accuracy {second}": 100 * row.accuracy_b,
            "Difference": 100 * (row.accuracy_b - row.accuracy_a),
            "Fixed": row.fixed,
            "Broken": row.broken,
            "Images": row.support,
        }
        for row in by_class(comparison)
    ]
    most = max(max(row["Fixed"], row["Broken"]) for row in rows) or 1
    columns = {
        f"Accuracy {called}": st.column_config.ProgressColumn(
            format="%.1f %%", min_value=0, max_value=100, color=look_of(contender.place)[0]
        )
        for called, contender in ((first, a), (second, b))
    }
    for name, words in (("Fixed", f"Wrong in {first}, right in {second}."), ("Broken", f"Right in {first}, wrong in {second}.")):
        columns[name] = st.column_config.ProgressColumn(format="%d", min_value=0, max_value=most, color="gray", help=words)
    columns["Difference"] = st.column_config.NumberColumn(format="%+.1f", help="In percentage points.")
    st.dataframe(
        rows, hide_index=True, width="stretch", height=min(38 + 35 * len(rows), 450), key="compare-classes", column_config=columns
    )
