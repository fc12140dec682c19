"""MILR (paper, Algorithms 1 and 2) as a pure function on a state: `start` makes one, `advance` the next.

`reason` is the loop over `advance` that callers consume.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from milr_core import latents as lat
from milr_core import reinforce
from milr_core.control import SearchControl
from milr_core.critics.base import Critic
from milr_core.decoding import Poll, pick
from milr_core.errors import Stopped
from milr_core.janus import Janus
from milr_core.latents import Latents
from milr_core.rollout import Rollout, Workspace, check_judges, keep_going
from milr_core.settings import SearchSettings
from milr_core.state import State
from milr_core.steps import Step


def moved(strategy: str, k: int, steps: int) -> tuple[bool, bool]:
    """Whether step k of K moves the text latents, and the image latents (paper, Algorithm 2)."""
    if strategy == "alt":
        return k % 2 == 1, k % 2 == 0
    if strategy == "t2v":
        return k <= steps // 2, k > steps // 2
    return strategy in ("joint", "text"), strategy in ("joint", "image")


def start(
    model: Janus,
    critic: Critic,
    prompt: str,
    settings: SearchSettings,
    poll: Poll = keep_going,
    workspace: Workspace | None = None,
    observers: Sequence[Critic] = (),
) -> State:
    """Step 0: reason greedily, draw, score; what text-enhanced reasoning gives.

    observers: critics that score the image as well, into `observed`; nothing depends on what they say.

    Raises:
        InputError: a prompt that the model or the critic cannot take. CriticError: the image could not be judged.
    """
    settings = settings.resolve(model.recommended)
    prompt = model.check_prompt(prompt)
    check_judges(critic, observers, prompt)
    workspace = workspace or Workspace(model)
    generator = torch.Generator().manual_seed(settings.seed)
    rollout = Rollout(model, critic, prompt, settings, generator, poll, workspace, observers)
    nothing = torch.empty(0, dtype=torch.long, device=model.device)
    tokens, latents = workspace.text(prompt, nothing, poll)
    return rollout.finish(
        0, tokens, latents, len(tokens), (), text_latents=None, image_latents=None, gradient_norm={}, update_norm={}
    )


def _update(old: Latents, log_p: Callable[[Tensor], Tensor], adv: float, lr: float) -> tuple[Latents, float, float]:
    """One REINFORCE step on a group: the new latents, the gradient's norm, the update's norm."""
    with torch.enable_grad():
        z = old.values.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(reinforce.loss(log_p(z), adv), z)
    new = lat.adam_step(old, gradient, lr)
    return new, gradient.norm().item(), (new.values - old.values).norm().item()


def advance(
    model: Janus,
    critic: Critic,
    state: State,
    settings: SearchSettings,
    poll: Poll = keep_going,
    workspace: Workspace | None = None,
    observers: Sequence[Critic] = (),
) -> State:
    """Step k = index + 1: move the latents against what the last step scored, decode, score. State is not changed.

    Where a latent group's ratio differs from the one it was sized for, it grows or shrinks first.

    Raises:
        CriticError: the new image could not be judged; `state` is as good as before.
    """
    workspace = workspace or Workspace(model)
    state = state.to(model.device)
    k, s = state.index + 1, settings.resolve(model.recommended)
    generator = torch.Generator()
    generator.set_state(state.random)
    if s.seed != state.settings.seed:  # a fork under another seed
        generator.manual_seed(s.seed + k)
    rollout = Rollout(model, critic, state.prompt, s, generator, poll, workspace, observers)

    # 1. Latents: size the groups, then z^k = z^(k-1) + update, from the tokens that z^(k-1) was decoded to.
    moves_text, moves_image = moved(s.strategy, k, s.steps)
    adv = reinforce.advantage(state.score.value, s.baseline, list(state.values))
    gradient_norm, update_norm = {}, {}
    text = image = None
    if s.strategy != "image":
        text = lat.resize(state.text_latents, state.rollout_text, s.text_ratio, "prefix", s.seed)
    if s.strategy != "text":
        image = lat.resize(state.image_latents, state.rollout_image, s.image_ratio, s.positions, s.seed)
    if moves_text:
        text, gradient_norm["text"], update_norm["text"] = _update(text, _text_log_p(model, state, text), adv, s.lr)
    if moves_image:
        log_p = _image_log_p(model, state, image, s)
        image, gradient_norm["image"], update_norm["image"] = _update(image, log_p, adv, s.lr)
    rollout.clock.lap("update_seconds")

    # 2. Text: the prefix from its latents, the rest by the model. An unchanged prefix leaves the text as it is.
    tokens, latents, decoded = torch.tensor(state.text_tokens, device=model.device), state.rollout_text, 0
    if moves_text:
        given = _text_prefix(model, text, s, generator)
        if not torch.equal(given, tokens[: len(given)]):
            tokens, latents = workspace.text(state.prompt, given, poll)
            decoded = len(tokens)

    # 3. Image: optimised positions are sampled from their latents, the rest by the model; then the score.
    if image is not None:
        at = image.positions.to(model.device)
        with torch.no_grad():
            logits = model.image_head(image.values, s.guidance)
        rollout.forced[0, at] = pick(logits, rollout.uniform[0, at], s.temperature)
    return rollout.finish(
        k,
        tokens,
        latents,
        decoded,
        state.values,
        text_latents=text,
        image_latents=image,
        gradient_norm=gradient_norm,
        update_norm=update_norm,
    )


def _text_log_p(model: Janus, state: State, text: Latents) -> Callable[[Tensor], Tensor]:
    """z -> log-probability of the tokens that the text latents were decoded to; a text may end before they do."""
    decoded = torch.tensor(state.text_tokens, device=model.device)[: len(text)]
    return lambda z: reinforce.log_probability(model.text_head(z[: len(decoded)]), decoded)


def _image_log_p(model: Janus, state: State, image: Latents, s: SearchSettings) -> Callable[[Tensor], Tensor]:
    """z -> log-probability, under guidance, of the tokens that the image latents were decoded to."""
    drawn = torch.tensor(state.image_tokens, device=model.device)[image.positions.to(model.device)]

    def log_p(z: Tensor) -> Tensor:
        logits = model.image_head(z, s.guidance) / (s.temperature or 1.0)
        return reinforce.log_probability(logits, drawn if s.log_probability == "decoded" else logits.argmax(-1))

    return log_p


def _text_prefix(model: Janus, text: Latents, settings: SearchSettings, generator: torch.Generator) -> Tensor:
    """Tokens that the text latents decode to, cut after the first end token."""
    with torch.no_grad():
        logits = model.text_head(text.values)
    if settings.text_sampling == "argmax":
        tokens = logits.argmax(-1)
    else:
        tokens = pick(logits, torch.rand(len(text), generator=generator).to(model.device), 1.0)
    ends = (tokens == model.end_token).nonzero()
    return tokens[: int(ends[0]) + 1] if len(ends) else tokens


def reason(
    model: Janus,
    critic: Critic,
    prompt: str,
    settings: SearchSettings | None = None,
    control: SearchControl | None = None,
    state: State | None = None,
    observers: Sequence[Critic] = (),
) -> Iterator[Step]:
    """Search; yields step 0, then every REINFORCE step, until the score passes tau or K steps are done.

    control: pause, stop and change the search from another thread. state: go on from there instead of starting;
    its own step is not yielded again, and `settings` default to those it was made with. observers: critics that score
    every step into `Step.observed` and that the search never listens to: held-out judges make reward hacking visible.

    Raises:
        InputError: at the call, for bad input. CriticError: while iterating; the steps yielded so far are valid.
    """
    settings = (settings or (state.settings if state else SearchSettings())).resolve(model.recommended)
    prompt = model.check_prompt(state.prompt if state else prompt)
    check_judges(critic, observers, prompt)
    return _steps(model, critic, prompt, settings, control or SearchControl(), state, observers)


def _steps(
    model: Janus,
    critic: Critic,
    prompt: str,
    settings: SearchSettings,
    control: SearchControl,
    state: State | None,
    observers: Sequence[Critic],
) -> Iterator[Step]:
    workspace = Workspace(model)
    try:
        if state is None:
            state = start(model, critic, prompt, control.in_force(settings), control.poll, workspace, observers)
            yield state.step
        while not state.finished(now := control.in_force(settings)):
            control.poll()
            state = advance(model, critic, state, now, control.poll, workspace, observers)
            yield state.step
    except Stopped:
        return
