"""python -m world.train: makes the embedded checkpoint from nothing, on a CPU or a GPU.

Three stages learn apart from each other: `decoder` and `encoder` of the image tokenizer, and `language`. Without
--stage all of them run, --jobs at a time, each in a process of its own; then `assemble` joins them. All keep their
state in `--work`, go on from it when started again, and log there. --small trains a world of twenty nouns, in minutes.
"""

import argparse
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from transformers.models.janus.modeling_janus import JanusVQVAE

from world.checkpoint import assemble
from world.model import make_vq_config
from world.nouns import NOUNS
from world.tokens import Vocabulary, vocabulary
from world.train_language import train_language
from world.train_tokenizer import train_tokenizer

logger = logging.getLogger(__name__)
CHECKPOINT = Path(__file__).resolve().parent.parent / "assets" / "janus-icons"
STAGES = ("language", "decoder", "encoder")  # longest first
SMALL_NOUNS = (
    "dog", "cat", "horse", "zebra", "elephant", "bird", "car", "bus", "bicycle", "airplane", "umbrella", "clock",
    "book", "chair", "cup", "banana", "apple", "pizza", "kite", "boat",
)  # fmt: skip
STEPS = {"decoder": 4500, "encoder": 1200, "language": 2600}
SMALL_STEPS = {"decoder": 400, "encoder": 250, "language": 500}
JOBS = min(len(STAGES), os.cpu_count() or 1)
BATCH = {"decoder": 4, "encoder": 4, "language": 24}


def train_stage(stage: str, words: Vocabulary, args: argparse.Namespace) -> None:
    """One stage, from its state in `args.work` to its last step."""
    if stage == "assemble":
        assemble(words, args.work, args.out)
        logger.info("wrote %s", args.out)
        return
    steps = args.steps or (SMALL_STEPS if args.small else STEPS)[stage]
    if stage == "language":
        train_language(words, args.work, steps, BATCH[stage], args.device, args.seed)
    else:
        torch.manual_seed(args.seed)
        vq = JanusVQVAE(make_vq_config(len(words)))
        train_tokenizer(stage, words, vq, args.work, steps, BATCH[stage], args.device, args.seed)


def run_stages(arguments: list[str], jobs: int) -> None:
    """All stages, each in a process of its own, `jobs` at a time, longest first; then `assemble`.

    Raises:
        subprocess.CalledProcessError: a stage has failed; its log says why.
    """
    own = [sys.executable, "-m", "world.train", *arguments]
    with ThreadPoolExecutor(jobs) as pool:
        for done in [pool.submit(subprocess.run, [*own, "--stage", stage], check=True) for stage in STAGES]:
            done.result()
    subprocess.run([*own, "--stage", "assemble"], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m world.train", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--stage", choices=(*STAGES, "assemble"), help="this one alone")
    parser.add_argument("--work", type=Path, default=Path("runs/train"), help="training states and logs")
    parser.add_argument("--out", type=Path, default=CHECKPOINT, help="checkpoint folder to write")
    parser.add_argument("--small", action="store_true", help="twenty nouns, minutes instead of hours")
    parser.add_argument("--steps", type=int, help="of the stage given with --stage, for a trial")
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"stages at a time, each in a process (default {JOBS})")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a stage")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    if not args.stage:
        return run_stages(sys.argv[1:], args.jobs)
    torch.set_num_threads(args.threads)
    log = args.work / f"{args.stage}.log"
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", filename=log, encoding="utf-8")
    train_stage(args.stage, vocabulary(SMALL_NOUNS if args.small else NOUNS), args)


if __name__ == "__main__":
    main()
