"""How good an image looks: LAION's head on CLIP's image embedding. Says nothing of the prompt."""

from collections.abc import Sequence
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from milr_core.critics.base import About, Critic, Score, Weights
from milr_core.critics.models.clip import ClipLarge
from milr_core.critics.pretrained import Pretrained
from milr_core.errors import CriticError

LAYERS = (0, 2, 4, 6, 7)  # of the head's five linear maps, counted with the dropout between them
WORST, BEST = 1.0, 10.0


class AestheticHead(Pretrained):
    """Five linear maps from an image embedding (768 wide for CLIP L/14) to a mark from 1 to 10."""

    weights = Weights(
        "trl-lib/ddpo-aesthetic-predictor",
        "linear layers",
        "aesthetic head",
        0.004,
        "none stated",
        ("aesthetic-model.pth",),
    )

    @property
    def present(self) -> bool:
        return Path(self.source).is_file() or super().present

    def _read(self) -> None:
        (name,) = self.weights.files
        path = Path(self.source)
        if path.is_dir():
            path /= name
        elif not path.is_file():
            path = Path(hf_hub_download(self.source, name))
        if path.suffix == ".safetensors":
            tensors = load_file(path)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
        maps = []
        for index in LAYERS:
            weight, bias = (tensors.get(f"layers.{index}.{name}") for name in ("weight", "bias"))
            if weight is None or bias is None:
                raise CriticError(f"it has no layers.{index}, so it is no aesthetic head")
            linear = nn.Linear(weight.shape[1], weight.shape[0])
            linear.load_state_dict({"weight": weight, "bias": bias})
            maps.append(linear)
        self.model = nn.Sequential(*maps).float().to(self.device).eval().requires_grad_(False)

    @torch.no_grad()
    def marks(self, embeddings: Tensor) -> Tensor:
        """(n,) marks, about 1 to 10, of (n, D) unit image embeddings."""
        self.load()
        wanted = self.model[0].in_features
        if embeddings.shape[-1] != wanted:
            raise CriticError(
                f"The aesthetic head '{self.source}' takes embeddings of {wanted} numbers, CLIP gave "
                f"{embeddings.shape[-1]}: it was made for {ClipLarge.weights.id}."
            )
        return self.model(embeddings)[:, 0].cpu()


class Aesthetic(Critic):
    """value: (mark - 1) / 9, cut to [0, 1]."""

    name = "aesthetic"
    about = About(
        weights=(ClipLarge.weights, AestheticHead.weights),
        options={
            "clip": "another id or folder",
            "head": "another id, folder or file (.pth, .safetensors)",
            "device": "cpu, cuda, …",
        },
    )  # fmt: skip

    def __init__(self, clip: str | None = None, head: str | None = None, device: str | None = None):
        self.clip, self.head = ClipLarge(clip, device), AestheticHead(head, device)

    @property
    def models(self) -> tuple[ClipLarge, AestheticHead]:
        return self.clip, self.head

    def score(self, images: Sequence[Image.Image], prompt: str) -> list[Score]:
        scores = []
        for mark in self.head.marks(self.clip.of_images(images)).tolist():
            value = min(1.0, max(0.0, (mark - WORST) / (BEST - WORST)))
            scores.append(Score(value, {"aesthetic": value}, f"Mark {mark:.2f} of {BEST:g}.", {"mark": mark}))
        return scores
