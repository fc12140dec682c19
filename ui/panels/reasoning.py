"""The reasoning text of a step by tokens: what was optimised, what changed, how likely each token was."""

from collections.abc import Sequence
from html import escape

import gradio as gr

from milr_core import Step
from milr_core.diagnostics import text_diff
from ui.panels.links import linked
from ui.panels.scripted import LABELLED, SCROLLED
from ui.panels.words import counted

GAP = 8
"""Characters between two tokens in which a token is still looked for: spaces, and bytes that decode only together."""


def build_reasoning() -> gr.HTML:
    value = reasoning(None)
    return gr.HTML(value, label="Reasoning", elem_id="reasoning", js_on_load=SCROLLED, render=False, **LABELLED)


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


def _said(step: Step, i: int) -> str:
    """Tell the pointer: how likely the token was."""
    if step.probabilities is None:
        return ""
    p, own = step.probabilities.text[i], step.probabilities.text_own[i]
    if i in step.text_positions:
        return f"p {p:.2f} from its optimised latent, {own:.2f} by the model alone"
    return f"p {p:.2f}"


def _span(gap: str, token: str, kinds: list[str], said: str, box: int | None = None) -> str:
    note = f' data-said="{escape(said)}" tabindex="-1"' if said else ""
    if box is not None:
        note = note.replace(' tabindex="-1"', "") + f' data-box="{box}" tabindex="0"'
    return f'{escape(gap)}<span class="{" ".join(kinds)}"{note}>{escape(token)}</span>'


def reasoning(step: Step | None, other: Step | None = None) -> str:
    """The text of a step, the optimised prefix marked; against another step, what was inserted and removed. Words that
    became something which the critic saw carry its box."""
    if step is None:
        return '<p class="empty">What the model writes before it draws appears here.</p>'
    ours = aligned(step.text, step.token_strings)
    theirs = aligned(other.text, other.token_strings) if other else []
    edits = text_diff(step.text_tokens, other.text_tokens) if other else [("kept", i) for i in range(len(ours))]
    links = linked(step.token_strings, step.score.boxes)
    spans: tuple[list[str], list[str]] = ([], [])
    at = 0
    for edit, i in edits:
        gap, token, is_text = theirs[i] if edit == "removed" else ours[i]
        kinds = ["token"] + ([] if is_text else ["special"]) + ([edit] if edit != "kept" else [])
        if edit != "removed" and i >= step.text_prefix and i in step.text_positions:
            kinds.append("optimised")
        at = at if edit == "removed" else i + 1
        inside = (at if edit == "removed" else i) < step.text_prefix
        if edit == "removed":
            spans[not inside].append(f"<del>{_span(gap or ' ', token, kinds, '')}</del>")
        else:
            spans[not inside].append(_span(gap, token, kinds, _said(step, i), links.get(i)))
    marked = f'<mark class="prefix">{"".join(spans[0])}</mark>' if spans[0] else ""
    return f'<p class="reasoning">{marked}{"".join(spans[1])}</p>{_legend(step, other, edits)}'


def _legend(step: Step, other: Step | None, edits: Sequence[tuple[str, int]]) -> str:
    total, moved = len(step.text_tokens), len(step.text_positions)
    which = "first " if step.text_prefix else ""
    said = f"Underlined: the {which}{moved} of {counted(total, 'word')}, which the search moved." if moved else ""
    if other is not None:
        inserted, removed = (sum(kind == wanted for kind, _ in edits) for wanted in ("inserted", "removed"))
        changes = f"{counted(inserted, 'word')} new, {removed} gone" if inserted or removed else "the same text"
        said += f" Against step {other.index}: {changes}."
    return f'<p class="legend">{escape(said.strip() or counted(total, "word") + ", as the model wrote them.")}</p>'
