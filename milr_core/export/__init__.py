"""A run as something to send: one HTML file (`to_html`), and what makes the run again (`recipe`)."""

from milr_core.export.page import to_html

__all__ = ["to_html"]
