"""Plotly figures made from rows: pure, they read nothing and know no page."""
