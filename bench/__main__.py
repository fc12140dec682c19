"""python -m bench run | study | report | compare | speed"""

import sys
from collections.abc import Sequence
from importlib import import_module

from bench import cli


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit codes are those of `bench.cli`."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["speed"]:
        return import_module("bench.speed").main(argv[1:])
    return cli.main(argv)


if __name__ == "__main__":
    sys.exit(main())
