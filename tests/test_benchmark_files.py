"""Prompt files from a server on the loopback: kept once fetched, refused where they differ or do not come."""

import functools
import hashlib
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from milr_core import InputError
from milr_core.benchmark_files import FILES, fetch

LINE = b'{"tag": "single_object", "include": [{"class": "bench", "count": 1}], "prompt": "a photo of a bench"}\n'


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "evaluation_metadata.jsonl").write_bytes(LINE)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_file_is_fetched_once_and_kept(server, tmp_path, monkeypatch):
    address = f"{server}evaluation_metadata.jsonl"
    monkeypatch.setitem(FILES, "geneval", {address: hashlib.sha256(LINE).hexdigest()})
    path = fetch("geneval", tmp_path / "cache")
    assert path.read_bytes() == LINE
    (tmp_path / "served" / "evaluation_metadata.jsonl").unlink()
    assert fetch("geneval", tmp_path / "cache") == path


def test_another_file_is_refused_and_not_kept(server, tmp_path, monkeypatch):
    monkeypatch.setitem(FILES, "geneval", {f"{server}evaluation_metadata.jsonl": "0" * 64})
    with pytest.raises(InputError, match="its hash differs.*say geneval:PATH"):
        fetch("geneval", tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.jsonl"))


@pytest.mark.parametrize("where", ["http://127.0.0.1:9/", ""])
def test_what_does_not_come_is_said(server, tmp_path, monkeypatch, where):
    monkeypatch.setitem(FILES, "compbench", {f"{where or server}no_val.txt": "0" * 64})
    with pytest.raises(InputError, match="Cannot download .*no_val.txt.*say compbench:PATH"):
        fetch("compbench", tmp_path / "cache")
