"""The page: layout composes, handlers run searches, views turn steps into what is shown, session is one visitor's."""

from ui.inspector import EXAMPLES
from ui.layout import build_demo, launch_options
from ui.replaying import LARGEST_FILE

__all__ = ["EXAMPLES", "LARGEST_FILE", "build_demo", "launch_options"]
