"""The parts of the page that are made of one step: its picture, its verdict, its plan against other steps."""

from collections.abc import Mapping

from milr_core import Score, Step
from milr_core.critics.base import FOUND, IGNORED, MISSED, Box
from milr_core.diagnostics import flags
from milr_core.export.run import Run, alone
from milr_core.export.words import ADDED, changed, changes, counted, listed, marked, moved_part, plan, safe, scores

IN_WORDS = {
    "textual collapse": "The plan fell apart: it repeats itself, or says what the model would never write.",
    "visual collapse": "The picture fell apart: it is far from anything that the model would draw.",
    "reward hacking": "This score may deceive: it rose while a critic that only watched fell.",
    "no change": "Nothing changed: plan and picture are those of the step before.",
    "early stop": "Good enough: the score passed the threshold, and the search ended here.",
}
"""What the diagnostics flag, for those who never read of them."""

STATES = {FOUND: "found", MISSED: "asked for otherwise", IGNORED: "not asked for"}


def _percent(share: float) -> str:
    return f"{100 * min(max(share, 0.0), 1.0):.2f}%"


def _box(box: Box) -> str:
    """An outline with its name above it, or within where there is no room above."""
    state = box.state if box.state in STATES else IGNORED
    x, y = _percent(box.x0), _percent(box.y0)
    width, height = _percent(box.x1 - box.x0), _percent(box.y1 - box.y0)
    about = f"{box.label}: {STATES[state]}" + (f" ({box.words})" if box.words else "")
    middle = (box.x0 + box.x1) / 2
    at, anchor = (box.x0, "start") if middle < 0.3 else (box.x1, "end") if middle > 0.7 else (middle, "middle")
    return (
        f'<g class="{state}"><title>{safe(about)}</title>'
        f'<rect class="halo" x="{x}" y="{y}" width="{width}" height="{height}"/>'
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}"/>'
        f'<text x="{_percent(at)}" y="{y}" dy="{-5 if box.y0 > 0.08 else 14}" text-anchor="{anchor}">'
        f"{safe(box.label)}</text></g>"
    )


def figure(run: Run, index: int, address: str) -> str:
    """The picture, with outlines of what the critic saw in it."""
    step = run.steps[index]
    alt = f"Step {index} for “{run.prompt}”, scored {step.reward:.2f}. {step.reason}"
    boxes = "".join(map(_box, step.score.boxes))
    drawn = f'<svg class="boxes" width="100%" height="100%" aria-hidden="true">{boxes}</svg>' if boxes else ""
    return (
        f'<div class="picture"><img src="{address}" alt="{safe(alt)}" width="{step.image.width}" '
        f'height="{step.image.height}" decoding="sync">{drawn}</div>'
    )


def caption(run: Run, index: int) -> str:
    """Which step it is, and its score."""
    best = ' <span class="badge">best</span>' if index == run.best else ""
    return f'<span class="name">Step {index}</span> <b>{run.steps[index].reward:.2f}</b>{best}'


def _meters(score: Score) -> str:
    rows = "".join(
        f'<li><span>{safe(name)}</span><meter min="0" max="1" value="{value:.4f}" aria-label="{safe(name)}"></meter>'
        f"<b>{value:.2f}</b></li>"
        for name, value in score.parts.items()
    )
    return f'<ul class="parts">{rows}</ul>' if rows else ""


def _how(step: Step) -> str:
    """What was moved to come to this step."""
    if step.index == 0:
        return "The model's own first attempt: nothing was moved yet."
    if alone(step):
        return "Drawn on its own, with new luck: nothing was moved."
    words = moved_part([w.moved for w in plan(step) if w.counts], "word")
    cells = len(step.image_tokens)
    at = set(step.image_positions)
    drawn = moved_part([i in at for i in range(cells)], "cell")
    what = [f"{words} of the plan" if words else "", f"{drawn} of the picture" if drawn else ""]
    return f"Moved for this step: {listed([w for w in what if w])}."


def _against_first(run: Run, index: int) -> str:
    if not index:
        return ""
    before, now = run.steps[0].reward, run.steps[index].reward
    if before == now:
        return "as at step 0"
    words = scores(before, now)
    return f"{'up' if now > before else 'down'} from {words[0]} at step 0"


def verdict(run: Run, index: int) -> str:
    """The score and why."""
    step = run.steps[index]
    best_now = run.steps[index].best
    so_far = "the best so far" if best_now == index else f"best so far: step {best_now}"
    said = [word for word in (_against_first(run, index), so_far) if word]
    noted = "".join(f"<li>{IN_WORDS.get(f.kind, f.kind)}</li>" for f in flags(run.steps, index))
    notes = f'<ul class="notes">{noted}</ul>' if noted else ""
    watched = "".join(
        f'<p class="watched"><b>{seen.value:.2f}</b> by {safe(name)}, which only watched. {safe(seen.reason)}</p>'
        for name, seen in step.observed.items()
    )
    return (
        f'<div class="verdict"><p class="score"><strong>{step.reward:.2f}</strong> <span>of 1, '
        f"{safe('; '.join(said))}</span></p>"
        f'<p class="reason">{safe(step.reason)}</p>{_meters(step.score)}'
        f'{notes}{watched}<p class="quiet">{_how(step)}</p></div>'
    )


def plan_against(run: Run, index: int, other: int, against: str) -> str:
    """The text of a step, and what differs from another step's."""
    words = plan(run.steps[index])
    made = changes(words, plan(run.steps[other]))
    if not words:
        note = "No plan was written: the prompt was drawn as it is."
    elif index == other:
        note = f"{counted(sum(w.counts for w in words), 'word')}; this is the step to compare with."
    elif all(c.kind != ADDED for c in made) and len(made) == len(words):
        note = f"The same words as at step {other}."
    else:
        note = f"{counted(changed(made), 'word')} differ{'s' if changed(made) == 1 else ''} from step {other}."
    hidden = "" if against == "first" else " hidden"
    return (
        f'<div class="plan" data-against="{against}" data-other="{other}"{hidden}>'
        f'<p class="text">{marked(made)}</p><p class="quiet">{note}</p></div>'
    )


def article(run: Run, index: int, others: Mapping[str, int], address: str) -> str:
    """All of a step. others: the step that each choice of comparison means, the choice "first" among them."""
    plans = "".join(plan_against(run, index, other, against) for against, other in others.items())
    return (
        f'<article class="step" id="step-{index}" data-step="{index}" data-score="{run.steps[index].reward:.2f}">'
        f'<h3 class="caption">{caption(run, index)}</h3>{figure(run, index, address)}'
        f'{verdict(run, index)}<div class="plans">{plans}</div></article>'
    )
