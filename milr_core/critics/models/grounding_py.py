"""GroundingDINO through its authors' package (groundingdino-py) instead of transformers: the same weights, Swin-T OGC.

It needs transformers 4 and torchvision, so it runs only where a build of it is installed that this project's
transformers can load; elsewhere an InputError says so. The default is `grounding.GroundingDino`, which needs neither.
"""

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

import torch
from PIL import Image

from milr_core.critics.models.boxes import Corners
from milr_core.critics.models.grounding import Answer, GroundingDino
from milr_core.errors import CriticError, InputError

PACKAGE = "groundingdino-py"
CHECKPOINT = "groundingdino_swint_ogc.pth"
CONFIG = "GroundingDINO_SwinT_OGC.py"
DETECTOR_OPTION = f"another id or folder of GroundingDINO, or {PACKAGE}:/path/to/{CHECKPOINT} for its authors' package"
NEEDS = (
    f"The detector '{PACKAGE}' cannot be used here: {{}}. It needs the package groundingdino-py with transformers 4 "
    "and torchvision, and this project runs on transformers 5: install a build of it that loads there, or leave the "
    "option detector out, which runs the same weights through transformers."
)
INCOMPATIBLE = (ImportError, AttributeError, TypeError)
"""What it fails with under transformers 5: it calls what is gone there, or with arguments that are."""

SIZE, LARGEST, MEAN, SPREAD = 800, 1333, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # as its `load_image` has them


def detector_of(source: str | None, device: str | None) -> GroundingDino:
    """The detector that a critic's option names: an id or a folder, or groundingdino-py:CHECKPOINT for the package.

    Raises:
        InputError: the package is asked for and cannot be imported, or no checkpoint is named.
    """
    if source is None or source.partition(":")[0] != PACKAGE:
        return GroundingDino(source, device)
    return GroundingDinoPy(source.partition(":")[2], device)


class GroundingDinoPy(GroundingDino):
    """`source`: its authors' checkpoint, a .pth file."""

    def __init__(self, source: str, device: str | None = None):
        if not source:
            raise InputError(f"Name the checkpoint: detector={PACKAGE}:/path/to/{CHECKPOINT}.")
        try:
            self._inference = import_module("groundingdino.util.inference")
            self._transforms = import_module("groundingdino.datasets.transforms")
        except INCOMPATIBLE as error:
            raise InputError(NEEDS.format(error)) from error
        super().__init__(source, device)

    @property
    def present(self) -> bool:
        return Path(self.source).is_file()

    def load(self) -> None:
        """Load the weights, as every `Pretrained` does.

        Raises:
            CriticError: there is no such checkpoint, or it is another's.
            InputError: the package does not run with the transformers that is installed.
        """
        try:
            super().load()
        except CriticError as error:
            if isinstance(error.__cause__, INCOMPATIBLE):
                raise InputError(NEEDS.format(error.__cause__)) from error
            raise

    def prepare(self) -> None:
        own = self._transforms
        steps = [own.RandomResize([SIZE], max_size=LARGEST), own.ToTensor(), own.Normalize(MEAN, SPREAD)]
        self._pixels = own.Compose(steps)

    def _read(self) -> None:
        if not self.present:
            raise CriticError("there is no such file")
        # Read here first, without running what a pickle may hold; the package does not look what is missing.
        saved = torch.load(self.source, map_location="cpu", weights_only=True)["model"]
        config = Path(import_module("groundingdino").__path__[0]) / "config" / CONFIG
        model = self._inference.load_model(str(config), self.source, device=self.device)
        there = {name.removeprefix("module.") for name in saved}
        if lacking := sorted({name for name, _ in model.named_parameters()} - there):
            raise CriticError(f"it has no values for {len(lacking)} tensors, such as {lacking[0]}")
        self.model = model.eval().requires_grad_(False)

    def _said(self, error: Exception) -> str:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        return (
            f"The weights '{self.source}' cannot be loaded through {PACKAGE}: {reason}. "
            f"Where there is a network, run: hf download ShilongLiu/GroundingDINO {CHECKPOINT}"
        )

    def _answers(
        self, images: Sequence[Image.Image], text: str, threshold: float, text_threshold: float
    ) -> Iterator[list[Answer]]:
        """What the model finds in each image; the package takes one at a time.

        Raises:
            InputError: the package does not run with the transformers that is installed.
        """
        for image in images:
            pixels, _ = self._pixels(image, None)
            try:
                boxes, scores, phrases = self._inference.predict(
                    self.model, pixels, text, threshold, text_threshold, device=self.device
                )
            except INCOMPATIBLE as error:
                raise InputError(NEEDS.format(error)) from error
            found = [corners(box, image) for box in boxes.tolist()]
            yield list(zip(phrases, map(float, scores), found, strict=True))


def corners(box: Sequence[float], image: Image.Image) -> Corners:
    """A box as the package gives it (center x, center y, width, height; shares of the image) in pixels of the image."""
    x, y, width, height = box
    x, width, y, height = x * image.width, width * image.width, y * image.height, height * image.height
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
