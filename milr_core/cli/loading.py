"""The bar of a model that is being loaded."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from milr_core.janus import Loading, Progress


@contextmanager
def loading_bar(quiet: bool = False) -> Iterator[Progress]:
    """A bar on a terminal, gone in the end."""
    hidden = quiet or not sys.stderr.isatty()
    with tqdm(total=1.0, disable=hidden, leave=False, bar_format="{desc} |{bar}| {elapsed}") as bar:

        def show(loading: Loading) -> None:
            bar.set_description_str(loading.words, refresh=False)
            bar.n = loading.done or 0.0
            bar.refresh()

        yield show
