"""The exceptions that callers are meant to catch."""


class InputError(ValueError):
    """Something the caller gave cannot be used; the message says what to do. Raised for every kind of bad input.

    suggestions: what could be given instead, ready to be used as it is; often there is nothing to suggest.
    """

    def __init__(self, message: str = "", suggestions: tuple[str, ...] = ()):
        super().__init__(message)
        self.suggestions = tuple(suggestions)


class CriticError(RuntimeError):
    """A critic could not judge an image. Never turned into a score; the steps so far stay valid."""


class Stopped(Exception):  # noqa: N818 - a request, not an error
    """The caller asked the search to stop; the step under way is dropped."""


def brief(error: Exception) -> str:
    """What another library's error says, in one line of at most 300 characters: it may quote a file's own bytes."""
    line = " ".join(str(error).split()) or type(error).__name__
    return (line if len(line) <= 300 else f"{line[:298]} …").rstrip(".")
