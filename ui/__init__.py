"""The page: layout composes the tabs out of panels, which turn steps into what is shown; session is one visitor's.

Nothing is imported here: a replica of the model needs `ui.engines`, and Gradio is most of what it would wait for.
"""
