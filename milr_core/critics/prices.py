"""OpenAI's models and their prices as listed, with the dates; for others, input_price and output_price are options."""

import re
from dataclasses import dataclass

DEFAULT_JUDGE = "gpt-6-luna"


@dataclass(frozen=True)
class Listing:
    """input, output: dollars a million tokens, as listed in `seen`. ends: the day on which the model is shut down.

    effort: the reasoning effort at which it takes a temperature; None where it always does.
    """

    input: float
    output: float
    seen: str
    ends: str | None = None
    effort: str | None = None


LISTED = {
    "gpt-6-luna": Listing(0.1, 0.5, "2026-11", effort="none"),
    "gpt-6.1-terra": Listing(1.0, 5.0, "2026-11", effort="none"),
    "gpt-6.1-sol": Listing(2.0, 10.0, "2026-11", effort="none"),
    "gpt-4o": Listing(2.5, 10.0, "2026-05", ends="2027-01-14"),
    "gpt-4o-mini": Listing(0.15, 0.6, "2026-05"),
    "gpt-4o-2024-05-13": Listing(5.0, 15.0, "2026-05", ends="2026-10-23"),
}


def listing(judge: str) -> Listing | None:
    """Find the price of a model, or of the model that a dated snapshot ("gpt-6-luna-2026-09-01") belongs to."""
    return LISTED.get(judge) or LISTED.get(re.sub(r"-\d{4}-\d{2}-\d{2}$", "", judge))
