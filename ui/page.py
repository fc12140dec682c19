"""The Inspector's panels and buttons, and what stands in each of them for a session.

While steps are made only what they change is sent, since gradio's time for an update goes with the number of its
outputs, and an update of a property or a skipped output builds the component anew.
"""

from typing import Any

import gradio as gr

from ui.events import Answer
from ui.panels.flags import build_flags, flagged
from ui.panels.gallery import build_gallery, tiles
from ui.panels.instead import build_instead
from ui.panels.plot import build_plot, reward_figure
from ui.panels.reasoning import build_reasoning, reasoning
from ui.panels.runs import build_runs, runs
from ui.panels.score import build_score, score
from ui.panels.scripted import picture_url
from ui.panels.settings_table import build_settings, settings
from ui.panels.stage import build_stage, forming, other_step, picture
from ui.panels.status import SLIDERS, build_status, in_force, notice, status
from ui.panels.stepper import build_stepper, stepper
from ui.run import FAILED, IDLE, PAUSED, REPLAYED, RUNNING, WAITING, Run
from ui.session import Session
from ui.waiting_list import NOWHERE, Place


class Page:
    """Its components are not rendered yet: the tab that lays them out does that.

    opening: the recorded run that it shows at first. Every method answers with a value or an update by component.
    in_force: by the name of the live slider it is beside.
    everything, of_the_run, of_the_step, of_the_phase: the components that `whole`, `shown`, `step`, `pressed` answer
    with.
    """

    def __init__(self, opening: Run | None = None) -> None:
        self.stage, self.reasoning, self.score = build_stage(), build_reasoning(), build_score()
        self.flags, self.settings = build_flags(), build_settings()
        self.stepper, self.gallery, self.plot, self.runs = build_stepper(), build_gallery(), build_plot(), build_runs()
        self.status = build_status(status(IDLE, [], None), "status", padding=False, render=False)
        self.notice = gr.HTML("", elem_id="notice", padding=False, render=False)
        self.instead = build_instead()
        self.in_force = {name: gr.HTML("", elem_id=f"in-force-{name}", render=False) for name in SLIDERS}
        small: dict[str, Any] = {"min_width": 44, "render": False}
        self.run = gr.Button("Run", variant="primary", elem_id="run", **small)
        self.dice = gr.Button("⚄ Again", elem_id="dice", **small)
        self.pause = gr.Button("Pause", interactive=False, elem_id="pause", **small)
        self.resume = gr.Button("Resume", visible=False, elem_id="resume", **small)
        self.one_step = gr.Button("Step", elem_id="one-step", **small)
        self.stop = gr.Button("Stop", interactive=False, elem_id="stop", **small)
        self.leave = gr.Button("Leave", visible=False, elem_id="leave", **small)
        self.fork = gr.Button(
            "Fork the step shown, with these settings", size="sm", interactive=False, elem_id="fork", render=False
        )
        self.clock = gr.Timer(2, active=False, render=False)
        nobody = Session(shown=opening, opening=opening)
        self.everything, self.of_the_run = list(self.whole(nobody)), list(self.shown(nobody))
        self.of_the_step, self.of_the_phase = list(self.step(nobody)), list(self.pressed(nobody))
        for component, value in self.shown(nobody).items() if opening else ():
            component.value = value  # in the page itself, before anything is asked of the server

    @property
    def buttons(self) -> list[gr.Button]:
        """List the buttons in the row under the prompt."""
        return [self.run, self.dice, self.pause, self.resume, self.one_step, self.stop, self.leave]

    def whole(self, session: Session, place: Place = NOWHERE) -> Answer:
        """Everything."""
        return self.shown(session, place) | self.pressed(session)

    def shown(self, session: Session, place: Place = NOWHERE) -> Answer:
        """What steps are seen by."""
        run = session.shown
        steps, planned, number = (list(run.steps), run.planned, run.number) if run else ([], None, 0)
        opening = run is not None and run is session.opening
        others = [(other.number, list(other.steps)) for other in session.runs if other is not run and other.steps]
        figure = reward_figure(steps, planned, others, run.title if run and others else "score")
        return {
            **self.step(session),
            self.stepper: stepper(number, steps, planned, session.looked_at, session.pinned is None, opening),
            self.gallery: {"run": number, "tiles": tiles(steps, picture_url)},
            self.plot: figure | {"run": number},
            self.runs: runs(session.runs, run),
            self.status: status(session.phase, steps, planned, place, seen(run)) + elsewhere(session),
            **self.beside(session),
        }

    def step(self, session: Session) -> Answer:
        """What is made anew for the step looked at; slider, plot and gallery mark it by themselves."""
        run, at = session.shown, session.looked_at
        coming = run.forming if run and session.pinned is None else None
        if run is None or at < 0:
            return {
                self.stage: forming(coming, run.prompt) if run and coming else {},
                self.reasoning: reasoning(None),
                self.score: score(None),
                self.flags: "",
                self.settings: settings([], None),
            }
        other = other_step(run.steps, at, session.against, session.against_step)
        step, before = run.step(at), run.step(other)
        images = picture_url(run.steps[at].image), picture_url(run.steps[other].image)
        shown = picture(step, before, images, run.prompt, run.best)
        return {
            self.stage: forming(coming, run.prompt, shown) if coming else shown,
            self.reasoning: reasoning(step, before if other != at else None),
            self.score: score(step, run.best, run.critic),
            self.flags: flagged(run.steps[at].flags),
            self.settings: settings(run.steps, step, run.prompt, run.critic, run.model.id),
        }

    def beside(self, session: Session) -> Answer:
        """Fill what stands beside the live sliders, and the notice."""
        run = session.shown
        steps, planned = (run.steps, run.planned) if run else ([], None)
        newest = run.step(run.newest) if run and run.steps else None
        said = {component: in_force(name, steps, planned, newest) for name, component in self.in_force.items()}
        return {**said, self.notice: notice(session.notice), self.instead: list(session.instead)}

    def pressed(self, session: Session) -> Answer:
        """Which buttons there are, which of them may be pressed, and whether the clock runs."""
        busy, held = session.busy, session.held is not None
        phase = session.search.phase if session.search else IDLE
        waiting, running = phase == WAITING, phase == RUNNING
        return {
            self.run: gr.update(interactive=not busy),
            self.dice: gr.update(interactive=not busy),
            self.pause: gr.update(visible=not held, interactive=running),
            self.resume: gr.update(visible=held),
            self.one_step: gr.update(interactive=not busy and session.phase != REPLAYED),
            self.stop: gr.update(visible=not waiting, interactive=running or session.phase in (PAUSED, FAILED)),
            self.leave: gr.update(visible=waiting),
            self.fork: gr.update(interactive=not busy and session.looked_at >= 0),
            self.clock: gr.update(active=waiting),
        }

    def refuse(self, session: Session, error: Exception | str) -> Answer:
        """Everything, with a notice of why nothing was begun, and what could be asked instead."""
        session.notice, session.instead = str(error), getattr(error, "suggestions", ())
        return self.whole(session) | {self.status: "Nothing was started."}


def seen(run: Run | None) -> str:
    """What there is to see in a shipped run."""
    return run.origin.partition(": ")[2].capitalize() if run else ""


def elsewhere(session: Session) -> str:
    """Tell the status line: a run that computes while another is looked at."""
    if not session.busy or session.active is session.shown:
        return ""
    what = session.search.title.capitalize() if session.search else "Your comparison"
    return f" ({what} is {session.active.phase}.)"
