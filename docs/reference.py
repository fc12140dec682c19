"""Writes docs/reference.md from the docstrings of the public interface: python -m docs.reference [FILE]."""

import inspect
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import milr_core
from milr_core import diagnostics, engine, errors, probabilities, record, settings, trajectory
from milr_core.critics import base

WIDTH = 110
REFERENCE = Path(__file__).parent / "reference.md"
INTERFACE: dict[Any, tuple[str, ...]] = {
    milr_core: tuple(milr_core.__all__),
    settings: ("PRESETS", "recommended_settings", "settings_from", "check"),
    base: ("About", "Weights", "Usage", "Box"),
    probabilities: ("inspected",),
    diagnostics: ("flags",),
    trajectory: ("writing",),
    record: ("Header", "StepRecord", "MadeBy"),
    engine: ("Job", "Engine", "run"),
    errors: ("Stopped",),
}
"""Modules, and what of them is for callers."""


def written(text: str) -> str:
    """Show a value as it is written in the source: no modules before types, no quotes around them, no addresses."""
    text = re.sub(r"<function (\w+) at 0x\w+>", r"\1", text)
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)
    return re.sub(r"\b(?:\w+\.)+(?=[A-Z])", "", text)


def signature(name: str, value: Any) -> Iterator[str]:
    """A code block, with a line for each parameter where one line does not hold them all."""
    given = inspect.signature(value)
    parameters = [written(str(p)) for p in given.parameters.values() if p.name not in ("self", "cls")]
    returns = "" if inspect.isclass(value) else written(" -> " + str(given).rpartition(" -> ")[2])
    line = f"{name}({', '.join(parameters)}){returns}"
    if len(line) > WIDTH:
        line = f"{name}(\n    " + ",\n    ".join(parameters) + f",\n){returns}"
    yield f"```\n{line}\n```\n"


def paragraphs(text: str | None) -> Iterator[str]:
    """A docstring as Markdown."""
    yield re.sub(r"^Raises:\n +", "*Raises* ", inspect.cleandoc(text or ""), flags=re.MULTILINE).replace("<", "&lt;")
    yield ""


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that the class itself documents, in the order of the source."""
    for name, value in vars(kind).items():
        function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if not name.startswith("_") and (inspect.isfunction(function) or isinstance(function, property)):
            yield name, function


def entry(name: str, value: Any) -> Iterator[str]:
    yield f"### {name}\n"
    if isinstance(value, Mapping):
        yield "By name: " + ", ".join(f"`{key}`" for key in value) + ".\n"
        return
    if not inspect.isclass(value):
        yield from signature(name, value)
        yield from paragraphs(value.__doc__)
        return
    if not issubclass(value, Exception) and not inspect.isabstract(value):
        yield from signature(name, value)
    generated = is_dataclass(value) and (value.__doc__ or "").startswith(f"{name}(")
    yield from paragraphs("" if generated else value.__doc__)
    for method, function in members(value):
        if function.__doc__ and isinstance(function, property):
            yield f"**{name}.{method}**: " + " ".join(paragraphs(function.__doc__)) + "\n"
        elif function.__doc__:
            yield from signature(f"{name}.{method}", function)
            yield from paragraphs(function.__doc__)


def knobs() -> Iterator[str]:
    """The settings as a table: they are documented where they are declared."""
    yield "## Settings\n\n| setting | default | allowed | live | |\n|---|---|---|---|---|"
    for name, knob in settings.KNOBS.items():
        default = getattr(settings.SearchSettings(), name)
        allowed = ", ".join(f"`{c}`" for c in knob.choices) or knob.range
        shown = "the model's" if default is None else f"`{default}`"
        yield f"| `{name}` | {shown} | {allowed} | {'yes' if knob.live else 'no'} | {knob.help} |"
    yield ""


def reference() -> str:
    lines = [
        "# Interface",
        "",
        "Made from the docstrings by `python -m docs.reference`. How the pieces work together: [method.md](method.md).",
        "",
        *knobs(),
    ]
    for module, names in INTERFACE.items():
        lines += [f"## {module.__name__}", "", *paragraphs(module.__doc__)]
        for name in sorted(names, key=lambda name: (name[0].isupper(), name)):
            lines += entry(name, getattr(module, name))
    return "\n".join(line.rstrip() for line in "\n".join(lines).splitlines()).rstrip() + "\n"


def main(argv: Sequence[str]) -> None:
    (Path(argv[0]) if argv else REFERENCE).write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
