"""A table of runs: sorted by its headers, opened by a row's name, marked by its box; every row has the course of its accuracy."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

_js = (Path(__file__).parent / "runs_table.js").read_text()
_table = st.components.v2.component("trainscope.runs_table", js=_js, isolate_styles=False)


@dataclass(frozen=True, kw_only=True)
class Column:
    """sort: the order that a click on its header asks for, empty for none. is_number: aligned at the right."""

    title: str
    sort: str = ""
    is_number: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    """cells: texts, one a column; shown as they are. course: values from 0 to 1, drawn behind the first number."""

    id: str
    state: str
    when: str
    tags: tuple[str, ...]
    cells: tuple[str, ...]
    course: tuple[float, ...] = ()


def runs_table(
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    key: str,
    sorted_by: str,
    is_descending: bool,
    marked: Sequence[str],
    most_marked: int,
    on_open: Callable[[str], None],
    on_details: Callable[[str], None],
    on_mark: Callable[[list[str]], None],
    on_sort: Callable[[str], None],
) -> None:
    """The first column is the run's name. The callbacks get a run's id, the order that a header stands for, or all that are marked."""

    def heard(name: str, then: Callable[[str], None]) -> Callable[[], None]:
        def act() -> None:
            if value := st.session_state[key].get(name):
                then(str(value))

        return act

    _table(
        data={
            "columns": [asdict(column) for column in columns],
            "rows": [asdict(row) for row in rows],
            "sortedBy": sorted_by,
            "isDescending": is_descending,
            "marked": list(marked),
            "mostMarked": most_marked,
        },
        key=key,
        on_opened_change=heard("opened", on_open),
        on_details_change=heard("details", on_details),
        on_marked_change=heard("marked", lambda ids: on_mark([str(run_id) for run_id in json.loads(ids)])),
        on_ordered_change=heard("ordered", on_sort),
    )
