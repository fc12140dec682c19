"""python -m bench run | study | report | compare | card | speed | start | gpu | true-size"""

import sys
from collections.abc import Sequence
from importlib import import_module

from bench import cli

OWN = {name: f"bench.{name.replace('-', '_')}" for name in ("card", "speed", "start", "gpu", "true-size")}
"""Commands with a parser of their own, by module."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit codes are those of `bench.cli`."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in OWN:
        return import_module(OWN[argv[0]]).main(list(argv[1:]))
    return cli.main(argv)


if __name__ == "__main__":
    sys.exit(main())
