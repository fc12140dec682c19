"""The networks that critics look through, one file each, every one behind a small question."""
