"""What a run keeps of a model between its steps: key/value caches with the prompts prefilled."""

from collections.abc import Callable

from torch import Tensor

from milr_core.errors import InputError
from milr_core.janus.decode import Poll, decode_images, decode_texts
from milr_core.janus.devices import free_bytes
from milr_core.janus.janus import Janus
from milr_core.janus.transformer import Cache
from milr_core.settings import SearchSettings


class Workspace:
    """Caches, allocated once and used again. It pays to keep one for a run; results do not depend on it.

    on_row: as of `decode_images`, of the image that is being drawn.
    """

    def __init__(self, model: Janus):
        self.model = model
        self.on_row: Callable[[Tensor], None] | None = None
        self._caches: dict[str, Cache] = {}
        self._filled: dict[str, tuple[tuple[int, ...], Tensor]] = {}

    def cache(self, kind: str, rows: int, capacity: int) -> Cache:
        """The kind's cache, made anew where it is too small or has other rows.

        Raises:
            InputError: there is not enough memory for it.
        """
        cache = self._caches.get(kind)
        if cache is None or cache.capacity < capacity or len(cache.lengths) != rows:
            room = min(-(-capacity // 64) * 64, self.model.stack.max_positions)
            self._caches.pop(kind, None)
            need, free = Cache.size(self.model.stack, rows, room), free_bytes(self.model.device)
            if need > free:
                raise InputError(
                    f"{rows} rows of {room} positions need {need / 2**30:.1f} GiB; {free / 2**30:.1f} GiB of memory is "
                    "free. Use a smaller batch."
                )
            cache = self._caches[kind] = Cache(self.model.stack, rows, room)
            self._filled.pop(kind, None)
        return cache

    def prefilled(self, kind: str, ids: Tensor, extra: int) -> tuple[Cache, Tensor]:
        """Cache that ends with the prompt (B, T), and the (B, D) outputs there. The last prompt of a kind is kept."""
        rows, length = ids.shape
        key = tuple(ids.flatten().tolist())
        cache = self.cache(kind, rows, length + extra)
        if kind not in self._filled or self._filled[kind][0] != key:
            cache.lengths = [0] * rows
            self._filled[kind] = (key, self.model.prefill(ids, cache))
        cache.lengths = [length] * rows
        return cache, self._filled[kind][1]

    def text(
        self, prompt: str, given: Tensor, poll: Poll, uniform: Tensor | None = None, temperature: float = 1.0
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Reason about a prompt: tokens (M,), latents (M, D). Greedily, or sampled with `uniform` (limit,)."""
        model = self.model
        cache, first = self.prefilled("text", model.reasoning_ids(prompt).unsqueeze(0), model.max_text_tokens)
        (decoded,) = decode_texts(
            model.stack, model.embed, model.text_head, cache, first, model.end_token,
            model.max_text_tokens,
            [given], poll, None if uniform is None else uniform.unsqueeze(0), temperature,
        )  # fmt: skip
        return decoded

    def images(
        self, prompt: str, text: str, uniform: Tensor, forced: Tensor, settings: SearchSettings, poll: Poll
    ) -> tuple[Tensor, Tensor]:
        """Draw n images at once: tokens (n, N), latents (n, N, 2, D). uniform, forced: (n, N)."""
        model, guidance = self.model, settings.guidance
        if guidance is None:
            raise ValueError("the settings leave guidance to the model: resolve them first")
        count, length = forced.shape
        cache, first = self.prefilled("image", model.image_ids(prompt, text), length)
        if count > 1:
            one, cache = cache, self.cache("images", 2 * count, cache.capacity)
            cache.copy_from(one)
        return decode_images(
            model.stack,
            model.image_embeddings,
            lambda z: model.image_head(z, guidance),
            cache,
            first.expand(count, -1, -1),
            uniform,
            forced,
            settings.temperature,
            poll,
            self.on_row,
        )
