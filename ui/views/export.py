"""A run's settings as JSON, as a command line, as Python, and as a link that restores them."""

import json
import shlex
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from milr_core import InputError, SearchSettings, Step
from milr_core.settings import KNOBS, check

PLAIN = ("prompt", "critic", "observer")


def schedule(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """What was changed during a run: [{"step": k, name: value, …}], from the step on."""
    moved = []
    for before, after in zip(steps, steps[1:], strict=False):
        old, new = before.settings.as_dict(), after.settings.as_dict()
        changed = {name: new[name] for name in old if old[name] != new[name]}
        if changed:
            moved.append({"step": after.index, **changed})
    return moved


def begun_with(steps: Sequence[Step], planned: SearchSettings) -> dict[str, Any]:
    return (steps[0].settings if steps else planned).as_dict()


def as_json(prompt: str, model: str, critic: str, steps: Sequence[Step], planned: SearchSettings) -> str:
    about: dict[str, Any] = {"prompt": prompt, "model": model, "critic": critic}
    about["settings"] = begun_with(steps, planned)
    if changes := schedule(steps):
        about["changes"] = changes
    return json.dumps(about, indent=2, ensure_ascii=False)


def as_command(prompt: str, model: str, critic: str, steps: Sequence[Step], planned: SearchSettings) -> str:
    """For a shell. A command has one set of settings: the ones that the run began with."""
    parts = ["python", "-m", "milr_core", "reason", prompt, "--model", model, "--critic", critic]
    for name, value in begun_with(steps, planned).items():
        parts += ["--" + name.replace("_", "-"), str(value)]
    note = (
        "# The settings were changed during this run; the Python below repeats the changes.\n"
        if schedule(steps)
        else ""
    )
    return note + " ".join(shlex.quote(part) for part in [*parts, "--out", "RUN"])


def as_python(prompt: str, model: str, critic: str, steps: Sequence[Step], planned: SearchSettings) -> str:
    """A script that gives the same run on the same machine, changes of settings included."""
    given = ", ".join(f"{name}={value!r}" for name, value in begun_with(steps, planned).items())
    lines = [
        "from milr_core import SearchControl, SearchSettings, load_critic, load_model, reason",
        "",
        f"model = load_model({model!r})",
        f"critic = load_critic({critic!r}, model=model)",
        f"settings = SearchSettings({given})",
        "control = SearchControl()",
        f"changes = { ({c.pop('step'): c for c in schedule(steps)})!r}  # from that step on",
        f"for step in reason(model, critic, {prompt!r}, settings, control):",
        "    control.change(**changes.get(step.index + 1, {}))",
        '    step.image.save(f"step-{step.index}.png")',
        "    print(step.index, step.reward, step.text)",
    ]
    return "\n".join(lines) + "\n"


def query(prompt: str, critic: str, observer: str, settings: dict[str, Any]) -> str:
    """The part of a link behind the question mark."""
    return urlencode({"prompt": prompt, "critic": critic, "observer": observer, **settings})


def from_query(text: str) -> dict[str, Any]:
    """Prompt, critic, observer and settings out of a link; what it does not name is left out.

    Raises:
        InputError: a setting outside its range. Names that are not ours are passed over.
    """
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text[:4000]):
        if name in PLAIN:
            found[name] = value
        elif name in KNOBS:
            found[name] = check(name, value if KNOBS[name].choices else _number(name, value))
    return found


def _number(name: str, text: str) -> float | int:
    try:
        return int(text) if KNOBS[name].kind is int else float(text)
    except ValueError:
        raise InputError(f"The link gives {name} as {text[:40]!r}, which is no number.") from None
