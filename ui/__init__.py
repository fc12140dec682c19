"""The page: layout composes, handlers run searches, views turn steps into what is shown, session is one visitor's."""

from ui.layout import build_demo, launch_options

__all__ = ["build_demo", "launch_options"]
