"""`reason`: the search from a shell, with a progress bar or as JSON lines."""

import argparse
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from milr_core.cli.arguments import add_critic_options
from milr_core.cli.output import json_line, loading_bar, say
from milr_core.control import SearchControl
from milr_core.critics import CRITICS, load_critic, read_options
from milr_core.critics.base import plain_text
from milr_core.errors import InputError
from milr_core.janus import Janus, load_model
from milr_core.janus.catalog import DTYPES, EMBEDDED, QUANTIZATIONS
from milr_core.probabilities import inspected
from milr_core.search import reason
from milr_core.settings import KNOBS, PRESETS, SearchSettings, recommended_settings, settings_from
from milr_core.state import SEARCH, State, Step
from milr_core.trajectory import Trajectory, writing

LARGEST_SEED = 2**31 - 1


def _number(text: str) -> float | int | str:
    """A number if it is one; what is allowed is for the settings to say."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def add(commands: Any) -> None:
    run = commands.add_parser("reason", help="search for a better image of a prompt")
    run.add_argument("prompt", nargs="?", help="what to draw (not needed with --resume)")
    run.add_argument("--model", default=None, help="janus-icons (default), a folder, or a Hugging Face id")
    run.add_argument("--critic", default=None, help=f"{', '.join(CRITICS)}, or a mixture: 0.7*oracle+0.3*self")
    run.add_argument(
        "--observer", action="append", metavar="NAME", help="a critic that scores every step and is never listened to"
    )
    run.add_argument("--preset", choices=PRESETS, help="a named way to search; other settings given change it")
    run.add_argument("--out", type=Path, help="folder for the run bundle: images, states, trajectory.jsonl")
    run.add_argument("--resume", type=Path, metavar="RUN", help="go on with the run in this folder")
    run.add_argument("--json", action="store_true", help="one JSON object a line and a step on standard output")
    run.add_argument("--device", help="cpu, cuda, …; default: a GPU if there is one")
    run.add_argument("--dtype", choices=DTYPES, help="precision; default: what the device is good at")
    run.add_argument("--quantization", choices=QUANTIZATIONS, help="bits of the language model's weights (on CUDA)")
    for name, knob in KNOBS.items():
        flag = "--" + name.replace("_", "-")
        convert = str if knob.choices else _number
        run.add_argument(
            flag, default=None, type=convert, metavar=name.upper(), choices=knob.choices or None,
            help=knob.help + (" -1 draws one." if name == "seed" else ""),
        )  # fmt: skip
    add_critic_options(run)
    run.set_defaults(run=run_reason)


def _line(step: Step, image: str | None) -> dict[str, Any]:
    record = {
        "index": step.index,
        "text": step.text,
        "reward": step.reward,
        "image": image,
        "best": step.best,
        "seconds": round(step.cost.seconds, 4),
    }
    if step.observed:
        record["observed"] = {name: score.value for name, score in step.observed.items()}
    return record


def _settings(args: argparse.Namespace, before: SearchSettings) -> SearchSettings:
    given = {name: getattr(args, name) for name in KNOBS if getattr(args, name) is not None}
    if given.get("seed") == -1:
        given["seed"] = args.seed = secrets.randbelow(LARGEST_SEED)
    return SearchSettings(**{**before.as_dict(), **PRESETS.get(args.preset, {}), **given})


def _resumed(args: argparse.Namespace) -> tuple[Trajectory | None, State | None, SearchSettings | None]:
    """The run to go on with, its newest state, and the settings that it was asked for."""
    if not args.resume:
        return None, None, None
    run = Trajectory.open(args.resume)
    if args.critic not in (None, run.critic):
        raise InputError(
            f"The run was scored by {run.critic}, and scores of two critics are not compared: leave out --critic, or "
            "start a new run with --out."
        )
    if run.header.method != SEARCH:
        raise InputError(f"The run was made by {run.header.method}; only a search goes on from the command line.")
    there = len(run)
    state = run.newest_state()
    if len(run) < there:
        say(f"The state of step {len(run)} is missing or damaged: the run goes on from step {len(run) - 1}.")
    asked = settings_from(run.header.settings) if run.header.settings else None
    return run, state, state.settings if state else asked


def run_reason(args: argparse.Namespace) -> int:
    """The `reason` command; returns the exit code."""
    if args.resume and (args.out or args.prompt):
        raise InputError("--resume goes on with a run as it is: leave out the prompt and --out.")
    if not args.resume and args.prompt is None:
        raise InputError("Give a prompt, for example: python -m milr_core reason 'a red dog left of a blue car'.")
    with ExitStack() as stack:
        if args.resume and args.resume.is_dir():
            stack.enter_context(writing(args.resume))
        run, state, before = _resumed(args)
        header = run.header if run is not None else None  # also of a run without a step, whose length is 0
        settings = _settings(args, before or SearchSettings())
        dtype = getattr(torch, args.dtype) if args.dtype else None
        with loading_bar(args.json) as progress:
            name = args.model or (header.model.id if header else EMBEDDED)
            model = load_model(name, args.device, dtype, args.quantization, progress)
        if before is None and args.preset is None:
            settings = _settings(args, recommended_settings(model.recommended))
        critic_name = args.critic or (header.critic if header else "oracle")
        options = (header.options if header else {}) | read_options(args.option)
        watching = args.observer or (header.observers if header else [])
        if state is not None and not watching:
            watching = list(state.drawn.observed)  # of a bundle from before the header named them
        if run is not None:
            run.check_model(model)
        critic = load_critic(critic_name, model=model, **options)
        observers = [load_critic(name, model=model) for name in watching]
        control = SearchControl()
        prompt = header.prompt if header else args.prompt
        steps = reason(model, critic, prompt, settings, control, state, observers)
        if run is None and args.out:
            asked = settings.resolve(model.recommended)
            prompt = model.check_prompt(prompt)
            run = Trajectory.create(args.out, model, critic_name, prompt, asked, watching, options)
            stack.enter_context(writing(args.out))
        if state is not None and state.finished(settings):
            say(
                f"The run is done: {state.index} of {settings.steps} steps, score {state.reward:.3f}, threshold "
                f"{settings.threshold:g}. More --steps, or a --threshold that the score does not pass, go on with it."
            )
        signal.signal(signal.SIGINT, lambda *_: control.stop())  # the step under way is dropped, the rest is on disk
        _show(args, model, steps, run, settings.steps + 1)
        return 130 if control.stopped else 0


def _show(args: argparse.Namespace, model: Janus, steps: Iterator[Step], run: Trajectory | None, total: int) -> None:
    """Keep and print each step as it comes."""
    with tqdm(total=total, initial=len(run or ()), disable=args.json or not sys.stderr.isatty(), unit="step") as bar:
        for step in steps:
            assert step.state is not None
            image = str(run.append(inspected(model, step.state))) if run is not None else None
            if args.json:
                sys.stdout.write(json_line(_line(step, image), sys.stdout))
                sys.stdout.flush()
            else:
                bar.write(f"{step.index:3d}  {step.reward:.3f}  {plain_text(step.text)}", file=sys.stdout)
                bar.set_postfix(best=step.best, reward=f"{max(step.state.values):.3f}")
            bar.update()
