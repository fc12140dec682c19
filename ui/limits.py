"""What one deployment of the page allows its visitors: read from the environment once, when it starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from milr_core import InputError

LARGEST_FILE, LARGEST_RUN = 100 << 20, 400 << 20
"""Bytes of an uploaded file, and of what it unpacks to."""


def _setting(default: int, low: int, high: int, words: str) -> int:
    return field(default=default, metadata={"range": (low, high), "words": words})


@dataclass(frozen=True)
class Limits:
    """Whole numbers; each is read from `MILR_` and its name in capitals. models: those that visitors may load; none
    named: the embedded one, the one it was started with, and what fits the hardware."""

    queue: int = _setting(50, 1, 10_000, "visitors' events that may wait; more are turned away")
    steps_at_most: int = _setting(1000, 1, 1000, "largest K of a search; on a Space 64 unless it is set")
    runs_kept: int = _setting(12, 1, 100, "runs kept in a session; beyond them the oldest goes")
    searches: int = _setting(0, 0, 1_000_000, "searches and comparisons a session may start; 0 for any number")
    idle_minutes: int = _setting(120, 1, 100_000, "after which a session that computes nothing may be cleared")
    cache_hours: int = _setting(2, 1, 10_000, "after which files made for visitors are deleted")
    models: tuple[str, ...] = ()

    def steps(self, asked: float | None) -> int:
        """How many a search takes at most, of what stands in the field for them."""
        return min(max(int(asked or 0), 0), self.steps_at_most)

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Limits":
        """From the environment.

        Raises:
            InputError: a value that is none; says which values are.
        """
        given = {"steps_at_most": 64} if env.get("SPACE_ID") else {}
        for setting in fields(cls):
            if setting.metadata and (text := env.get(name := f"MILR_{setting.name.upper()}", "").strip()):
                low, high = setting.metadata["range"]
                if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
                    raise InputError(f"{name} is a whole number from {low} to {high}; got '{text}'.")
                given[setting.name] = int(text)
        models = (name.strip() for name in env.get("MILR_MODELS", "").split(","))
        return cls(**given, models=tuple(name for name in models if name))

    @classmethod
    def told(cls) -> str:
        """Every variable with what it means and its default."""
        lines = [
            f"  MILR_{s.name.upper():14} {s.metadata['words']} (default {s.default})" for s in fields(cls) if s.metadata
        ]
        models = "models that visitors may load, by comma (default: the embedded one, and what fits)"
        return "\n".join([*lines, f"  MILR_{'MODELS':14} {models}"])
