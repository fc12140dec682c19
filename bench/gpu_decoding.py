"""Decoding on a GPU: the same tokens as on a CPU, and the time a token takes beside its floor and its peers."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from bench.gpu_figures import Row, Rows, figure
from bench.reference import ReferenceWorkspace
from bench.speed import floor, in_turns, ratio, seconds, synchronize
from milr_core import Janus, SearchSettings, load_model
from milr_core.janus.decode import FREE, keep_going, pick
from milr_core.janus.transformer import EagerRuntime, FusedLayer
from milr_core.janus.workspace import Workspace

FROM, TO = 16, 80
"""Tokens of an image between which slow loops are timed: the first ones warm up, all of them would take too long."""


class Measured(Exception):
    """Leaves a loop of which enough was timed."""


class Stretch:
    """A poll that times a decode loop from token `first` to token `last`, and leaves it there."""

    def __init__(self, device: torch.device, first: int, last: int):
        self.device, self.first, self.last = device, first, last
        self.token, self.started, self.seconds = 0, 0.0, 0.0

    def __call__(self) -> None:
        if self.token == self.first:
            synchronize(self.device)
            self.started = time.perf_counter()
        if self.token == self.last:
            synchronize(self.device)
            self.seconds = (time.perf_counter() - self.started) / (self.last - self.first)
            raise Measured
        self.token += 1


class Counting(LogitsProcessor):
    """A `Stretch` where transformers' own loop calls back once a token."""

    def __init__(self, stretch: Stretch):
        self.stretch = stretch

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.stretch()
        return scores


def token_seconds(model: Janus, draw: Callable[[Stretch], object], short: bool) -> float:
    """Seconds a token of a loop that calls the stretch before each one."""
    stretch = Stretch(model.device, *((1, 3) if short else (FROM, TO)))
    with suppress(Measured):
        draw(stretch)
    if not stretch.seconds:
        raise RuntimeError(f"the loop ended after {stretch.token} tokens, before it was timed")
    return stretch.seconds


@contextmanager
def eager(model: Janus) -> Iterator[None]:
    """The same layers, operation by operation."""
    before = model.stack.runtime
    model.stack.runtime = EagerRuntime(model.stack)
    try:
        yield
    finally:
        model.stack.runtime = before


class Drawing:
    """Decodes one prompt's text and images again and again, always of the same random numbers."""

    def __init__(self, model: Janus, prompt: str, text: str):
        self.model, self.prompt, self.text_given = model, prompt, text
        self.settings = SearchSettings(seed=0).resolve(model.recommended)
        generator = torch.Generator().manual_seed(0)
        self.uniform = torch.rand(8, model.num_image_tokens, generator=generator).to(model.device)
        self.forced = torch.full_like(self.uniform, FREE, dtype=torch.long)
        self.workspace, self.reference = Workspace(model), ReferenceWorkspace(model)
        self.nothing = torch.empty(0, dtype=torch.long, device=model.device)

    def text(self, workspace: Workspace | None = None, poll: Callable[[], None] = keep_going) -> Tensor:
        return (workspace or self.workspace).text(self.prompt, self.nothing, poll)[0]

    def images(
        self, count: int = 1, workspace: Workspace | None = None, poll: Callable[[], None] = keep_going
    ) -> Tensor:
        """(count, N) image tokens."""
        chosen = workspace or self.workspace
        forced = self.forced[:count]
        return chosen.images(self.prompt, self.text_given, self.uniform[:count], forced, self.settings, poll)[0]

    def agreeing(self, tokens: Tensor) -> float:
        """The share of (1, N) tokens that this model draws itself, each after the given ones before it."""
        workspace = Workspace(self.model)
        given = tokens.to(self.model.device)
        _, latents = workspace.images(self.prompt, self.text_given, self.uniform[:1], given, self.settings, keep_going)
        logits = self.model.image_head(latents[0], self.settings.guidance)
        return (pick(logits, self.uniform[0], self.settings.temperature) == given[0]).double().mean().item()

    def generate(self, stretch: Stretch) -> None:
        """transformers' own loop, as far as it is timed."""
        ids = self.model.image_ids(self.prompt, self.text_given)[:1]
        self.model.hf.generate(
            ids, generation_mode="image", do_sample=True, guidance_scale=self.settings.guidance,
            attention_mask=torch.ones_like(ids), max_length=ids.shape[1] + self.model.num_image_tokens,
            logits_processor=LogitsProcessorList([Counting(stretch)]),
        )  # fmt: skip


def compare_with_cpu(device: str, prompts: Sequence[str], rounds: int) -> Rows:
    """The embedded model: float32 tokens equal to the CPU's, graphs to eager's; bfloat16's agreement; speed."""
    models = {
        "cpu": load_model("janus-icons", "cpu"),
        "float32": load_model("janus-icons", device, torch.float32),
        "bfloat16": load_model("janus-icons", device, torch.bfloat16),
    }
    texts = {prompt: models["cpu"].text_of(Drawing(models["cpu"], prompt, "").text()) for prompt in prompts}
    drawings = {name: [Drawing(model, p, text) for p, text in texts.items()] for name, model in models.items()}
    drawn = {name: [(one.text().cpu(), one.images().cpu()) for one in drawings[name]] for name in ("cpu", "float32")}
    pairs = list(zip(drawn["cpu"], drawn["float32"], strict=True))
    of = f"of {len(prompts)}"
    yield figure("texts equal to the CPU's, float32", sum(torch.equal(a[0], b[0]) for a, b in pairs), of, "all")
    yield figure("images equal to the CPU's, float32", sum(torch.equal(a[1], b[1]) for a, b in pairs), of, "all")
    with eager(models["float32"]):
        alone = [(one.text().cpu(), one.images().cpu()) for one in drawings["float32"]]
    same = [torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(alone, drawn["float32"], strict=True)]
    yield figure("graphs draw what eager draws, float32", sum(same), of, "all")
    for name in ("float32", "bfloat16"):
        shares = [one.agreeing(tokens) for one, (_, tokens) in zip(drawings[name], drawn["cpu"], strict=True)]
        yield figure(f"image tokens as the CPU's in float32, {name}", 100 * sum(shares) / len(shares), "%")
    yield from _embedded_speed(models, drawings, rounds)


def _embedded_speed(models: dict[str, Janus], drawings: dict[str, list[Drawing]], rounds: int) -> Rows:
    def drawn_eagerly() -> None:
        with eager(models["float32"]):
            drawings["float32"][0].images()

    runs = {name: drawings[name][0].images for name in models}
    times = in_turns({**runs, "eager": drawn_eagerly}, rounds, models["float32"].device)
    count = models["cpu"].num_image_tokens
    for name, taken in times.items():
        yield figure(f"image token, {name}", 1e3 * sorted(taken)[len(taken) // 2] / count, "ms")
    yield figure("image: eager / graphs, float32", ratio(times, "eager", "float32"))


def measure_token(drawing: Drawing, short: bool) -> Generator[Row, None, float]:
    """What a token of an image costs; returns its seconds."""
    timed = [token_seconds(drawing.model, lambda stretch: drawing.images(poll=stretch), short) for _ in range(2)]
    yield figure("image token", 1e3 * timed[1], "ms")  # the first run captures
    return timed[1]


def compare_loops(drawing: Drawing, short: bool) -> Rows:
    """What a token costs: ours by graphs and eagerly, the floor, the reference loop, transformers' `generate`."""
    model = drawing.model

    def timed(count: int = 1, workspace: Workspace | None = None) -> float:
        return token_seconds(model, lambda stretch: drawing.images(count, workspace, stretch), short)

    ours = yield from measure_token(drawing, short)
    if all(isinstance(layer, FusedLayer) for layer in model.stack.layers):
        heads = sum(p.numel() for p in model.hf.model.generation_head.parameters())
        length = model.image_ids(drawing.prompt, drawing.text_given).shape[1] + TO
        least = floor(model.stack, heads, 2, length, model.device)
        yield figure("floor", 1e3 * least, "ms")
        yield figure("image token / floor", ours / least, "", "at most 1.5 at 7B")
    drawing.images()
    yield figure("a whole image", seconds(drawing.images, model.device), "s")
    timed(8)  # captures
    yield figure("image token of eight at once / of one", timed(8) / ours)
    with eager(model):
        yield figure("image: eager / graphs", timed() / ours)
    yield figure("image: reference loop / ours", timed(1, drawing.reference) / ours, "", "at least 5")
    yield figure("image: transformers' generate / ours", token_seconds(model, drawing.generate, short) / ours)
    text = token_seconds(model, lambda stretch: drawing.text(poll=stretch), short)
    slow = token_seconds(model, lambda stretch: drawing.text(drawing.reference, stretch), short)
    yield figure("text token", 1e3 * text, "ms")
    yield figure("text: reference loop / ours", slow / text, "", "at least 5")
