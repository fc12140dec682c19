"""From steps to what the page shows: HTML, plain data for a component's script, sentences.

Pure functions without gradio, one file a panel. Whatever a model, a critic or a file wrote is escaped.
"""
