"""Writes the model card of the embedded checkpoint from `evaluation.json`: no figure is typed by hand."""

import json
from pathlib import Path

NAMES = {
    "joint": "MILR, joint",
    "text": "MILR, text only",
    "image": "MILR, image only",
    "best-of-n": "Best-of-17, early stop",
}

HEAD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: text-to-image
tags: [janus, test-time-reasoning, milr, shapes]
---

# janus-shapes

A Janus in small: `JanusForConditionalGeneration` with {parameters:.1f} M parameters, trained in this repository
(`python -m shapes.train`) on a world of colored shapes, so that test-time latent reasoning can be tried and measured
without a GPU and without a download. It reasons in text (a plan: which shape, which color, which place), draws
96 x 96 pixels as 36 image tokens, and answers yes/no questions about an image.

It knows {shapes} shapes, {colors} colors, {sizes} sizes, counts of one to four, nine places, and {facts} facts for
riddles ("a triangle the color of grass"). It draws nothing else, and its plans are wrong at times: that is what the
search has to mend.

The image tokenizer's assignment is bootstrapped: the world is drawn on whole places, so its patches are finite in
number, each is one cluster, and encoder, codebook and decoder are trained towards that assignment.

Intended for demonstration, tests and research on test-time search; not for pictures anybody wants to keep.

## Figures

Written by `{command}` on {date}; {machine}; {minutes:.0f} minutes; {prompts} prompts of the test split, none of
them in training (of the composed categories: no combination of them either); 95% bootstrap intervals over prompts.
Success is the verdict of an oracle that reads the pixels by GenEval's rules. **The oracle is the critic of the search
as well**: these figures say how well the search satisfies its critic.

Recommended settings, {chosen}: {recommended}.
"""


def _cell(triple: list[float]) -> str:
    mean, low, high = triple
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def _table(summary: dict, heading: str) -> str:
    lines = [f"\n### {heading}\n", "| | step 0 | best step | last step | image rollouts |", "|---|---|---|---|---|"]
    for method, row in summary.items():
        cells = " | ".join(_cell(row[key]) for key in ("first", "best", "last", "rollouts"))
        lines.append(f"| {NAMES[method]} | {cells} |")
    return "\n".join(lines) + "\n"


def _by_category(report: dict) -> str:
    lines = ["\n### By category (success of the best step)\n"]
    lines += ["| | step 0 | " + " | ".join(NAMES.values()) + " | plan wrong at step 0 | reconstruction |"]
    lines += ["|---" * (len(NAMES) + 4) + "|"]
    for category, methods in report["by_category"].items():
        cells = [_cell(methods["joint"]["first"]), *(_cell(methods[m]["best"]) for m in NAMES)]
        wrong = f"{report['plan_wrong_by_category'][category]:.2f}"
        lines.append(f"| {category} | {' | '.join(cells)} | {wrong} | {report['reconstruction'][category]:.2f} |")
    return "\n".join(lines) + "\n"


def write_card(folder: Path) -> None:
    """Write README.md of a checkpoint folder from its `evaluation.json`."""
    report = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    settings = ", ".join(f"{name} {value}" for name, value in report["recommended"].items())
    chosen = (
        "chosen on the validation split (`grid.json`)" if (folder / "grid.json").exists() else "not yet from a grid"
    )
    text = HEAD.format(**{**report, "recommended": settings, "chosen": chosen, **report["contents"]})
    wrong = report["where_plan_wrong"]["joint"]["prompts"]
    text += _table(report["overall"], f"All {report['prompts']} prompts")
    text += f"\nJoint minus Best-of-17 (paired): {_cell(report['joint_minus_best_of_n'])}.\n"
    text += _table(report["where_plan_wrong"], f"The {wrong} prompts whose plan is wrong at step 0")
    text += f"\nJoint minus Best-of-17 (paired): {_cell(report['joint_minus_best_of_n_where_plan_wrong'])}.\n"
    text += _table(report["where_plan_right"], "The prompts whose plan is right at step 0")
    text += _by_category(report)
    text += (
        f"\nReconstruction by the VQ autoencoder, judged right: {report['reconstruction']['overall']:.3f} overall.\n"
    )
    agree = ", ".join(f"{value:.2f} on {name}" for name, value in report["self_reward"].items())
    text += f"\nThe model's own yes/no (SelfReward) agrees with the oracle: {agree}.\n"
    (folder / "README.md").write_text(text, encoding="utf-8")
