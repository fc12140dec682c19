"""One figure of `python -m bench gpu`: a row of its table and a line of its file."""

from collections.abc import Iterator
from typing import Any

Row = dict[str, Any]
Rows = Iterator[Row]


def figure(what: str, value: float | str, unit: str = "", goal: str = "") -> Row:
    """A row; `goal` says what was wanted of it."""
    return {"what": what, "value": value, "unit": unit, **({"goal": goal} if goal else {})}
