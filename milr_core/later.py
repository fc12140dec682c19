"""Names of a package that are imported when they are first asked for (PEP 562).

Torch and transformers take seconds to import. Whoever only looks at recorded runs, or opens the page, asks for nothing
that needs them.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def later(package: str, homes: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """The package's `__getattr__`. homes: names by the module of the package that they are imported from."""
    home_of = {name: f"{package}.{home}" for home, names in homes.items() for name in names}

    def __getattr__(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(import_module(home_of[name]), name)

    return __getattr__
