"""From steps to what the page shows: HTML, captions, sentences. Pure functions; whatever a model wrote is escaped."""

from collections.abc import Sequence
from html import escape
from typing import Any

from milr_core import Cost, SearchSettings, Step
from milr_core.settings import KNOBS
from ui.session import FINISHED, IDLE, PAUSED, RUNNING, STOPPED, WAITING

METHOD = (
    "The model first writes down what the picture has to contain, then draws it, and a critic scores the drawing "
    "between 0 and 1. If the score is not good enough, the search moves the hidden states behind a part of the words "
    "and of the image a little, in the direction that makes a failed attempt less likely (REINFORCE), and the model "
    "writes and draws again from there. Its weights never change: all of the learning happens while you watch, for "
    "this one prompt."
)
GAP = 8
"""Characters between two tokens in which a token is still looked for: spaces, and bytes that decode only together."""


def number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def best_value(steps: Sequence[Step]) -> float:
    return steps[steps[-1].best].reward


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def status(phase: str, steps: Sequence[Step], planned: SearchSettings | None, ahead: int = 0) -> str:
    """The status line: where the search is, in one sentence."""
    if phase == WAITING:
        others = "Another visitor's search is" if ahead == 1 else f"{ahead} searches of other visitors are"
        return f"Waiting for your turn. {others} ahead of yours." if ahead else "Starting."
    if phase == IDLE or planned is None:
        return "Ready. Say what to draw, then press Run."
    if not steps:
        return {RUNNING: "Reasoning and drawing step 0.", PAUSED: "Paused before step 0."}.get(
            phase, "Stopped before step 0."
        )
    last = steps[-1]
    where = f"step {last.index} of {planned.steps}, score {last.reward:.2f}, best {last.best}"
    if phase == RUNNING:
        return f"Running: {where}."
    if phase == FINISHED:
        passed = last.reward > planned.threshold
        why = f"the score passed the threshold {number(planned.threshold)}" if passed else "all steps are done"
        return f"Finished, {why}: {where} ({best_value(steps):.2f})."
    return f"{'Paused' if phase == PAUSED else STOPPED.capitalize()}: {where} ({best_value(steps):.2f})."


def notice(message: str) -> str:
    return f'<div class="notice" role="alert">{escape(message)}</div>' if message else ""


def aligned(text: str, tokens: Sequence[str]) -> list[tuple[str, str, bool]]:
    """Tokens with the characters before each in `text`: (gap, token, whether it stands in the text)."""
    placed, at = [], 0
    for token in tokens:
        core = token.strip()
        found = text.find(core, at, at + len(core) + GAP) if core else -1
        if found < 0:
            placed.append((" " if core else "", core or token, not core))
        else:
            placed.append((text[at:found], core, True))
            at = found + len(core)
    return placed


def reasoning(step: Step | None) -> str:
    """The reasoning text by tokens, the optimised prefix marked, tokens that are not text (the end) set apart."""
    if step is None:
        return '<p class="empty">What the model writes before it draws appears here.</p>'
    spans: tuple[list[str], list[str]] = ([], [])
    for i, (gap, token, is_text) in enumerate(aligned(step.text, step.token_strings)):
        kind = "token" if is_text else "token special"
        spans[i >= step.text_prefix].append(f'{escape(gap)}<span class="{kind}">{escape(token)}</span>')
    marked = f'<mark class="prefix">{"".join(spans[0])}</mark>' if spans[0] else ""
    total = counted(len(step.text_tokens), "token")
    legend = (
        f"Marked: the {step.text_prefix} of {total} decoded from optimised latents."
        if step.text_prefix
        else f"{total}, none optimised."
    )
    return f'<p class="reasoning">{marked}{"".join(spans[1])}</p><p class="legend">{legend}</p>'


def score(step: Step | None) -> str:
    """The score, its parts, and the critic's reason."""
    if step is None:
        return '<p class="empty">The critic\'s score and its reasons appear here.</p>'
    parts = "".join(
        f'<li><span class="name">{escape(name)}</span>'
        f'<meter min="0" max="1" value="{value:.4f}" aria-label="{escape(name)}"></meter>'
        f'<span class="value">{value:.2f}</span></li>'
        for name, value in step.parts.items()
    )
    badge = ' <span class="badge">best so far</span>' if step.best == step.index else ""
    return (
        f'<p class="score"><strong>{step.reward:.2f}</strong> at step {step.index}{badge}</p>'
        f'<ul class="parts">{parts}</ul><p class="reason">{escape(step.reason)}</p>'
    )


def since(steps: Sequence[Step], index: int, name: str) -> int:
    """First step of the stretch up to `index` in which the setting had its present value."""
    first, value = index, getattr(steps[index].settings, name)
    while first > 0 and getattr(steps[first - 1].settings, name) == value:
        first -= 1
    return first


def in_force(name: str, steps: Sequence[Step], planned: SearchSettings | None) -> str:
    """Beside a live slider: the value that the newest step was made with, and the one that comes next."""
    if planned is None:
        return ""
    coming = getattr(planned, name)
    if not steps:
        return f"in force from step 0: <b>{number(coming)}</b>"
    value = getattr(steps[-1].settings, name)
    said = f"in force since step {since(steps, steps[-1].index, name)}: <b>{number(value)}</b>"
    return said if value == coming else f"{said}; from the next step: <b>{number(coming)}</b>"


def settings(steps: Sequence[Step], index: int, prompt: str = "", critic: str = "") -> str:
    """Everything that a step was made with, and what it cost."""
    if not steps:
        return '<p class="empty">The settings that each step was made with, and its cost, appear here.</p>'
    step = steps[index]
    rows = [("Prompt", escape(prompt), ""), ("Critic", escape(critic), "")]
    for name, value in step.settings.as_dict().items():
        first = since(steps, index, name)
        rows.append((escape(KNOBS[name].label), escape(number(value)), f"since step {first}" if first else ""))
    for kind, norm in step.update_norm.items():
        rows.append((f"Update, {kind}", f"{norm:.3g}", f"gradient {step.gradient_norm[kind]:.3g}"))
    rows.append(("Cost of the step", cost(step.cost), ""))
    total = sum((s.cost for s in steps[: index + 1]), Cost())
    rows.append(("Cost so far", cost(total), ""))
    cells = "".join(f'<tr><th scope="row">{a}</th><td>{b}</td><td class="since">{c}</td></tr>' for a, b, c in rows)
    return f'<table class="settings"><tbody>{cells}</tbody></table>'


def cost(spent: Cost) -> str:
    return (
        f"{spent.seconds:.2f} s, {counted(spent.image_rollouts, 'image')}, {counted(spent.text_tokens, 'text token')}, "
        f"{counted(spent.critic_calls, 'critic call')}"
    )


def tiles(steps: Sequence[Step], paths: Sequence[str]) -> list[tuple[str, str]]:
    """The gallery: one image and caption a step, the best one flagged."""
    best = steps[-1].best if steps else -1
    return [
        (path, f"step {step.index} · {step.reward:.2f}{' ★ best' if step.index == best else ''}")
        for step, path in zip(steps, paths, strict=True)
    ]


def image_alt(step: Step, prompt: str) -> str:
    return f"Step {step.index} for '{prompt}', score {step.reward:.2f}. {step.reason}"
