"""A panel that is drawn by the script beside its module, from the plain data that is its value."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

FILES = "milr"
"""Path of the page's own files, in its address: not a path of the server's, which is nobody's business."""

LABELLED: dict[str, Any] = {"show_label": True, "container": True, "padding": False}
"""Of a panel with a heading."""


def script(module: str) -> str:
    """The script beside a module. module: its `__file__`."""
    return Path(module).with_suffix(".js").read_text(encoding="utf-8")


def scripted(module: str, template: str, value: Any, **more: Any) -> gr.HTML:
    """The component, not rendered yet. Its id is the module's name, unless another is given."""
    more = {"elem_id": Path(module).stem, "render": False} | more
    return gr.HTML(value, html_template=template, js_on_load=script(module), **more)


def runs_folder() -> Path:
    """Return the folder in which files of visits lie: a folder of each, whose name cannot be guessed."""
    return Path(get_upload_folder()) / "milr"


SCROLLED = """const panel = element.closest(".block");
panel.tabIndex = 0;
panel.setAttribute("role", "region");
panel.setAttribute("aria-label", panel.id);"""
"""Script of a panel that scrolls: keys reach it."""


def picture_url(path: str | Path) -> str:
    """Return the address of a picture to look at, which is packed closer than the PNG that lies there."""
    return f"{url(path)}?webp"


def url(path: str | Path) -> str:
    """Return the address at which the browser finds a file of a visit."""
    return f"{FILES}/run/{Path(path).relative_to(runs_folder()).as_posix()}"
