"""The exceptions that callers are meant to catch."""


class InputError(ValueError):
    """Something the caller gave cannot be used; the message says what to do. Raised for every kind of bad input."""


class CriticError(RuntimeError):
    """A critic could not judge an image. Never turned into a score; the steps so far stay valid."""


class ModelError(RuntimeError):
    """The model computed something that is no number. The step under way is dropped, the steps before it stay."""


class Stopped(Exception):  # noqa: N818 - a request, not an error
    """The caller asked the search to stop; the step under way is dropped."""
