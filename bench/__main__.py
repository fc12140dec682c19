"""python -m bench run | study | report | compare | speed"""

import sys
from importlib import import_module

from bench.cli import main

if __name__ == "__main__":
    if sys.argv[1:2] == ["speed"]:
        sys.exit(import_module("bench.speed").main(sys.argv[2:]))
    sys.exit(main(sys.argv[1:]))
