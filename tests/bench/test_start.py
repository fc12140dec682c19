"""`python -m bench start` on a page of ten lines."""

import sys

import pytest

from bench.start import PLAYS, Started, started, table

PAGE = f"""
import http.server, os
class Page(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Page.asked += 1
        self.send_response(200 if Page.asked > 1 else 500)
        self.end_headers()
        self.wfile.write({PLAYS.encode()!r} if Page.asked > 2 else b"Loading")
        if Page.asked > 2:
            print("tiny is loaded.", flush=True)
    def log_message(self, *_): pass
http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Page).serve_forever()
"""


def test_a_page_counts_once_it_holds_its_run_and_the_engine_once_it_is_loaded():
    seconds = started([sys.executable, "-c", PAGE], patience=60)
    assert 0 < seconds.seconds <= seconds.engine and seconds.processor > 0


def test_an_app_that_ends_is_told_with_its_own_words():
    with pytest.raises(RuntimeError, match="serves no page"):
        started([sys.executable, "-c", "raise SystemExit('the port is taken')"], patience=60)


def test_the_ratio_is_the_median_of_the_rounds():
    rounds = [(4.0, 5.0, 12.0), (8.0, 8.8, 20.0), (5.0, 10.0, 30.0)]
    made = table([(Started(own, own), Started(page, 1.2 * own, engine)) for own, page, engine in rounds], "command")
    assert "| the same in time of a processor | 1.20 (1.20 to 1.20) | 1.3 |" in made
    assert "| the page answers / `import gradio` | 1.25 (1.10 to 2.00) | 1.3 |" in made
    assert "| the engine is there, s | 20.0 | |" in made and "3 rounds" in made
