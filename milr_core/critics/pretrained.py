"""Checkpoints that critics run: loaded when first needed, through transformers' own classes, and checked.

A checkpoint is its hub id or a folder. Nothing is loaded half: a missing tensor is an error, not a random number.
"""

import logging
import threading
from pathlib import Path
from typing import Any, ClassVar

import torch
import transformers

from milr_core.critics.base import FAILED, LOADING, READY, UNLOADED, Weights, present
from milr_core.errors import CriticError
from milr_core.janus.devices import default_dtype, device_here

logger = logging.getLogger(__name__)


class Pretrained:
    """One checkpoint. Subclasses name it (`weights`), its image processor's class, and say what is asked of it.

    source: another id or a folder, instead of `weights.id`. device: default the best there is. Runs in float32, because
    decisions hang on thresholds; a class with `half` runs in what the device is fast at. Image processors are named in
    their PIL form: what they compute must not depend on whether torchvision is installed. other_kinds: further classes
    of transformers that are asked in the same way.
    """

    weights: ClassVar[Weights]
    images_kind: ClassVar[str]
    reads_text: ClassVar[bool] = True
    half: ClassVar[bool] = False
    other_kinds: ClassVar[tuple[str, ...]] = ()

    def __init__(self, source: str | Path | None = None, device: str | None = None):
        self.source = str(source or self.weights.id)
        self.device = str(device_here(device))
        self.dtype = default_dtype(self.device) if self.half else torch.float32
        self.state = UNLOADED
        self.model: Any = None
        self.image_processor: Any = None
        self.tokenizer: Any = None
        self._lock = threading.Lock()

    @property
    def present(self) -> bool:
        return present(self.source, self.weights.files)

    def load(self) -> None:
        """Load and check; returns at once when it is loaded.

        Raises:
            CriticError: naming the checkpoint, what is wrong with it and what to do.
        """
        with self._lock:
            if self.state == READY:
                return
            self.state = LOADING
            logger.info("Loading %s (%s)", self.source, self.weights.role)
            try:
                self._read()
                self.prepare()
            except Exception as error:
                self.model = None
                self.state = FAILED
                raise CriticError(self._said(error)) from error
            self.state = READY

    def unload(self) -> None:
        with self._lock:
            self.model = None
            self.state = UNLOADED
            if self.device.startswith("cuda"):
                torch.cuda.empty_cache()

    def prepare(self) -> None:
        """Checks and tables of a subclass, once the model is there."""

    def _read(self) -> None:
        config = transformers.AutoConfig.from_pretrained(self.source)
        kinds = [getattr(transformers, name, None) for name in (self.weights.kind, *self.other_kinds)]
        kind = next((kind for kind in kinds if kind and isinstance(config, kind.config_class)), None)
        if kind is None:
            types = " or ".join(f"'{kind.config_class.model_type}'" for kind in kinds if kind)
            raise CriticError(f"it is a checkpoint of type '{config.model_type}', not {types}")
        model, info = kind.from_pretrained(self.source, config=config, dtype=self.dtype, output_loading_info=True)
        lacking = sorted(set(info["missing_keys"]) & {name for name, _ in model.named_parameters()})
        if lacking:
            raise CriticError(f"it has no values for {len(lacking)} tensors, such as {lacking[0]}")
        self.image_processor = getattr(transformers, self.images_kind).from_pretrained(self.source)
        if self.reads_text:
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(self.source)
        self.model = model.to(self.device).eval().requires_grad_(False)

    def _said(self, error: Exception) -> str:
        fix = (
            f"Download {self.weights.id} into this folder"
            if Path(self.source).is_dir()
            else f"Where there is a network, run: hf download {self.source}; or give a folder that holds it"
        )
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        which = f"'{self.source}' ({self.weights.kind}, the {self.weights.role})"
        return f"The weights {which} cannot be loaded: {reason.rstrip('.')}. {fix}."
