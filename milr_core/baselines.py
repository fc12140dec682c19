"""What MILR is compared with: the plain prompt, text-enhanced reasoning (step 0), and Best-of-N in its variants."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from milr_core.control import SearchControl
from milr_core.critics.base import NOTHING, Critic
from milr_core.errors import InputError, Stopped
from milr_core.janus import Janus
from milr_core.janus.decode import FREE, keep_going
from milr_core.janus.workspace import Workspace
from milr_core.rollout import Clock, Rollout, check_judges, judge, observe, ready, usage_of
from milr_core.search import start
from milr_core.settings import SearchSettings
from milr_core.state import State
from milr_core.steps import Cost, Step


def plain(
    model: Janus,
    critic: Critic,
    prompt: str,
    settings: SearchSettings | None = None,
    observers: Sequence[Critic] = (),
) -> Step:
    """One image of the prompt as it is, with no reasoning text: what the model does without MILR."""
    settings = (settings or SearchSettings()).resolve(model.recommended)
    prompt = model.check_prompt(prompt)
    check_judges(critic, observers, prompt)
    generator = torch.Generator().manual_seed(settings.seed)
    rollout = Rollout(model, critic, prompt, settings, generator, keep_going, Workspace(model), observers)
    no_tokens = torch.empty(0, dtype=torch.long, device=model.device)
    no_latents = torch.empty(0, model.image_embeddings.shape[-1], device=model.device)
    return rollout.finish(
        0, no_tokens, no_latents, 0, None, text_latents=None, image_latents=None, gradient_norm={}, update_norm={}
    ).step


def text_enhanced(
    model: Janus,
    critic: Critic,
    prompt: str,
    settings: SearchSettings | None = None,
    observers: Sequence[Critic] = (),
) -> Step:
    """Step 0 of MILR: reason, draw once (the paper's zero-step control)."""
    return start(model, critic, prompt, settings or SearchSettings(), observers=observers).step


def best_of_n(
    model: Janus,
    critic: Critic,
    prompt: str,
    n: int,
    settings: SearchSettings | None = None,
    early_stop: bool = True,
    batch: int = 1,
    control: SearchControl | None = None,
    observers: Sequence[Critic] = (),
    text_temperature: float = 0.0,
    state: State | None = None,
) -> Iterator[Step]:
    """N independent images of one greedy reasoning text; yields each, `best` is the best so far.

    The first is the same as step 0 of a search with these settings. early_stop: end at the first score above tau, as
    MILR does. batch: images drawn at once (with early stop, what a batch draws beyond the stop is not counted out: it
    was paid for). observers: critics that score every image into `Step.observed` and choose nothing. text_temperature:
    above 0, every image but the first has a text of its own, sampled at that temperature. state: the first image, where
    it is there already; it is not yielded again.

    Raises:
        InputError: n or batch below 1, or bad input as for `reason`. CriticError: an image could not be judged.
    """
    if n < 1 or batch < 1:
        raise InputError(f"Best-of-N draws at least one image, at least one at a time; got n={n}, batch={batch}.")
    if text_temperature < 0 or (text_temperature and batch > 1):
        raise InputError("Texts are sampled at a temperature of 0 or more, and images of several texts one at a time.")
    settings = (settings or SearchSettings()).resolve(model.recommended)
    model.check_prompt(prompt)
    check_judges(critic, observers, prompt)
    control, workspace = control or SearchControl(), Workspace(model)

    def attempts(state: State | None) -> Iterator[Step]:
        try:
            judging, watching = ready(critic, observers, control.poll, state.spent if state else NOTHING)
            if state is None:
                state = start(model, judging, prompt, settings, control.poll, workspace, watching)
                yield state.step
            while state.index + 1 < n and not (early_stop and state.score.value > settings.threshold):
                if text_temperature:
                    more = _redraw(model, judging, state, text_temperature, control, workspace, watching)
                else:
                    count = min(batch, n - state.index - 1)
                    more = _draw(model, judging, state, count, control, workspace, watching)
                for drawn in more:
                    state = drawn
                    yield state.step
                    if early_stop and state.score.value > settings.threshold:
                        return
        except Stopped:
            return

    return attempts(state)


def _redraw(
    model: Janus,
    critic: Critic,
    state: State,
    temperature: float,
    control: SearchControl,
    workspace: Workspace,
    observers: Sequence[Critic],
) -> Iterator[State]:
    """One more image, of a text sampled for it."""
    generator = torch.Generator()
    generator.set_state(state.random)
    rollout = Rollout(model, critic, state.prompt, state.settings, generator, control.poll, workspace, observers)
    uniform = torch.rand(model.max_text_tokens, generator=generator).to(model.device)
    nothing = torch.empty(0, dtype=torch.long, device=model.device)
    tokens, latents = workspace.text(state.prompt, nothing, control.poll, uniform, temperature)
    yield rollout.finish(
        state.index + 1, tokens, latents, len(tokens), state,
        text_latents=None, image_latents=None, gradient_norm={}, update_norm={},
    )  # fmt: skip


def _draw(
    model: Janus,
    critic: Critic,
    state: State,
    count: int,
    control: SearchControl,
    workspace: Workspace,
    observers: Sequence[Critic],
) -> Iterator[State]:
    """`count` more images of the state's text, drawn in one batch."""
    clock = Clock(model)
    generator = torch.Generator()
    generator.set_state(state.random)
    uniform = torch.rand(count, model.num_image_tokens, generator=generator).to(model.device)
    forced = torch.full((count, model.num_image_tokens), FREE, device=model.device)
    tokens, rollouts = workspace.images(state.prompt, state.text, uniform, forced, state.settings, control.poll)
    clock.lap("image_seconds")
    images = model.images_of(tokens)
    clock.lap("pixels_seconds")
    random = generator.get_state()
    shared = {name: seconds / count for name, seconds in clock.parts.items()}
    for row, image in enumerate(images):
        clock = Clock(model)
        score = judge(critic, image, state.prompt)
        clock.lap("critic_seconds")
        observed = observe(observers, image, state.prompt)
        clock.lap("observer_seconds")
        usage = usage_of(score, observed)
        state = replace(
            state,
            index=state.index + 1,
            image_tokens=tokens[row].tolist(),
            image=image,
            score=score,
            observed=observed,
            values=(*state.values, score.value),
            rollout_image=rollouts[row],
            random=random,
            cost=Cost(1, 0, model.num_image_tokens, 1, **shared, **clock.parts, **usage.as_cost()),
            spent=state.spent + usage,
        )
        yield state
