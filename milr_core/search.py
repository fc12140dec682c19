"""MILR (paper, Algorithms 1 and 2) as a pure function on a state: `start` makes one, `advance` the next.

A `State` is all there is to a search: pickle it, move it, continue it elsewhere or under other settings. `reason` is
the loop over `advance` that callers consume.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from PIL import Image
from torch import Tensor

from milr_core import latents as lat
from milr_core import reinforce
from milr_core.control import SearchControl
from milr_core.critics.base import Critic, Score
from milr_core.decoding import FREE, Cache, Poll, decode_images, decode_text, pick
from milr_core.errors import CriticError, InputError, Stopped
from milr_core.janus import Janus
from milr_core.latents import Latents
from milr_core.settings import SearchSettings
from milr_core.steps import Cost, Step


def keep_going() -> None:
    """The poll of a search that nobody interrupts."""


@dataclass(frozen=True)
class State:
    """A search after step `index`. Tensors may live on any device; `advance` moves what it needs.

    rollout_text: (M, D), rollout_image: (N, 2, D): what each token of this step's rollout could be decoded from.
    text_latents, image_latents: the optimised ones, z^k; None where the strategy has none.
    random: state of the run's generator after this step. values: the scores of steps 0 to `index`.
    """

    prompt: str
    index: int
    settings: SearchSettings
    text: str
    text_tokens: list[int]
    token_strings: list[str]
    image_tokens: list[int]
    image: Image.Image
    score: Score
    values: tuple[float, ...]
    rollout_text: Tensor
    rollout_image: Tensor
    text_latents: Latents | None
    image_latents: Latents | None
    random: Tensor
    cost: Cost
    gradient_norm: dict[str, float]
    update_norm: dict[str, float]

    @property
    def best(self) -> int:
        return max(range(len(self.values)), key=self.values.__getitem__)

    def finished(self, settings: SearchSettings) -> bool:
        """Algorithm 1 goes on while k <= K and r <= tau."""
        return self.index >= settings.steps or self.score.value > settings.threshold

    def to(self, device: str | torch.device) -> "State":
        """The same state with its tensors on a device; the generator's state stays on the CPU."""
        return replace(
            self,
            rollout_text=self.rollout_text.to(device),
            rollout_image=self.rollout_image.to(device),
            text_latents=self.text_latents and self.text_latents.to(device),
            image_latents=self.image_latents and self.image_latents.to(device),
        )

    @cached_property
    def step(self) -> Step:
        """What callers see of this state."""
        optimised = min(len(self.text_latents), len(self.text_tokens)) if self.text_latents and self.index else 0
        return Step(
            index=self.index,
            text=self.text,
            image=self.image,
            score=self.score,
            best=self.best,
            settings=self.settings,
            cost=self.cost,
            text_tokens=self.text_tokens,
            token_strings=self.token_strings,
            text_prefix=optimised,
            image_tokens=self.image_tokens,
            image_positions=self.image_latents.positions.tolist() if self.image_latents and self.index else [],
            gradient_norm=self.gradient_norm,
            update_norm=self.update_norm,
            state=self,
        )


class Workspace:
    """Prompts that a search has prefilled. Pays to keep between the steps of a run; results do not depend on it."""

    def __init__(self, model: Janus):
        self.model = model
        self._filled: dict[str, tuple[tuple[int, ...], Cache, Tensor, int]] = {}

    def prefilled(self, kind: str, ids: Tensor, extra: int) -> tuple[Cache, Tensor]:
        """Cache rewound to the end of the prompt (B, T), and the (B, D) outputs there. One prompt kept a kind."""
        key = tuple(ids.flatten().tolist())
        if kind not in self._filled or self._filled[kind][0] != key:
            cache, first = self.model.prefill(ids, extra)
            self._filled[kind] = (key, cache, first, cache.length)
        _, cache, first, length = self._filled[kind]
        cache.length = length
        return cache, first

    def text(self, prompt: str, given: Tensor, poll: Poll, uniform: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Reason about a prompt: tokens (M,), latents (M, D)."""
        model = self.model
        cache, first = self.prefilled("text", model.reasoning_ids(prompt).unsqueeze(0), model.max_text_tokens)
        return decode_text(
            model.stack, model.embed, model.text_head, cache, first[0], model.end_token, model.max_text_tokens,
            given, poll, uniform,
        )  # fmt: skip

    def images(
        self, prompt: str, text: str, uniform: Tensor, forced: Tensor, settings: SearchSettings, poll: Poll
    ) -> tuple[Tensor, Tensor]:
        """Draw n images at once: tokens (n, N), latents (n, N, 2, D). uniform, forced: (n, N)."""
        model = self.model
        count, length = forced.shape
        cache, first = self.prefilled("image", model.image_ids(prompt, text), length)
        if count > 1:  # rows come in pairs: r0 r1 r0 r1 …
            cache = cache.tiled(count)
        return decode_images(
            model.stack,
            model.image_embeddings,
            lambda z: model.image_head(z, settings.guidance),
            cache,
            first.expand(count, -1, -1),
            uniform,
            forced,
            settings.temperature,
            poll,
        )


def moved(strategy: str, k: int, steps: int) -> tuple[bool, bool]:
    """Whether step k of K moves the text latents, and the image latents (paper, Algorithm 2)."""
    if strategy == "alt":
        return k % 2 == 1, k % 2 == 0
    if strategy == "t2v":
        return k <= steps // 2, k > steps // 2
    return strategy in ("joint", "text"), strategy in ("joint", "image")


class Clock:
    """Seconds by part, for `Cost`."""

    def __init__(self, model: Janus):
        self._cuda = model.device.type == "cuda"
        self.parts: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        if self._cuda:
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.parts[part] = self.parts.get(part, 0.0) + now - self._last
        self._last = now


def judge(critic: Critic, image: Image.Image, prompt: str) -> Score:
    """One image's score.

    Raises:
        CriticError: whatever goes wrong in a critic; a failure is never a score.
    """
    try:
        (score,) = critic.score([image], prompt)
    except (CriticError, InputError, Stopped):
        raise
    except Exception as error:
        raise CriticError(f"The critic '{critic.name}' failed: {type(error).__name__}: {error}") from error
    return score


@dataclass
class _Rollout:
    """What `start` and `advance` have in common: a text is given; draw it, judge it, and keep the figures."""

    model: Janus
    critic: Critic
    prompt: str
    settings: SearchSettings
    generator: torch.Generator
    poll: Poll
    workspace: Workspace

    def __post_init__(self) -> None:
        self.clock = Clock(self.model)
        shape = (1, self.model.num_image_tokens)
        self.uniform = torch.rand(shape, generator=self.generator).to(self.model.device)
        self.forced = torch.full(shape, FREE, device=self.model.device)

    def finish(
        self, index: int, text_tokens: Tensor, rollout_text: Tensor, decoded: int, before: tuple, **more
    ) -> State:
        """Draw and judge; `decoded` text tokens were paid for, `before` are the scores of the steps so far."""
        model, clock = self.model, self.clock
        text = model.text_of(text_tokens)
        clock.lap("text_seconds")
        image_tokens, rollout_image = self.workspace.images(
            self.prompt, text, self.uniform, self.forced, self.settings, self.poll
        )
        clock.lap("image_seconds")
        (image,) = model.images_of(image_tokens)
        clock.lap("pixels_seconds")
        score = judge(self.critic, image, self.prompt)
        clock.lap("critic_seconds")
        return State(
            prompt=self.prompt,
            index=index,
            settings=self.settings,
            text=text,
            text_tokens=text_tokens.tolist(),
            token_strings=model.token_strings(text_tokens),
            image_tokens=image_tokens[0].tolist(),
            image=image,
            score=score,
            values=(*before, score.value),
            rollout_text=rollout_text,
            rollout_image=rollout_image[0],
            random=self.generator.get_state(),
            cost=Cost(1, decoded, model.num_image_tokens, 1, **clock.parts),
            **more,
        )


def start(
    model: Janus,
    critic: Critic,
    prompt: str,
    settings: SearchSettings,
    poll: Poll = keep_going,
    workspace: Workspace | None = None,
) -> State:
    """Step 0: reason greedily, draw, score; what text-enhanced reasoning gives.

    Raises:
        InputError: a prompt that the model or the critic cannot take. CriticError: the image could not be judged.
    """
    settings = settings.resolve(model.recommended)
    prompt = model.check_prompt(prompt)
    critic.check_prompt(prompt)
    workspace = workspace or Workspace(model)
    generator = torch.Generator().manual_seed(settings.seed)
    rollout = _Rollout(model, critic, prompt, settings, generator, poll, workspace)
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
    rollout = _Rollout(model, critic, state.prompt, s, generator, poll, workspace)

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
) -> Iterator[Step]:
    """Search; yields step 0, then every REINFORCE step, until the score passes tau or K steps are done.

    control: pause, stop and change the search from another thread. state: go on from there instead of starting;
    its own step is not yielded again, and `settings` default to those it was made with.

    Raises:
        InputError: at the call, for bad input. CriticError: while iterating; the steps yielded so far are valid.
    """
    settings = (settings or (state.settings if state else SearchSettings())).resolve(model.recommended)
    prompt = model.check_prompt(state.prompt if state else prompt)
    critic.check_prompt(prompt)
    return _steps(model, critic, prompt, settings, control or SearchControl(), state)


def _steps(
    model: Janus, critic: Critic, prompt: str, settings: SearchSettings, control: SearchControl, state: State | None
) -> Iterator[Step]:
    workspace = Workspace(model)
    try:
        if state is None:
            state = start(model, critic, prompt, control.in_force(settings), control.poll, workspace)
            yield state.step
        while not state.finished(now := control.in_force(settings)):
            control.poll()
            state = advance(model, critic, state, now, control.poll, workspace)
            yield state.step
    except Stopped:
        return
