"""The panels of the page, each with its Python, script and style side by side.

A panel's functions turn steps into HTML, plain data for its script, or sentences; whatever a model, a critic or a file
wrote is escaped. Its class, where it has one, holds its components and answers with a value for each by component.
"""
