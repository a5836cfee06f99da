"""The look that the visitor has chosen, as figures need to know it."""

import streamlit as st


def background() -> str:
    """The page's background in the visitor's theme, for figures that shade from it."""
    return st.get_option(f"theme.{st.context.theme.type or 'light'}.backgroundColor")
