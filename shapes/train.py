"""python -m shapes.train: makes the embedded checkpoint from nothing, on a CPU or a GPU.

Both stages keep their state in `--work`, go on from it when started again, and log there. They do not depend on
each other: `--stage vq` and `--stage language` can run at the same time, `--stage assemble` joins them.
"""

import argparse
import logging
from pathlib import Path

import torch

from shapes.checkpoint import assemble
from shapes.train_language import train_language
from shapes.train_vq import train_vq

logger = logging.getLogger(__name__)
CHECKPOINT = Path(__file__).resolve().parent.parent / "assets" / "janus-shapes"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m shapes.train", description=__doc__.splitlines()[0])
    parser.add_argument("--stage", choices=("all", "vq", "language", "assemble"), default="all")
    parser.add_argument("--work", type=Path, default=Path("runs/train"), help="training states and log")
    parser.add_argument("--out", type=Path, default=CHECKPOINT, help="checkpoint folder to write")
    parser.add_argument("--vq-steps", type=int, default=2400)
    parser.add_argument("--vq-batch", type=int, default=6)
    parser.add_argument("--language-steps", type=int, default=10000)
    parser.add_argument("--language-batch", type=int, default=16)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", filename=args.work / f"{args.stage}.log", encoding="utf-8"
    )
    if args.stage in ("all", "vq"):
        train_vq(args.work, args.vq_steps, args.vq_batch, args.device, args.seed)
    if args.stage in ("all", "language"):
        train_language(args.work, args.language_steps, args.language_batch, args.device, args.seed)
    if args.stage in ("all", "assemble"):
        assemble(args.work, args.out)
        logger.info("wrote %s", args.out)


if __name__ == "__main__":
    main()
