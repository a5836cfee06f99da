"""Trainscope's engine: everything but the pages. Knows no Streamlit."""
