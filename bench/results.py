"""The records of a run as tables and figures ask for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.methods import parse_method
from bench.statistics import Figure, Interval, Record, by_item, difference, interval, success
from bench.store import Key, key_of, read_failures, read_manifest, read_records
from milr_core.errors import InputError

Keep = Callable[[Record], bool]

REFERENCE = "best-of-n-early"
"""What every method is compared with: the same early stop and no search."""


def everything(record: Record) -> bool:
    return True


@dataclass(frozen=True)
class Results:
    """A run's manifest and whole records."""

    folder: Path
    manifest: dict[str, Any]
    records: list[Record]

    @classmethod
    def read(cls, folder: Path) -> "Results":
        """Also while the run is still going on.

        Raises:
            InputError: no run, or one without records.
        """
        manifest = read_manifest(folder)
        records, _ = read_records(folder)
        if not records:
            raise InputError(f"{folder} has no records yet.")
        return cls(folder, manifest, records)

    @cached_property
    def methods(self) -> list[str]:
        """List the methods asked for last, in that order, then whatever else has records."""
        there = dict.fromkeys(record["method"] for record in self.records)
        asked = [name for name in self.manifest.get("methods", []) if name in there]
        return list(dict.fromkeys([*asked, *there]))

    @cached_property
    def failures(self) -> dict[Key, str]:
        """What was asked for and could not be made, with the reason."""
        there = {key_of(record) for record in self.records}
        asked = {name: set(self.manifest.get(name, [])) for name in ("items", "methods", "seeds")}
        return {
            key: why
            for key, why in read_failures(self.folder).items()
            if key not in there and all(part in names for part, names in zip(key, asked.values(), strict=True))
        }

    @cached_property
    def category(self) -> dict[str, str]:
        return {record["item"]: record["category"] for record in self.records}

    @cached_property
    def categories(self) -> list[str]:
        return list(dict.fromkeys(self.category[item] for item in sorted(self.category)))

    @cached_property
    def plan_right(self) -> dict[str, bool]:
        """Map items, where known, to whether the text at step 0 was right.

        It is greedy, so the same for every seed.
        """
        return {r["item"]: r["tags"]["plan_right"] for r in self.records if "plan_right" in r.get("tags", {})}

    @property
    def observers(self) -> list[str]:
        return [name for name in self.manifest["fixed"]["observers"] if name != self.manifest["fixed"]["critic"]]

    def label(self, method: str) -> str:
        return parse_method(method).label

    def of(self, method: str, keep: Keep = everything) -> list[Record]:
        return [record for record in self.records if record["method"] == method and keep(record)]

    def interval(self, method: str, figure: Figure, keep: Keep = everything) -> Interval | None:
        """None where the method has no records to keep."""
        values = by_item(self.of(method, keep), figure)
        return interval(values, self.category, self.manifest.get("weights")) if values else None

    def gain(self, method: str, over: str, figure: Figure = success, keep: Keep = everything) -> Interval | None:
        """Mean paired difference of a method over another; None where they share no prompt."""
        pair = (by_item(self.of(name, keep), figure) for name in (method, over))
        values = difference(*pair)
        return interval(values, self.category, self.manifest.get("weights")) if values else None

    def ceiling(self, methods: Sequence[str], keep: Keep = everything) -> Interval | None:
        """Prompts that at least one picture of any of the methods draws right: an oracle's choice among all of them."""
        values = [by_item(self.of(method, keep), lambda record: any(record["right"])) for method in methods]
        found = {item: float(any(own.get(item) for own in values)) for item in set().union(*values)}
        return interval(found, self.category, self.manifest.get("weights")) if found else None

    def where_plan(self, right: bool) -> Keep:
        return lambda record: self.plan_right.get(record["item"]) is right

    def in_category(self, category: str) -> Keep:
        return lambda record: record["category"] == category

    def having(self, names: Sequence[str]) -> list[str]:
        """Keep those of `names` that have records."""
        return [name for name in names if name in self.methods]
