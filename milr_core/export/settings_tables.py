"""The settings that were in force: what is not the paper's stands open, all of them a click away."""

from itertools import pairwise
from typing import Any

from milr_core import SearchSettings
from milr_core.export.recipe import changed_settings
from milr_core.export.run import Run
from milr_core.export.words import safe
from milr_core.settings import KNOBS
from milr_core.state import BEST_OF_N, BY_HAND, PLAIN, SEARCH

METHODS = {
    SEARCH: "MILR's search",
    BEST_OF_N: "pictures drawn each on its own (Best-of-N)",
    PLAIN: "one picture of the bare prompt, without a plan",
    BY_HAND: "a word of the plan changed by hand",
}


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def changed_at(run: Run) -> list[int]:
    """Steps from which on settings were others, or steps were made in another way."""
    return [before.last + 1 for before, _ in pairwise(run.recipe.parts)]


def _row(name: str, value: Any, default: Any) -> str:
    knob = KNOBS[name]
    return (
        f'<tr><th scope="row">{safe(knob.label)}</th><td>{safe(_value(value))}</td><td>{safe(_value(default))}</td>'
        f"<td>{safe(knob.help)}</td></tr>"
    )


def _table(rows: str, caption: str) -> str:
    return (
        f'<div class="scrolled" tabindex="0" role="region" aria-label="{caption}"><table><thead><tr>'
        '<th scope="col">Setting</th><th scope="col">Here</th><th scope="col">Paper</th>'
        f'<th scope="col">What it does</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _changes(run: Run) -> str:
    """A line for each place at which the run went on otherwise."""
    lines = []
    for before, after in pairwise(run.recipe.parts):
        said = [
            f"{KNOBS[name].label} {_value(getattr(before.settings, name))} → {_value(value)}"
            for name, value in changed_settings(before, after).items()
        ]
        if before.method != after.method:
            said.insert(0, METHODS[after.method])
        lines.append(f"<li>From step {before.last + 1}: {safe(', '.join(said))}</li>")
    return f'<h3>Changed on the way</h3><ul class="changes">{"".join(lines)}</ul>' if lines else ""


def settings(run: Run) -> str:
    """What was set at first, and what was changed on the way."""
    began = run.recipe.parts[0]
    here, paper = began.settings.as_dict(), SearchSettings().resolve({}).as_dict()
    rows = {name: _row(name, value, paper[name]) for name, value in here.items()}
    other = "".join(row for name, row in rows.items() if here[name] != paper[name])
    table = _table(other, "Settings that differ from the paper's") if other else "<p>All as in the paper.</p>"
    return (
        f"<p>How the steps were made: {METHODS[began.method]}.</p>"
        f"<details open><summary>What differs from the paper's settings</summary>{table}</details>{_changes(run)}"
        f"<details><summary>All settings</summary>{_table(''.join(rows.values()), 'All settings')}</details>"
    )
