"""What a judge's failures mean: whether another try may help, and in words what is wrong and what to do."""

import httpx2

from milr_core.critics.endpoint import PUBLIC
from milr_core.critics.prices import DEFAULT_JUDGE, listing
from milr_core.critics.replies import Failed
from milr_core.critics.transport import hint

TIMED_OUT, NOT_CONNECTED = -1, -2
"""In place of a status, where there was no reply."""

_MISSING = ("not exist", "not found", "deprecated", "shut down", "no longer", "retired", "decommissioned")


def passing(error: Failed) -> bool:
    """Whether another try may help."""
    waiting = error.status == 429 and not _unpaid(error)
    return error.status in (TIMED_OUT, NOT_CONNECTED, 408, 409) or waiting or error.status >= 500


def asked_pause(headers: httpx2.Headers) -> float | None:
    """Seconds that a server asks to wait; None where it does not, or names a date."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) / unit)
        except (KeyError, ValueError):
            continue
    return None


def _unpaid(error: Failed) -> bool:
    return error.code == "insufficient_quota" or "current quota" in error.words.lower()


def _gone(error: Failed) -> bool:
    words = error.words.lower()
    missing = error.status in (400, 410) and "model" in words and any(said in words for said in _MISSING)
    return error.status == 404 or error.code == "model_not_found" or missing


def said(error: Failed, who: str, words: str, sent: int, base_url: str, judge: str) -> str:
    """who: the judge, in words. words: the server's, cleaned. sent: requests that were."""
    words = words or "it does not say why"
    after = f"after {sent} tr{'y' if sent == 1 else 'ies'}"
    if _gone(error):
        return _said_of_gone(f"({error.status}, {after}): {words}.", who, base_url, judge)
    match error.status:
        case status if status == TIMED_OUT:
            return f"The judge {who} {words}, {after}. Try later, or raise timeout."
        case status if status == NOT_CONNECTED:
            failed = f"The connection to the judge {who} failed {after}: {words}."
            return f"{failed} Check base_url and the network.{hint(httpx2.URL(base_url), error.words)}"
        case 429 if not _unpaid(error):
            pause = "" if error.pause is None else f" It asks to wait {error.pause:.0f} s."
            return f"The judge {who} turns requests away {after} (429): {words}.{pause} Wait, or raise retries."
        case 401:
            return f"The judge {who} does not take the key (401): {words}. Check OPENAI_API_KEY, or the key given."
        case 403:
            return f"The judge {who} does not allow it (403): {words}. Check the key and what it may use."
        case status if 300 <= status < 400:
            return f"The judge {who} sends requests elsewhere ({status}), where they do not follow. Correct base_url."
        case 200:
            return f"The judge {who} answered with an error {after}: {words}."
        case status:
            return f"The judge {who} failed {after} ({status}): {words}."


def _said_of_gone(what: str, who: str, base_url: str, judge: str) -> str:
    listed = listing(judge) if base_url == PUBLIC else None
    since = f", which is shut down as of {listed.ends}" if listed and listed.ends else ""
    other = f", such as {DEFAULT_JUDGE}" if base_url == PUBLIC else ", and check base_url"
    return (
        f"There is no judge {who}{since} {what} Set the option judge, or OPENAI_MODEL, to a model that is there{other}."
    )
