"""The model card of the embedded checkpoint, written from its `evaluation.json`: no figure is typed by hand."""

import json
from pathlib import Path
from typing import Any

from bench.tables import Table

HEAD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: text-to-image
tags: [janus, test-time-reasoning, milr]
---

# janus-icons

A Janus in small: `JanusForConditionalGeneration` with {parameters:.1f} M parameters, trained in this repository
(`python -m world.train`) on a world of {nouns} everyday things, so that test-time latent reasoning can be tried and
measured without a GPU and without a download. It reasons in text (a plan: which thing, which color, which place), draws
192 x 192 pixels as 36 image tokens of {codes} codes, describes pictures, and answers yes/no questions about them.

It draws {nouns} things (GenEval's 80 among them) in their own colors or in GenEval's ten, one to four of a kind, up to
seven in all, and knows {facts} facts that riddles ask for ("the mountain that is a symbol of Japan"). It draws nothing
else. The sprites are Fluent Emoji Flat (MIT) and this project's own; `world/NOTICE.md` has the notice.

Intended for demonstration, tests and research on test-time search; not for pictures anybody wants to keep.

Trained from nothing by `python -m world.train` on {trained[machine]}; joined at commit {trained[commit]} of world/:

{stages}

## Figures

Written by `{command}` on {date}; {machine}; {minutes:.0f} minutes after its last start.

95% bootstrap intervals over prompts. Prompts of the test split: none of them is in training, and of the composed
categories no combination of them. Success is the verdict of an oracle that reads the pixels by GenEval's rules. **The
oracle is the critic of the search as well**: these figures say how well the search satisfies its critic.

Recommended settings, {chosen}: {settings}.
"""


def _cell(figure: dict[str, Any], places: int = 2) -> str:
    return f"{figure['mean']:.{places}f} [{figure['low']:.{places}f}, {figure['high']:.{places}f}]"


def _methods(figures: dict[str, dict], title: str) -> str:
    header = ["", "step 0", "answer", "gain over step 0", "image rollouts"]
    rows = [
        [own["label"], *(_cell(own[name]) for name in ("first", "best", "gain", "rollouts"))]
        for own in figures.values()
    ]
    return Table(title, header, rows).markdown()


def _by_category(part: dict[str, Any]) -> str:
    labels = [own["label"] for name, own in part["overall"].items() if name != "step0"]
    rows = []
    for category, figures in part["by_category"].items():
        wrong = part["plan_wrong_by_category"].get(category)
        answers = [_cell(own["best"]) for name, own in figures.items() if name != "step0"]
        first = _cell(next(iter(figures.values()))["first"])
        rows.append([category, "-" if wrong is None else f"{wrong:.2f}", first, *answers])
    return Table("By category", ["", "plan wrong at step 0", "step 0", *labels], rows).markdown()


def _suite(part: dict[str, Any], heading: str) -> str:
    pieces = [f"\n### {heading}\n", _methods(part["overall"], f"All {part['prompts']} prompts")]
    parts = {
        "hard": "that stay hard: riddles, and five to seven things",
        "where_plan_wrong": "whose plan is wrong at step 0",
        "where_plan_right": "whose plan is right at step 0",
    }
    for name, words in parts.items():
        if part[name]:
            count = next(iter(part[name].values()))["first"]["prompts"]
            pieces.append(_methods(part[name], f"The {count} prompts {words}"))
    return "\n".join([*pieces, _by_category(part)])


def _fidelity(report: dict[str, Any]) -> str:
    made, drawn = report["fidelity"], report["fidelity"]["drawings"]
    again, worst = made["reconstructions"]["overall"], made["reconstructions"]["worst"]
    seen = [f"{count} {_cell(figure)}" for count, figure in drawn.items() if count.isdigit()]
    kinds = [
        [kind, *(f"{own[name]:.2f}" for name in ("near misses", "others", "both")), str(own["prompts"])]
        for kind, own in made["yes_or_no"].items()
    ]
    oracle = made["oracle"]
    return "\n".join(
        [
            "\n### Before any search\n",
            f"- Everything in every color, encoded and decoded, is found again: {_cell(again, 3)} of "
            f"{again['prompts']}; the worst noun is {worst['noun']} with {worst['mean']:.2f}.",
            f"- Pictures of right plans are right: {_cell(drawn['1 to 4'])} with up to four things, "
            f"{_cell(drawn['5 to 7'])} with five to seven (by number: {', '.join(seen)}).",
            f"- The oracle on clean pictures of {made['oracle_prompts']} prompts of {report['oracle_prompts_of']}: "
            f"right ones accepted {oracle['right']:.3f}, ones wrong in one respect {oracle['wrong']:.3f}.\n",
            Table(
                "The model's own yes/no on clean pictures: area under the curve, right ones against wrong ones",
                ["asked about", "wrong in one respect", "other things", "half and half", "prompts"],
                kinds,
            ).markdown(),
        ]
    )


def _replanned(planned: list[int]) -> str:
    """Say that the rate's schedule was changed on the way; "" where it was not."""
    return f" (planned as {', then '.join(map(str, planned))})" if len(planned) > 1 else ""


def write_card(folder: Path) -> None:
    """Write README.md of a checkpoint folder from its `evaluation.json`."""
    report = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    settings = ", ".join(f"{name} {value}" for name, value in report["recommended"].items())
    chosen = (
        "chosen on the validation split (`grid.json`)" if (folder / "grid.json").exists() else "not yet from a grid"
    )
    stages = "\n".join(
        f"- {name}: {stage['steps']} steps{_replanned(stage['planned'])}, {stage['hours']:.1f} hours, at the end "
        f"{stage['figures']}"
        for name, stage in report["trained"]["stages"].items()
    )
    text = HEAD.format(**{**report, **report["contents"]}, settings=settings, chosen=chosen, stages=stages)
    text += _fidelity(report) + _suite(report["world"], "The world's own test split")
    if "geneval" in report:
        text += _suite(report["geneval"], "GenEval's prompts")
        text += (
            "\nGenEval's prompts on pictures of this world, by the world's own detector and GenEval's rules: not to be "
            "compared with\nthe benchmark's leaderboard.\n"
        )
    (folder / "README.md").write_text(text, encoding="utf-8")
