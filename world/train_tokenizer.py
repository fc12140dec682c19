"""The image tokenizer, `JanusVQVAE`: a decoder that draws pixels from codes, and an encoder that finds the codes.

The codes are given (`principal_codes`) and stay as they are, so the two learn apart from each other, and from the
language model: three processes may train at the same time. Scenes are dense, nine things at a time: plain ground is
learned from a few of them.
"""

import logging
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.janus.modeling_janus import JanusVQVAE

from world.scene import GROUND, PLACES, Item, render
from world.tokens import TINTS, Vocabulary, principal_codes
from world.training import Muon, Progress, learning_rate, load_state, save_state

logger = logging.getLogger(__name__)
DENSE = 0.7  # share of the scenes that fill every place
CODE_SHARPNESS = 32.0  # inverse temperature of the encoder's cosine assignment
ADAM_LR, MUON_LR = 2e-3, 2e-2
GROUND_WEIGHT = 0.25  # in the encoder's loss: most patches of a thin scene are plain ground


def make_batch(words: Vocabulary, size: int, rng: random.Random, device: str) -> tuple[Tensor, Tensor]:
    """Pixels in [-1, 1], shape (size, 3, H, W), and their tokens (size, N)."""
    scenes = []
    for _ in range(size):
        count = len(PLACES) if rng.random() < DENSE else rng.randint(1, 6)
        scenes.append([Item(rng.choice(words.nouns), rng.choice(TINTS), p) for p in rng.sample(PLACES, count)])
    tokens = torch.tensor(np.stack([words.tokens(items) for items in scenes]), device=device)
    pixels = torch.tensor(np.stack([np.asarray(render(items)) for items in scenes]), device=device)
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1, tokens


def begin(vq: JanusVQVAE, codes: np.ndarray) -> None:
    """The codes in their place, residual branches that add nothing yet, upsampling that copies.

    Some of the branches stay so (`idle`): they would take most of the time.
    """
    vq.quantize.embedding.weight.data = torch.from_numpy(codes).clone()
    module: Any  # torch says of a part only that it is one
    for name, module in vq.named_modules():
        if name.endswith(("conv2", "proj_out")):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
        elif name.endswith("upsample.conv"):
            nn.init.dirac_(module.weight)
            nn.init.zeros_(module.bias)


def idle(vq: JanusVQVAE) -> set[nn.Module]:
    """Residual blocks that stay the identity: of the finest level all, of the next two the second."""
    down, up = cast(Any, vq.encoder.down), cast(Any, vq.decoder.up)
    return {*up[-1].block, up[-2].block[1], up[-3].block[1], *down[0].block}


def decode(vq: JanusVQVAE, codes: Tensor) -> Tensor:
    """`JanusVQVAE`'s decoder without its idle blocks. codes: (B, E, h, w)."""
    decoder, skipped = cast(Any, vq.decoder), idle(vq)
    hidden = decoder.mid(decoder.conv_in(vq.post_quant_conv(codes)))
    for level in decoder.up:
        for index, block in enumerate(level.block):
            if block not in skipped:
                hidden = block(hidden)
            if len(level.attn):
                hidden = level.attn[index](hidden)
        if level is not decoder.up[-1]:
            hidden = level.upsample(hidden)
    return decoder.conv_out(F.silu(decoder.norm_out(hidden)))


def encode(vq: JanusVQVAE, pixels: Tensor) -> Tensor:
    """`JanusVQVAE`'s encoder without its idle blocks: (B, N, E), of unit norm."""
    encoder, skipped = cast(Any, vq.encoder), idle(vq)
    hidden = encoder.conv_in(pixels)
    for level in encoder.down:
        for index, block in enumerate(level.block):
            if block not in skipped:
                hidden = block(hidden)
            if len(level.attn):
                hidden = level.attn[index](hidden)
        if level is not encoder.down[-1]:
            hidden = level.downsample(hidden)
    latents = vq.quant_conv(encoder.conv_out(F.silu(encoder.norm_out(encoder.mid(hidden)))))
    return F.normalize(latents, dim=1).flatten(2).transpose(1, 2)


def drawing_loss(vq: JanusVQVAE, pixels: Tensor, tokens: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Reconstruction from the right codes; and its peak signal-to-noise ratio in dB, on the things alone."""
    side = int(tokens.shape[1] ** 0.5)
    codes = F.normalize(vq.quantize.embedding.weight, dim=-1)[tokens]
    difference = decode(vq, codes.view(len(tokens), side, side, -1).permute(0, 3, 1, 2)) - pixels
    ground = torch.tensor(GROUND, device=pixels.device).view(1, 3, 1, 1) / 127.5 - 1
    things = (pixels - ground).abs().amax(1) > 0.03
    error = difference.detach().square().mean(1)[things].mean()
    figures = {"l1": difference.detach().abs().mean().item(), "psnr": -10 * torch.log10(error / 4).item()}
    return difference.abs().mean() + 3 * difference.square().mean(), figures


def assignment_loss(vq: JanusVQVAE, pixels: Tensor, tokens: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy of the encoder's cosine assignment; and the share of the things' patches that it assigns right.

    With codes of unit norm the nearest one, which `JanusVQVAE.encode` looks for, is the one of largest cosine.
    """
    logits = CODE_SHARPNESS * encode(vq, pixels).flatten(0, 1) @ vq.quantize.embedding.weight.T
    wanted = tokens.flatten()
    weights = torch.where(wanted > 0, 1.0, GROUND_WEIGHT)
    loss = (F.cross_entropy(logits, wanted, reduction="none") * weights).sum() / weights.sum()
    right = (logits.argmax(-1) == wanted)[wanted > 0].float().mean().item()
    return loss, {"loss": loss.item(), "assigned": right}


LOSSES = {"decoder": drawing_loss, "encoder": assignment_loss}


def trained_parameters(vq: JanusVQVAE, half: str) -> list[nn.Parameter]:
    """Parameters of one half, "decoder" or "encoder", but for those of idle blocks and the codes."""
    still = {id(p) for block in idle(vq) for p in block.parameters()}
    parts: Iterable[nn.Module] = (vq.decoder, vq.post_quant_conv) if half == "decoder" else (vq.encoder, vq.quant_conv)
    return [p for part in parts for p in part.parameters() if id(p) not in still]


def train_tokenizer(
    half: str,
    words: Vocabulary,
    vq: JanusVQVAE,
    folder: Path,
    steps: int,
    batch: int,
    device: str,
    seed: int = 0,
    stop_after: int | None = None,
) -> JanusVQVAE:
    """Train one half of the autoencoder, or go on from the state in `folder`.

    half: "decoder" or "encoder". vq: as `make_vq_config` makes it; changed in place. stop_after: end this call at that
    step, with the state saved.
    """
    torch.manual_seed(seed)
    begin(vq, principal_codes(words, vq.config.embed_dim))
    nn.Module.to(vq, device).train()
    parameters = trained_parameters(vq, half)
    # Matrices within the net are stepped along orthogonalised directions, which takes half of the steps that Adam alone
    # needs; the ends, norms and biases by Adam.
    ends = {id(p) for p in (vq.decoder.conv_out.weight, vq.encoder.conv_in.weight)}
    matrices = [p for p in parameters if p.ndim == 4 and id(p) not in ends]
    rest = [p for p in parameters if p.ndim != 4 or id(p) in ends]
    muon = Muon(matrices, lr=MUON_LR)
    adam = torch.optim.AdamW(rest, lr=ADAM_LR, betas=(0.9, 0.97), weight_decay=1e-4)
    path = folder / f"{half}.pt"
    start = load_state(path, vq, muon, adam)
    progress = Progress(half, steps, start)
    end = min(steps, stop_after or steps)
    for step in range(start, end):
        pixels, tokens = make_batch(words, batch, random.Random(f"{half}/{seed}/{step}"), device)
        share = learning_rate(step, steps, 1.0, warmup=30, decay=0.5)
        muon.param_groups[0]["lr"], adam.param_groups[0]["lr"] = share * MUON_LR, share * ADAM_LR
        loss, figures = LOSSES[half](vq, pixels, tokens)
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        muon.step()
        adam.step()
        progress.report(step + 1, figures)
        if (step + 1) % 100 == 0 or step + 1 == end:
            save_state(path, vq, step + 1, muon, adam)
    return vq.eval()
