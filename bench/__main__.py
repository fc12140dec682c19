"""python -m bench run | study | report | compare | speed | true-size"""

import sys
from importlib import import_module

from bench.cli import main

if __name__ == "__main__":
    if sys.argv[1:2] in (["speed"], ["true-size"]):
        sys.exit(import_module(f"bench.{sys.argv[1].replace('-', '_')}").main(sys.argv[2:]))
    sys.exit(main(sys.argv[1:]))
