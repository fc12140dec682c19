"""Files of a run: the bundle, the trajectory as an animation, its settings as text; and a link to start it again."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image, ImageDraw, ImageFont

from milr_core import InputError, Step, Trajectory
from milr_core.critics import critic_weights
from milr_core.record import MadeBy
from milr_core.settings import KNOBS
from ui.controls import NO_OBSERVER, restored
from ui.engine import options_for
from ui.replaying import LARGEST_FILE
from ui.session import REPLAYED, Run, Session
from ui.studio import Studio
from ui.views.export import Recipe, as_command, as_json, as_python, from_query, query
from ui.views.status import notice

SIDE, BAR = 384, 30
"""Pixels of a frame of the animation, and of the line of words under it."""

FRAME_MS, LAST_MS = 700, 2000
FRAMES = 60
"""At most: of a longer run steps at equal distances are shown, and the best."""


def filmed(steps: Sequence[Step]) -> list[Step]:
    """The steps of an animation."""
    if len(steps) <= FRAMES:
        return list(steps)
    at = {round(i * (len(steps) - 1) / (FRAMES - 2)) for i in range(FRAMES - 1)} | {steps[-1].best}
    return [steps[i] for i in sorted(at)]


def animation(steps: Sequence[Step], file: Path) -> Path:
    """An animated WebP, a frame a step with its score, resting on the last."""
    font = ImageFont.load_default(size=16)
    frames = []
    for step in filmed(steps):
        frame = Image.new("RGB", (SIDE, SIDE + BAR), "white")
        frame.paste(step.image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
        best = ", best so far" if step.best == step.index else ""
        ImageDraw.Draw(frame).text((8, SIDE + 5), f"step {step.index}: {step.reward:.2f}{best}", "black", font)
        frames.append(frame)
    times = [FRAME_MS] * (len(frames) - 1) + [LAST_MS]
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=times, loop=0, quality=90)
    return file


def bundle(run: Run, folder: Path) -> Trajectory:
    """The run on disk, with all that is needed to go on from any of its steps; a recorded run as it was.

    Raises:
        InputError: a fork of a recorded run that lacks the states of some steps.
    """
    if run.phase == REPLAYED:
        return run.bundle
    states = [replace(run.state(i), probabilities=step.probabilities) for i, step in enumerate(run.steps)]
    made = Trajectory.create(folder, MadeBy(**run.model), run.critic, run.prompt)
    for state in states:
        made.append(state)
    return made


def zipped(made: Trajectory, folder: Path) -> list[Path]:
    """The bundle as a zip; beside one that is too large for this page to open again, one without latents."""
    whole = all(made.has_state(index) for index in range(len(made)))
    files = [made.to_zip(folder / "run.zip", states=whole)]
    if whole and files[0].stat().st_size > LARGEST_FILE:
        files.append(made.to_zip(folder / "run-without-latents.zip", states=False))
    return files


def recipe(run: Run) -> Recipe:
    """What makes the run again; of a visitor's own options the judge's name, not where it is nor the key."""
    observers = list(run.steps[-1].observed)
    judge = {"judge": run.options["judge"]} if "judge" in run.options else {}
    options = {name: given for name in (run.critic, *observers) if (given := options_for(name, judge))}
    return Recipe(run.prompt, run.model["id"], run.critic, run.steps, observers, options)


class Exporting:
    """Handlers of the export panel."""

    def __init__(self, studio: Studio):
        self.studio = studio

    def prepare(self, request: gr.Request, session: Session) -> list[Any]:
        """Files, JSON, command, Python, link and notice for the run shown."""
        run = session.shown
        if run is None or not run.steps:
            return [*[gr.skip()] * 5, notice("There is nothing to export yet: make or open a run first.")]
        made = recipe(run)
        folder = self.studio.folder(session)
        folder.mkdir(parents=True)
        texts = [as_json(made), as_command(made), as_python(made)]
        (folder / "settings.json").write_text(texts[0], encoding="utf-8")
        files, said = [folder / "settings.json", animation(run.steps, folder / "trajectory.webp")], ""
        try:
            zips = zipped(bundle(run, folder / "run"), folder)
            files = zips + files
            if len(zips) > 1:
                size = zips[0].stat().st_size >> 20
                said = (
                    f"{zips[0].name} has {size} MiB, and this page opens {LARGEST_FILE >> 20} at most. It opens "
                    f"{zips[1].name}; the command line goes on from what {zips[0].name} holds."
                )
        except InputError as error:
            said = str(error)
        page = request.headers.get("referer", "").partition("?")[0]
        observer = next(iter(made.observers), "")
        link = f"{page}?{query(run.prompt, run.critic, observer, run.planned.as_dict())}"
        made_of = f"{run.title.capitalize()} up to step {run.newest}: bundle (zip), settings (JSON), animation (WebP)"
        shown = gr.update(value=[str(file) for file in files], label=made_of)
        return [shown, *texts, link, notice(said)]

    def restore(self, request: gr.Request) -> list[Any]:
        """Prompt, critic, observer, the knobs and the notice from the page's own address."""
        try:
            found = from_query(str(request.request.url.query)) if request.request else {}
            self.studio.check_steps(found.get("steps", 0))
            for name in (found.get("critic"), found.get("observer")):
                if name and name != NO_OBSERVER:
                    critic_weights(name)
        except InputError as error:
            return [*[gr.skip()] * (3 + len(KNOBS)), notice(f"{error} The link was not used.")]
        names = ("prompt", "critic", "observer", *KNOBS)
        return [
            *(restored(name, found[name]) if found.get(name) not in (None, "") else gr.skip() for name in names),
            gr.skip(),
        ]


def build_export(parts: dict[str, Any]) -> None:
    with gr.Accordion("Export this run", open=False, elem_id="export"):
        parts["prepare"] = gr.Button("Prepare files, settings and link", size="sm", elem_id="prepare")
        parts["files"] = gr.File(
            label="Bundle (zip), settings (JSON), animation (WebP) of the run shown", file_count="multiple",
            interactive=False, elem_id="files",
        )  # fmt: skip
        parts["link"] = gr.Textbox(
            label="Link that restores prompt and settings", buttons=["copy"], interactive=False, elem_id="link"
        )
        with gr.Tabs():
            for name, language in (("JSON", "json"), ("Command line", "shell"), ("Python", "python")):
                with gr.Tab(name):
                    parts[name] = gr.Code(language=language, interactive=False, show_label=False, max_lines=24)


def wire_export(studio: Studio, session: gr.State, parts: dict[str, Any], at_once: dict[str, Any]) -> None:
    exporting = Exporting(studio)
    shown = [parts[name] for name in ("files", "JSON", "Command line", "Python", "link", "notice")]
    waiting = {"show_progress": "full", "show_progress_on": parts["files"]}
    parts["prepare"].click(exporting.prepare, session, shown, **at_once | waiting)
