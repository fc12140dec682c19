"""The picture of a step while it is drawn: row by row of its cells, decoded where that takes little of the step.

To look changes nothing: the cells are drawn from noise that was made before them.
"""

import time
from collections.abc import Callable
from math import isqrt

import torch
from torch import Tensor

from milr_core.control import Forming
from milr_core.janus import Janus
from milr_core.state import State

SLOW = 2.0
"""Seconds that a step takes at least for its picture to be shown as it forms."""

SHARE = 0.05
"""Of the time of a step so far, that decoding parts of its picture takes at most."""

PLAIN = (226, 232, 240)
"""Colour of the cells that are not written yet."""


class Drawing:
    """One step that is drawn. look: shown what there is of its picture, in the thread that draws."""

    def __init__(self, model: Janus, before: State | None, look: Callable[[Forming], None]):
        self.model, self.look, self.rows = model, look, isqrt(model.num_image_tokens)
        self.index = before.index + 1 if before else 0
        # Of step 0 nothing has been measured: what it takes so far says whether it is slow.
        self.seconds = before.cost.seconds if before else None
        self.once = before.cost.pixels_seconds if before else 0.0
        self.spent, self.began = 0.0, time.perf_counter()

    def row(self, tokens: Tensor) -> None:
        """Take the tokens so far, (1, row * rows), after every row of them; decode them where it pays."""
        so_far = time.perf_counter() - self.began
        slow = (so_far if self.seconds is None else self.seconds) >= SLOW
        if not slow or self.spent + self.once > SHARE * so_far or self.rows**2 != self.model.num_image_tokens:
            return
        tokens = tokens[:1].cpu()  # waits for the device, so that its time until here is not counted below
        began, row = time.perf_counter(), tokens.shape[1] // self.rows
        rest = tokens[:, -self.rows :].repeat(1, self.rows - row)
        (image,) = self.model.images_of(torch.cat([tokens, rest], 1).to(self.model.device))
        image.paste(PLAIN, (0, image.height * row // self.rows, image.width, image.height))
        self.look(Forming(self.index, row, self.rows, image))
        self.once = time.perf_counter() - began
        self.spent += self.once
