"""The course of an accuracy, so small that it fits on a card."""

from collections.abc import Sequence

import streamlit as st

from core.figures.look import COLOURS


def sparkline(shares: Sequence[float], split: str) -> None:
    """shares: 0 to 1, at least two."""
    points = " ".join(f"{100 * i / (len(shares) - 1):.2f},{100 - 100 * share:.2f}" for i, share in enumerate(shares))
    label = f"Accuracy from {100 * shares[0]:.0f} to {100 * shares[-1]:.0f} per cent"
    st.html(
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{label}" '
        f'style="width: 100%; height: 44px; overflow: visible"><polyline points="{points}" fill="none" '
        f'stroke="{COLOURS[split]}" stroke-width="2" vector-effect="non-scaling-stroke"/></svg>'
    )
