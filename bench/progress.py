"""A live line on a terminal (done, left, rate, estimate, current success), and tracking to trackio where asked for."""

import sys
from collections import defaultdict
from collections.abc import Iterable
from contextlib import redirect_stdout
from importlib import import_module
from typing import Any

from tqdm import tqdm

from bench.statistics import Record, success
from milr_core.errors import InputError

SHOWN = 4  # methods whose score the line has room for


class Progress:
    """Told of every record. Use as a context."""

    def __init__(
        self,
        total: int,
        before: Iterable[Record],
        project: str | None = None,
        name: str | None = None,
        config: dict | None = None,
    ):
        """total: records in all. before: those that were there. project, name, config: in trackio, where a run of that
        name is gone on with; no project tracks nothing.
        """
        self._right: dict[str, list[float]] = defaultdict(list)
        for record in before:
            self._right[record["method"]].append(success(record))
        count = sum(map(len, self._right.values()))
        self._tracker = _tracker(project, name, config or {}) if project else None
        self._bar = tqdm(
            total=total,
            initial=count,
            unit="record",
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
            smoothing=0.05,
        )
        self._show()

    def _means(self) -> dict[str, float]:
        return {method: sum(right) / len(right) for method, right in self._right.items()}

    def _show(self) -> None:
        means = list(self._means().items())
        self._bar.set_postfix_str("  ".join(f"{method[:24]} {mean:.2f}" for method, mean in means[:SHOWN]))

    def add(self, record: Record) -> None:
        self._right[record["method"]].append(success(record))
        self._bar.update()
        self._show()
        if self._tracker:
            means = {f"success/{method}": mean for method, mean in self._means().items()}
            done = sum(map(len, self._right.values()))
            self._tracker.log({**means, "records": done, "seconds": record["timing"]["seconds"]})

    def say(self, text: str) -> None:
        self._bar.write(text, file=sys.stderr)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        if self._tracker:
            with redirect_stdout(sys.stderr):
                self._tracker.finish()


def _tracker(project: str, name: str | None, config: dict) -> Any:
    try:
        trackio = import_module("trackio")  # an extra that takes seconds to import
    except ImportError as error:
        raise InputError('trackio is an extra: pip install ".[bench]".') from error
    with redirect_stdout(sys.stderr):  # the tables alone go to stdout
        trackio.init(project=project, name=name, config=config, resume="allow")
    return trackio
