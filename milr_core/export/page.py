"""A finished run as one HTML file: before and after, every step, the curve, the settings, and how to make it again.

The file asks nothing of any network, runs no script but its own (a policy in it names both by their hash), and shows
all of it without a script too. Whatever comes from the run is escaped: runs are sent by strangers.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from string import Template
from typing import Any

from milr_core import Step, Trajectory, __version__
from milr_core.diagnostics import changed_cells
from milr_core.errors import InputError
from milr_core.export import fragments
from milr_core.export.about import about
from milr_core.export.pictures import addresses, chosen
from milr_core.export.plot import Plot
from milr_core.export.recipe import as_command, as_python
from milr_core.export.run import Run
from milr_core.export.settings_tables import changed_at, settings
from milr_core.export.words import changed, changes, counted, plan, safe, scores

LIMIT = 2_000_000
"""Bytes of a file, so that a letter can carry it."""

MOST_SHOWN = 60
"""Steps in a file; of a longer run some are left out."""

LONG = 240
"""Characters of a prompt that the heading shows."""

_HERE = Path(__file__).parent


def to_html(
    run: Trajectory | Sequence[Step],
    *,
    prompt: str = "",
    model: str = "",
    weights_hash: str = "",
    critic: str = "",
    options: Mapping[str, dict[str, Any]] | None = None,
    link: str = "",
    limit: int = LIMIT,
) -> str:
    """The run as one HTML file of at most `limit` bytes; the same run gives the same file.

    A bundle says itself what prompt, model and critic it is of; of a sequence of steps, which begins at step 0, they
    are to be given. options: of the critics, by name, without keys. link: an address at which the run can be opened,
    if there is one. A file that would be too large has its pictures compressed, and then leaves out steps: the first,
    the best, the last and others evenly spaced stay, and the file says so.

    Raises:
        InputError: there is no step, steps are missing, the bundle is damaged, or even three steps are too large.
    """
    whole = Run.of(run) if isinstance(run, Trajectory) else Run(run, prompt, model, weights_hash, critic, options or {})
    count = min(len(whole.steps), MOST_SHOWN)
    while True:
        shown = chosen(whole, count)
        html = _Page(whole, shown, link, limit).html()
        if len(html.encode()) <= limit:
            return html
        if count <= 3:
            raise InputError(f"Not even three steps of the run fit into an HTML file of {limit / 1e6:g} MB.")
        count = max(3, min(count, len(shown)) * 3 // 4)


class _Page:
    def __init__(self, run: Run, shown: Sequence[int], link: str, limit: int):
        self.run, self.shown, self.link = run, shown, link
        self.pictures, self.compressed = addresses(run, shown, limit * 2 // 3)

    @cached_property
    def now(self) -> int:
        """The step that is looked at first: the best, or the last where nothing beat the first."""
        return self.run.best or len(self.run.steps) - 1

    def html(self) -> str:
        style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
        run, first = self.run, self.run.prompt[:LONG] + ("…" if len(self.run.prompt) > LONG else "")
        return Template((_HERE / "page.html").read_text(encoding="utf-8")).substitute(
            policy=policy(style, script),
            style=style,
            script=script,
            version=__version__,
            title=safe(f"{first[:80]} · MILR"),
            heading=f"“{safe(first)}”",
            brand=self._brand(),
            headline=self._headline(),
            before_caption=fragments.caption(run, 0),
            before=fragments.figure(run, 0, self.pictures[0]),
            after_caption=fragments.caption(run, self.now),
            after=fragments.figure(run, self.now, self.pictures[self.now]),
            verdict=fragments.verdict(run, self.now),
            last=len(self.shown) - 1,
            start=self.shown.index(self.now),
            strip="".join(map(self._tile, self.shown)),
            outlines=self._outlines(),
            plan=fragments.plan_against(run, self.now, 0, "first"),
            plan_legend=self._plan_legend(),
            plot=Plot(run.steps, self.shown, changed_at(run)).svg(),
            plot_legend=self._plot_legend(),
            articles="\n".join(map(self._article, self.shown)),
            settings=settings(run),
            command=safe(as_command(run.recipe)),
            python=safe(as_python(run.recipe)),
            about=about(run, self.link),
            footer=self._footer(),
        )

    def _brand(self) -> str:
        if self.run.independent:
            return "A model draws the same prompt again and again, a critic scores each picture, and the best is kept."
        return "MILR: a model thinks again, scores what it drew, and draws better. Every step of one search is here."

    def _outlines(self) -> str:
        if not any(self.run.steps[i].score.boxes for i in self.shown):
            return ""
        kinds = "".join(
            f'<span><span class="frame {kind}"></span>{said}</span>' for kind, said in fragments.STATES.items()
        )
        shown = '<label><input type="checkbox" checked> What the critic saw</label>'
        return f'<p class="outlines legend">{shown}{kinds}</p>'

    def _headline(self) -> str:
        steps, best = self.run.steps, self.run.best
        first, top = scores(steps[0].reward, steps[best].reward)
        if len(steps) == 1:
            return f"One picture, which scored <b>{first}</b>."
        if self.run.independent:
            drawn = f"The best of {len(steps)} pictures that were drawn each on its own: "
            return f"{drawn}step {best}, <b>{top}</b> (the first: {first})."
        if best == 0:
            tried = counted(len(steps) - 1, "further attempt")
            return f"The first picture scored <b>{first}</b>, and {tried} did not beat it."
        words = changed(changes(plan(steps[best]), plan(steps[0])))
        cells = len(changed_cells(steps[best], steps[0]))
        return (
            f"Step 0: <b>{first}</b> → step {best}: <b>{top}</b>. {counted(words, 'word')} of the plan and {cells} of "
            f"the picture's {counted(len(steps[0].image_tokens), 'cell')} changed."
        )

    def _tile(self, index: int) -> str:
        best = ' <span class="badge">best</span>' if index == self.run.best else ""
        here = ' aria-current="step"' if index == self.now else ""
        reward = self.run.steps[index].reward
        return (
            f'<li><a href="#step-{index}" data-step="{index}"{here}><span class="name">Step {index}</span> '
            f"<b>{reward:.2f}</b>{best}</a></li>"
        )

    def _article(self, index: int) -> str:
        before = self.shown[max(self.shown.index(index) - 1, 0)]
        others = {"first": 0, "previous": before, "best": self.run.best}
        return fragments.article(self.run, index, others, self.pictures[index])

    def _plan_legend(self) -> str:
        marks = "<ins>new</ins>, <del>gone</del>"
        if any(step.text_positions for step in self.run.steps):
            marks += ', <span class="moved">underlined</span>: words that the search moved'
        return f"{marks}."

    def _plot_legend(self) -> str:
        drawn = ['<span class="key score-line"></span> score', '<span class="key so-far"></span> best so far']
        drawn += ['<span class="key wanted"></span> good enough']
        if watched := dict.fromkeys(name for step in self.run.steps for name in step.observed):
            drawn += [f'<span class="key watched"></span> only watched: {safe(", ".join(watched))}']
        if changed_at(self.run):
            drawn += ['<span class="key changed"></span> settings changed']
        same = sum(step.reward == self.run.steps[self.run.best].reward for step in self.run.steps) - 1
        ties = f" {counted(same, 'later step')} scored the same as the best." if same else ""
        return f"{' · '.join(drawn)}.{ties}"

    def _footer(self) -> str:
        said = f"Written by MILR Studio {__version__}. This file loads nothing from anywhere."
        if len(self.shown) < len(self.run.steps):
            said += (
                f" The run has {len(self.run.steps)} steps; {len(self.shown)} of them are here: the first, the best, "
                "the last, and others evenly spaced. The curve has all."
            )
        if self.compressed:
            said += " The pictures are compressed to fit; the run's own are in its bundle."
        return said


def policy(style: str, script: str) -> str:
    """Content-Security-Policy: nothing from anywhere, this style and this script alone, pictures within the file."""

    def named(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; img-src data:; style-src {named(style)}; script-src {named(script)}; base-uri 'none'; "
        "form-action 'none'"
    )
