"""The table of a comparison: images, rewards and costs by method."""

from collections.abc import Callable, Sequence
from html import escape

import gradio as gr

from ui.panels.scripted import picture_url, script
from ui.panels.words import best_value, counted
from ui.tabs.comparison import METHODS, Row

COLUMNS = ("", "Method", "Step 0", "Best", "Last", "Images", "Text tokens", "Critic calls", "Seconds", "")


def build_table() -> gr.HTML:
    return gr.HTML(table([], picture_url), js_on_load=script(__file__), elem_id="table", container=True, padding=True)


def _row(row: Row, url: Callable[[str], str], winner: bool, running: bool) -> str:
    run, spent = row.run, row.cost
    head = f'<th scope="row"><b>{row.method}</b><span class="what">{METHODS[row.method]}</span></th>'
    if not run.steps:
        return f'<tr><td></td>{head}<td colspan="8" class="empty">starting</td></tr>'
    last = run.steps[-1]
    best = run.steps[last.best]
    alt = f"Best image of {row.method}, score {best.reward:.2f}"
    image = f'<img src="{escape(url(best.image))}" alt="{escape(alt)}" width="96" height="96">'
    star = ' <span class="badge">★ best</span>' if winner else ""
    figures = (
        f"{run.steps[0].reward:.2f}",
        f"{best.reward:.2f} at {last.best}{star}",
        f"{last.reward:.2f} at {last.index}",
        str(spent.image_rollouts),
        str(spent.text_tokens),
        str(spent.critic_calls),
        f"{spent.seconds:.1f}",
    )
    cells = "".join(f'<td data-name="{name}">{figure}</td>' for name, figure in zip(COLUMNS[2:9], figures, strict=True))
    button = f'<button type="button" data-method="{row.method}">Inspect</button>'
    if not row.done:
        button = '<span class="empty">running</span>' if running else f'<span class="empty">unfinished</span> {button}'
    return f"<tr><td>{image}</td>{head}{cells}<td>{button}</td></tr>"


def _merit(row: Row) -> tuple[float, int]:
    """The best score; among equals, who drew it after fewer images. Who is equal in both is best together."""
    return best_value(row.run.steps), -row.run.best


def quoted(prompt: str) -> str:
    """A prompt at the head of what is said of it."""
    return f'<p class="prompt">“{escape(prompt.strip())}”</p>'


def table(rows: Sequence[Row], url: Callable[[str], str], running: bool = False) -> str:
    """url: from a file to where the browser finds it. running: rows are being made; else one that is not done never
    will be."""
    if not rows:
        return (
            '<p class="empty">One prompt and one seed through every method: what is it worth to search in text, in the '
            "image, in both, or just to draw again? Each method starts from the same step 0.</p>"
        )
    done = [row for row in rows if row.done]
    top = max(map(_merit, done), default=None)
    run = rows[0].run
    costs = "Costs count step 0 for each method, though it is computed once for all searches."
    body = "".join(_row(row, url, len(done) > 1 and row in done and _merit(row) == top, running) for row in rows)
    head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    return (
        f'{quoted(run.prompt)}<div class="scroll"><table class="compared"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
        f'<p class="legend">All with seed {run.settings.seed} and critic {escape(run.critic)}. {costs}</p>'
    )


def progress(phase: str, rows: Sequence[Row], wanted: int, waiting: str) -> str:
    """The status line of the tab. waiting: what to say in the line."""
    done = sum(row.done for row in rows)
    if phase == "waiting":
        return waiting
    if phase == "running":
        spent = max((len(row.run.steps) for row in rows), default=0)
        return f"Comparing, {done} of {wanted} methods done, {counted(spent, 'image')} each."
    if phase == "idle":
        return "Ready. The prompt and all settings are those of the Inspector."
    cut = "".join(f", {row.method} unfinished" for row in rows if not row.done)
    return f"{phase.capitalize()}: {done} of {wanted} methods{cut}."
