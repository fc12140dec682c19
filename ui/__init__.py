"""The page: layout composes, handlers run searches, views turn steps into what is shown, session is one visitor's."""

from ui.engine import LocalEngine
from ui.inspector import EXAMPLES
from ui.layout import build_demo, launch_options
from ui.replaying import LARGEST_FILE

__all__ = ["EXAMPLES", "LARGEST_FILE", "LocalEngine", "build_demo", "launch_options"]
