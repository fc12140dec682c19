"""How many examples a fuzzer runs: a few with the suite, MILR_FUZZ of them on demand (make fuzz)."""

import os

from hypothesis import HealthCheck, settings

FEW = 25
fuzzed = settings(
    max_examples=int(os.environ.get("MILR_FUZZ", FEW)), deadline=None, database=None, print_blob=True,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
