"""A run as something to send: one HTML file, and what makes the run again."""
