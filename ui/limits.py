"""What one deployment of the page allows its visitors: read from the environment once, when it starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from milr_core import InputError

LARGEST_FILE, LARGEST_RUN = 100 << 20, 400 << 20
"""Bytes of an uploaded file, and of what it unpacks to."""

LONGEST_PROMPT, LONGEST_NAME = 4000, 500
"""Characters; checked before anything else is done with a text. A name is a critic's, a judge's, a key, an address."""


def _setting(default: int, low: int, high: int, words: str) -> int:
    return field(default=default, metadata={"range": (low, high), "words": f"{words} (default {default})"})


def _list(words: str) -> tuple[str, ...]:
    return field(default=(), metadata={"words": words})


@dataclass(frozen=True)
class Limits:
    """Whole numbers and lists; each is read from `MILR_` and its name in capitals."""

    queue: int = _setting(50, 1, 10_000, "searches that may wait or run; more are turned away")
    share: int = _setting(4, 1, 10_000, "of them, searches from one address")
    steps_at_most: int = _setting(1000, 1, 1000, "largest K of a search; on a Space 64 unless it is set")
    runs_kept: int = _setting(12, 1, 100, "runs kept in a session; beyond them the oldest goes")
    searches: int = _setting(0, 0, 1_000_000, "searches that a visit, or an address that calls, may start; 0: any")
    grace: int = _setting(300, 0, 1_000_000, "seconds that a search goes on while its visitor is away")
    idle_minutes: int = _setting(120, 1, 100_000, "after which a session that computes nothing may be cleared")
    cache_hours: int = _setting(2, 1, 10_000, "after which files made for visitors are deleted")
    disk: int = _setting(0, 0, 100_000_000, "MiB of such files; beyond them no run is begun; 0 for any number")
    models: tuple[str, ...] = _list(
        "models that visitors may load, by comma (default: the embedded one, and what fits)"
    )
    critics: tuple[str, ...] = _list("critics that visitors may use, by comma (default: all whose weights fit)")
    hosts: tuple[str, ...] = _list("names that the page answers to, by comma; * begins one (default: any)")

    def steps(self, asked: float | None) -> int:
        """How many a search takes at most, of what stands in the field for them."""
        return min(max(int(asked or 0), 0), self.steps_at_most)

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Limits":
        """Read the limits from the environment.

        Raises:
            InputError: a value that is none; says which values are.
        """
        given: dict[str, Any] = {"steps_at_most": 64} if env.get("SPACE_ID") else {}
        for setting in fields(cls):
            text = env.get(name := f"MILR_{setting.name.upper()}", "").strip()
            if "range" not in setting.metadata:
                given[setting.name] = tuple(each.strip() for each in text.split(",") if each.strip())
            elif text:
                low, high = setting.metadata["range"]
                if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
                    raise InputError(f"{name} is a whole number from {low} to {high}; got '{text}'.")
                given[setting.name] = int(text)
        return cls(**given)

    @classmethod
    def told(cls) -> str:
        """Every variable with what it means and its default."""
        return "\n".join(f"  MILR_{setting.name.upper():14} {setting.metadata['words']}" for setting in fields(cls))
