"""python -m world.train: makes the embedded checkpoint from nothing, on a CPU or a GPU.

Three stages learn apart from each other: `decoder` and `encoder` of the image tokenizer, and `language`. Without --stage they
run one after the other, with --jobs several at a time, each in a process of its own; then `assemble` joins them. All keep
their state in `--work`, go on from it when started again, and log there. --small trains a world of twenty nouns, in
minutes.
"""

import argparse
import logging
from pathlib import Path

import torch
from transformers.models.janus.modeling_janus import JanusVQVAE

from world.model import make_vq_config
from world.nouns import NOUNS
from world.tokens import vocabulary
from world.train_language import train_language
from world.train_tokenizer import train_tokenizer

logger = logging.getLogger(__name__)
CHECKPOINT = Path(__file__).resolve().parent.parent / "assets" / "janus-icons"
STAGES = ("decoder", "encoder", "language")
SMALL_NOUNS = (
    "dog", "cat", "horse", "zebra", "elephant", "bird", "car", "bus", "bicycle", "airplane", "umbrella", "clock", "book",
    "chair", "cup", "banana", "apple", "pizza", "kite", "boat",
)  # fmt: skip
STEPS = {"decoder": 4000, "encoder": 2000, "language": 2600}
SMALL_STEPS = {"decoder": 500, "encoder": 300, "language": 600}
BATCH = {"decoder": 4, "encoder": 4, "language": 24}


def train_stage(stage: str, args: argparse.Namespace) -> None:
    """One stage, from its state in `args.work` to its last step."""
    nouns = SMALL_NOUNS if args.small else NOUNS
    steps = args.steps or (SMALL_STEPS if args.small else STEPS)[stage]
    words = vocabulary(nouns)
    if stage in ("decoder", "encoder"):
        torch.manual_seed(args.seed)
        vq = JanusVQVAE(make_vq_config(len(words)))
        train_tokenizer(stage, words, vq, args.work, steps, BATCH[stage], args.device, args.seed)
    else:
        train_language(words, args.work, steps, BATCH[stage], args.device, args.seed)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m world.train", description=__doc__.splitlines()[0])
    parser.add_argument("--stage", choices=(*STAGES, "assemble"), help="this one alone")
    parser.add_argument("--work", type=Path, default=Path("runs/train"), help="training states and logs")
    parser.add_argument("--out", type=Path, default=CHECKPOINT, help="checkpoint folder to write")
    parser.add_argument("--small", action="store_true", help="twenty nouns, minutes instead of hours")
    parser.add_argument("--steps", type=int, help="of the stage given with --stage, for a trial")
    parser.add_argument("--jobs", type=int, default=1, help="stages at a time")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a stage")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    log = args.work / f"{args.stage or 'train'}.log"
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", filename=log, encoding="utf-8")
    if args.stage:
        train_stage(args.stage, args)


if __name__ == "__main__":
    main()
