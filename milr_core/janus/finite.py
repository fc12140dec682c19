"""Numbers that are none: NaN and infinities end a step with a sentence, before anything is made of them."""

import torch
from torch import Tensor

from milr_core.errors import InputError

LARGEST_HALF = 65504


def not_finite(part: str, dtype: torch.dtype) -> InputError:
    """What is said of a part of the model whose output holds NaN or infinities."""
    if dtype == torch.float16:
        do = f"float16 ends at {LARGEST_HALF}: load the model in bfloat16 or float32 (--dtype float32)"
    else:
        do = "Its weights are damaged: get the checkpoint again"
    return InputError(f"The model's {part} gave NaN or infinite numbers in {str(dtype).removeprefix('torch.')}. {do}.")


def check_finite(values: Tensor, part: str, dtype: torch.dtype) -> None:
    """Raise InputError if any value is NaN or infinite. part: where they come from; dtype: what it computes in."""
    if not values.isfinite().all():
        raise not_finite(part, dtype)


class LogitsCheck:
    """Watches the logits of a decode loop at the price of a sum a token; to look at the sums is to wait for the device.

    head: the part that makes the logits.
    """

    EVERY = 16  # tokens between two looks

    def __init__(self, head: str):
        self.head = head
        self._sums: list[Tensor] = []

    def add(self, logits: Tensor, hidden: Tensor) -> None:
        """The logits of one token and what they were made from.

        Raises:
            InputError: those of one of the last tokens are not finite.
        """
        self._sums.append(logits.sum(dtype=torch.float32))  # NaN and infinities survive a sum
        if len(self._sums) == self.EVERY:
            self.look(hidden)

    def look(self, hidden: Tensor) -> None:
        """Raise InputError if any logits since the last look are not finite."""
        sums, self._sums = self._sums, []
        if sums and not torch.stack(sums).isfinite().all():
            raise not_finite(self.head if hidden.isfinite().all() else "language model", hidden.dtype)
