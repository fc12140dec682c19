"""A panel that is drawn by the script beside its module, from the plain data that is its value."""

from pathlib import Path
from typing import Any

import gradio as gr

LABELLED: dict[str, Any] = {"show_label": True, "container": True, "padding": False}
"""Of a panel with a heading."""


def script(module: str) -> str:
    """The script beside a module. module: its `__file__`."""
    return Path(module).with_suffix(".js").read_text(encoding="utf-8")


def scripted(module: str, template: str, value: Any, **more: Any) -> gr.HTML:
    """The component, not rendered yet. Its id is the module's name, unless another is given."""
    more = {"elem_id": Path(module).stem, "render": False} | more
    return gr.HTML(value, html_template=template, js_on_load=script(module), **more)


def url(path: str | Path) -> str:
    """Where the browser finds a file of this app's."""
    return f"gradio_api/file={path}"
