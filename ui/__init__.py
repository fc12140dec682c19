"""The page: layout composes, handlers run searches, views turn steps into what is shown, session is one visitor's."""

from ui.engine import Engine, LocalEngine
from ui.inspector import EXAMPLES
from ui.layout import build_demo, launch_options
from ui.limits import Limits
from ui.models import Models
from ui.replaying import LARGEST_FILE
from ui.zero import ZeroEngine

__all__ = [
    "EXAMPLES", "LARGEST_FILE", "Engine", "Limits", "LocalEngine", "Models", "ZeroEngine", "build_demo",
    "launch_options",
]  # fmt: skip
