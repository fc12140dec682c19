import sys
from importlib import import_module
from importlib.util import find_spec

if __name__ == "__main__":
    if find_spec("ray") is None or find_spec("grpc") is None:  # the latter comes with ray[serve] alone
        sys.stderr.write('Ray Serve is an extra: pip install ".[serve]".\n')
        sys.exit(2)
    sys.exit(import_module("serve.app").main(sys.argv[1:]))
