"""A Janus-Pro of true size with random weights: written to disk, loaded as any other, and one search step made.

Says nothing of quality: it shows that the real shapes load, fit and run, and what they take. The checkpoint is what
Janus-Pro's own would be, in bfloat16, but for the side of its images (`--side`, 96 px by default: 36 tokens instead of
576), its tokenizer (the embedded model's words, filled up to Janus-Pro's vocabulary) and the length of its reasoning
(`--text`, 16 tokens by default). Loading and step happen in a fresh process, of which the peak memory is taken.
"""

import argparse
import json
import resource
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import cast

import torch
from tokenizers import Tokenizer
from torch import Tensor
from tqdm import tqdm
from transformers import JanusConfig, JanusProcessor, PreTrainedTokenizerFast
from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil

from bench.speed import machine
from milr_core import MODELS, InputError, SearchSettings, advance, load_critic, load_model, memory_needed, start
from milr_core.janus.catalog import DTYPES, QUANTIZATIONS
from milr_core.janus.configuration import parts_of, shapes_of
from milr_core.janus.memory import memory_of
from milr_core.janus.placement import placement_of
from milr_core.janus.weights import write_weights
from world.model import CHAT_TEMPLATE, IMAGE, make_generation_config, make_tokenizer, vocabulary

SIZES = {"1b": "deepseek-community/Janus-Pro-1B", "7b": "deepseek-community/Janus-Pro-7B"}
PAGE = Path(__file__).resolve().parent.parent / "docs" / "models.md"
BEGIN, END = "<!-- true-size -->\n", "<!-- /true-size -->"
HEAD = "| size | device | precision | image tokens | load, s | step 0, s | step 1, s | computed peak, GB | peak, GB |"


def true_config(size: str, side: int) -> JanusConfig:
    """Janus-Pro's configuration, with images of another side (pixels, a multiple of 16)."""
    config = MODELS[SIZES[size]].config
    ids = {token: i for i, token in enumerate(vocabulary())}
    config.image_token_id = ids[IMAGE]
    _, vision, vq = parts_of(config)
    vision.image_size = side
    vq.num_patches = side // cast(int, vision.patch_size)
    vision.num_image_tokens = vq.num_patches**2
    config.dtype = "bfloat16"
    config.architectures = ["JanusForConditionalGeneration"]
    return config


def _random(config: JanusConfig, device: str) -> Iterator[tuple[str, Tensor]]:
    generator = torch.Generator(device).manual_seed(0)
    for name, shape in shapes_of(config).items():
        if "norm" in name:
            yield name, (torch.ones if name.endswith("weight") else torch.zeros)(shape, dtype=torch.bfloat16)
        else:
            weights = torch.empty(shape, dtype=torch.bfloat16, device=device).normal_(0, 0.02, generator=generator)
            yield name, weights.cpu()


def _tokenizer(size: int) -> PreTrainedTokenizerFast:
    """The embedded model's tokenizer with words that nobody says, up to `size`."""
    tokenizer = make_tokenizer()
    written = json.loads(tokenizer.backend_tokenizer.to_str())
    words = written["model"]["vocab"]
    words |= {f"▁w{i}": i for i in range(len(words), size)}
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(written))
    return tokenizer


def write_checkpoint(folder: Path, config: JanusConfig, text: int, device: str = "cpu") -> None:
    """Write the folder whole: weights, configuration, tokenizer, processor.

    text: tokens of reasoning at most. device: where the weights are drawn; a GPU does it in seconds, a CPU in minutes.
    """
    words, vision, _ = parts_of(config)
    side, tokens = cast(int, vision.image_size), vision.num_image_tokens
    folder.mkdir(parents=True)
    config.save_pretrained(folder)
    make_generation_config().save_pretrained(folder)
    images = JanusImageProcessorPil(size={"height": side, "width": side}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    tokenizer = _tokenizer(words.vocab_size)
    JanusProcessor(images, tokenizer, chat_template=CHAT_TEMPLATE, num_image_tokens=tokens).save_pretrained(folder)
    (folder / "milr.json").write_text(json.dumps({"reasoning_template": "plan {prompt}", "max_text_tokens": text}))
    parameters = sum(torch.Size(shape).numel() for shape in shapes_of(config).values())
    with tqdm(total=100, unit="%", desc="writing", disable=not sys.stderr.isatty()) as bar:

        def say(done: float) -> None:
            bar.update(100 * done - bar.n)

        write_weights(folder, _random(config, device), parameters, say)


def measure(folder: str, device: str, dtype: str, quantization: str | None) -> dict[str, float]:
    """Load a checkpoint and make two steps, in this process: seconds, and the bytes that it took at most."""
    started = time.perf_counter()
    model = load_model(folder, device, getattr(torch, dtype), quantization)
    seconds = [time.perf_counter() - started]
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    critic = load_critic("self", model=model)
    settings = SearchSettings(steps=1, threshold=1.0)
    state = start(model, critic, "two red dogs", settings)
    seconds.append(state.step.cost.seconds)
    seconds.append(advance(model, critic, state, settings).step.cost.seconds)
    cuda = torch.device(device).type == "cuda"
    peak = torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    needed = memory_needed(folder, device, model.dtype, quantization)
    keys = ("load", "first", "second")
    return {**dict(zip(keys, seconds, strict=True)), "loaded": loaded, "peak": peak, "computed": needed.peak,
            "tokens": model.num_image_tokens}  # fmt: skip


def write_row(key: str, row: str, about: str) -> None:
    """Put a row into the page's table, instead of the one that begins the same."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    table, after = rest.split(END)
    rows = [line for line in table.splitlines() if line.startswith("| ") and line != HEAD and not line.startswith(key)]
    which = f"- {', '.join(key.strip('| ').split(' | '))}: "
    notes = [line for line in table.splitlines() if line.startswith("- ") and not line.startswith(which)]
    rows, notes = sorted([*rows, row]), sorted([*notes, which + about])
    lines = [HEAD, "|---" * (HEAD.count("|") - 1) + "|", *rows, "", *notes, ""]
    PAGE.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + after, encoding="utf-8")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench true-size", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=tuple(SIZES), default="1b")
    parser.add_argument("--out", type=Path, help="folder for the checkpoint (about 4 GB, or 15), removed in the end")
    parser.add_argument("--keep", action="store_true", help="do not remove it; one that is there is used")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16")
    parser.add_argument("--quantization", choices=QUANTIZATIONS)
    parser.add_argument("--side", type=int, default=96, help="pixels a side of an image, a multiple of 16")
    parser.add_argument("--text", type=int, default=16, help="tokens of reasoning at most")
    parser.add_argument("--write", action="store_true", help="write the figures into docs/models.md")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.out is None:
        parser.error("--out says where the checkpoint may be written")
    if args.measure:
        sys.stdout.write(json.dumps(measure(str(args.out), args.device, args.dtype, args.quantization)) + "\n")
        return 0
    try:
        return _run(args, argv)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _run(args: argparse.Namespace, argv: list[str]) -> int:
    dtype = getattr(torch, args.dtype)
    config = true_config(args.size, args.side)
    placement_of(SIZES[args.size], config, args.device, dtype, args.quantization)  # before gigabytes are written
    room = shutil.disk_usage(args.out.absolute().parent).free
    if not args.out.exists():
        if memory_of(config, "cuda", torch.bfloat16).weights > room:
            raise InputError(f"{args.out} has {room / 1e9:.1f} GB free; the checkpoint needs more.")
        write_checkpoint(args.out, config, args.text)
    try:
        call = [sys.executable, "-m", "bench", "true-size", *argv, "--measure"]
        done = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=False)
    finally:
        if not args.keep:
            shutil.rmtree(args.out)
    if done.returncode:
        raise InputError("The fresh process did not come through; what it said is above.")
    figures = json.loads(done.stdout.splitlines()[-1])
    precision = args.quantization or args.dtype
    key = f"| {args.size} | {args.device} | {precision} | {figures['tokens']} |"
    seconds = " | ".join(f"{figures[name]:.1f}" for name in ("load", "first", "second"))
    row = f"{key} {seconds} | {figures['computed'] / 1e9:.1f} | {figures['peak'] / 1e9:.1f} |"
    command = shlex.join(["python", "-m", "bench", "true-size", *argv])
    about = f"`{command}`, {date.today().isoformat()}, {machine(args.device)}, torch {torch.__version__}"
    sys.stdout.write(f"{HEAD}\n{row}\n{about}\nafter loading: {figures['loaded'] / 1e9:.2f} GB at most\n")
    if args.write:
        write_row(key, row, about)
    return 0
