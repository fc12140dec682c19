"""Stage 1: the VQ autoencoder. Encoder, codebook and decoder of `JanusVQVAE`, trained on random scenes.

Encoder and codebook learn the patch assignment in the first third of the steps; then they are frozen, and the
decoder alone goes on learning to draw from the codes.
"""

import logging
import random
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers.models.janus.modeling_janus import JanusVQVAE

from shapes.model import make_config
from shapes.sampling import random_items
from shapes.scene import PLACES, render
from shapes.tokens import patch_tokens, tokenize
from shapes.training import Progress, learning_rate, load_state, save_state

logger = logging.getLogger(__name__)
CODE_SHARPNESS = 16.0  # inverse temperature of the cosine assignment


def make_batch(size: int, rng: random.Random, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels in [-1, 1], shape (size, 3, H, W), and their tokens (size, N); one to nine shapes an image."""
    images = [render(random_items(rng.randint(1, len(PLACES)), rng)) for _ in range(size)]
    tokens = torch.tensor([tokenize(image) for image in images], device=device)
    pixels = torch.tensor(np.stack([np.asarray(i) for i in images]), device=device).permute(0, 3, 1, 2).float()
    return pixels / 127.5 - 1, tokens


def drawing_loss(vq: JanusVQVAE, pixels: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Reconstruction from the right codes, of unit norm as Janus uses them when it decodes; and its L1."""
    codes = F.normalize(vq.quantize.embedding.weight, dim=-1)
    side = int(tokens.shape[1] ** 0.5)
    quantized = codes[tokens].view(len(tokens), side, side, -1).permute(0, 3, 1, 2)
    difference = vq.decoder(vq.post_quant_conv(quantized)) - pixels
    return difference.abs().mean() + 4 * difference.square().mean(), difference.abs().mean().item()


def assignment_loss(vq: JanusVQVAE, pixels: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Cross-entropy of the encoder's cosine assignment; and the share of patches assigned right.

    With codes of unit norm the nearest one, which `JanusVQVAE.encode` looks for, is the one of largest cosine.
    """
    codes = F.normalize(vq.quantize.embedding.weight, dim=-1)
    z = F.normalize(vq.quant_conv(vq.encoder(pixels)), dim=1).permute(0, 2, 3, 1).reshape(-1, codes.shape[1])
    logits = CODE_SHARPNESS * z @ codes.T
    # Most patches are plain ground; weighting by occurrence would leave little for the shapes.
    weights = torch.ones(len(codes), device=tokens.device)
    weights[0] = 0.2
    right = (logits.argmax(-1) == tokens.flatten()).float().mean().item()
    return F.cross_entropy(logits, tokens.flatten(), weights), right


def train_vq(
    folder: Path,
    steps: int,
    batch: int,
    device: str,
    seed: int = 0,
    peak_lr: float = 2e-3,
    stop_after: int | None = None,
) -> JanusVQVAE:
    """Train, or go on from the state in `folder`; returns the autoencoder with unit-norm codes.

    stop_after: end this call at that step, with the state saved.
    """
    torch.manual_seed(seed)
    vq = JanusVQVAE(make_config(len(patch_tokens())).vq_config).to(device).train()
    vq.quantize.embedding.weight.data = F.normalize(torch.randn_like(vq.quantize.embedding.weight), dim=-1)
    optimizer = torch.optim.AdamW(vq.parameters(), lr=peak_lr, betas=(0.9, 0.98), weight_decay=1e-4)
    start = load_state(folder / "vq.pt", vq, optimizer)
    progress = Progress("vq", steps, start)
    end = min(steps, stop_after or steps)
    for step in range(start, end):
        rng = random.Random(f"vq/{seed}/{step}")
        pixels, tokens = make_batch(batch, rng, device)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, peak_lr, warmup=100, decay=0.6)
        optimizer.zero_grad(set_to_none=True)
        loss, l1 = drawing_loss(vq, pixels, tokens)
        figures = {"l1": l1}
        if step < steps // 3:
            assignment, figures["assigned"] = assignment_loss(vq, pixels, tokens)
            loss = loss + 0.1 * assignment
        else:
            vq.quantize.embedding.requires_grad_(False)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vq.parameters(), 1.0)
        optimizer.step()
        progress.report(step + 1, figures)
        if (step + 1) % 200 == 0 or step + 1 == end:
            save_state(folder / "vq.pt", vq, optimizer, step + 1)
    vq.quantize.embedding.weight.data = F.normalize(vq.quantize.embedding.weight.data, dim=-1)
    logger.info("vq: %d steps, %.0f s in this process", steps, time.monotonic() - progress.started)
    return vq.eval()
