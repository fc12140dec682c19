"""Suites x methods x executor -> records, tables and figures: `python -m bench`."""
