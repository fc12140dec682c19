"""Records to a page: tables and figures of one run or several, in the run's folder or in the documentation."""

import logging
import os
import platform
import shlex
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import plotly.graph_objects as go

from bench import figures as fig
from bench.results import Results
from bench.studies import STUDIES, Section, Study, show_main
from bench.suites import slug
from bench.summary import opening
from milr_core import SearchSettings
from milr_core.janus.devices import processor_name

logger = logging.getLogger(__name__)


def sections_of(results: Results) -> list[Section]:
    """What the run's studies show; for a run that is no study, the main table over all of its methods."""
    studies = [STUDIES[name] for name in results.manifest.get("studies", []) if name in STUDIES]
    sections = []
    for study in studies or [Study(f"Run {results.folder.name}", (), show_main)]:
        given = results.manifest.get("study_methods")
        if given and len(studies) == 1:  # --methods replaced the study's own
            study = Study(study.title, tuple(given), study.show)
        sections += study.show(results, study)
    return sections


def machine() -> str:
    """Name the machine that the figures are made on."""
    return f"{os.cpu_count()} x {processor_name()}, {platform.system()}"


def _about(results: Results) -> str:
    manifest, fixed = results.manifest, results.manifest["fixed"]
    items, seeds = len(results.category), sorted({record["seed"] for record in results.records})
    asked = len(manifest["items"]) * len(manifest["methods"]) * len(manifest["seeds"])
    wanted = {(i, m, s) for i in manifest["items"] for m in manifest["methods"] for s in manifest["seeds"]}
    there = sum((r["item"], r["method"], r["seed"]) in wanted for r in results.records)
    steps = fixed["settings"]["steps"]
    chosen = {"all": "", "both": ", as many with a wrong plan at step 0 as with a right one"}
    which = chosen.get(fixed["plans"], f", all with a {fixed['plans']} plan at step 0")
    lines = [
        f"- {items} prompts of {fixed['suite']}{which}; seeds {', '.join(map(str, seeds))}; "
        f"{len(results.records)} records{'' if there >= asked else f' ({asked - there} are still missing)'}.",
        f"- Model {fixed['model']}{', weights ' + fixed['weights'][:12] if fixed['weights'] else ''}; critic "
        f"{fixed['critic']}; held out: {', '.join(results.observers) or 'none'}; at most {steps} steps, threshold "
        f"{fixed['settings']['threshold']:g}; settings given: {_given(fixed['settings'])}.",
        f"- `{manifest['command']}` on {manifest['machine']}; {manifest['started'][:10]}.",
    ]
    return "\n".join(lines) + "\n"


def _failed(results: Results) -> list[str]:
    """Say which methods' records could not be made, and why."""
    if not results.failures:
        return []
    by_method = Counter(method for _, method, _ in results.failures)
    (item, method, seed), why = next(iter(results.failures.items()))
    each = ", ".join(f"{m} {n}" for m, n in by_method.items())
    return [
        f"**{len(results.failures)} records could not be made and are in none of these figures** ({each}): prompts may "
        f"be missing from one method and not from another. The first, {item} by {method}, seed {seed}: {why[:300]} A "
        "rerun tries them again.\n"
    ]


def _given(settings: dict) -> str:
    usual = SearchSettings(steps=settings["steps"], threshold=settings["threshold"]).as_dict()
    said = {name: value for name, value in settings.items() if value != usual[name]}
    return ", ".join(f"{name} {value}" for name, value in said.items()) or "none (the model's own)"


HOW_TO_READ = (
    "Success is the verdict of the run's critic on a method's answer: its best step by the critic that guided it. "
    "Intervals are 95% bootstrap over prompts (a prompt's seeds stay together); differences are paired over prompts. "
    "**Where the critic that guides is also the judge, it is an oracle**: figures then say how well a method satisfies "
    "its critic, and the held-out columns are the ones to trust. Costs are means a prompt. Seconds are of the machine "
    "named, under whatever else it did; image rollouts are the fair cost."
)


def page(title: str, runs: Sequence[Results], pictures: str, kind: str) -> tuple[str, dict[str, go.Figure]]:
    """Markdown and the figures that it shows as PICTURES/NAME.KIND."""
    parts, figures = [f"# {title}\n", HOW_TO_READ + "\n"], {}
    for results in runs:
        about, failed = _about(results), _failed(results)
        for section in sections_of(results):
            parts += [f"## {section.title}\n", about, *failed, *(line + "\n" for line in section.words)]
            parts += [table.markdown() for table in section.tables]
            for name, figure in section.figures.items():
                name = slug(f"{results.folder.name}-{name}" if len(runs) > 1 else name)
                name = name if name not in figures else f"{name}-{len(figures)}"
                figures[name] = figure
                parts.append(f"![{name}]({pictures}/{name}.{kind})\n")
    return "\n".join(parts), figures


def write_report(folder: Path, static: bool = True) -> str:
    """report.md and figures/ in the run's folder; returns the page."""
    results = Results.read(folder)
    text, figures = page(f"Run {folder.name}", [results], "figures", "svg")
    fig.write_html(figures, folder / "figures")
    if static:
        fig.write_static(figures, folder / "figures")
    (folder / "report.md").write_text(text, encoding="utf-8")
    return text


def write_docs(folders: Sequence[Path], path: Path, command: Sequence[str], static: bool = True) -> None:
    """One page of several runs, first what they found; its pictures are in a folder beside it named after it."""
    runs = [Results.read(folder) for folder in folders]
    text, figures = page("Results", runs, path.stem, "svg")
    path.parent.mkdir(parents=True, exist_ok=True)
    when = datetime.now(UTC).date().isoformat()
    note = f"Written on {when} by `python -m bench {shlex.join(command)}`; not edited by hand.\n"
    first = "".join(f"{sentence}\n\n" for sentence in opening(runs))
    path.write_text(text.replace("\n", f"\n\n{first}{note}", 1), encoding="utf-8")
    if static:
        fig.write_static(figures, path.parent / path.stem, ("svg",))
