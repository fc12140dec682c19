"""Checkpoints from a stand-in of the hub on the loopback: fetched once, with progress, and with clear errors."""

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from milr_core import InputError, load_model, memory_needed
from milr_core.errors import Stopped
from milr_core.janus.hub import fetch
from tests.conftest import CHECKPOINT

SHA = "0123456789abcdef0123456789abcdef01234567"
REPOSITORIES = {"maker/janus-small": CHECKPOINT}


class Hub(BaseHTTPRequestHandler):
    """The four requests that a download makes, for repositories that are folders; one more repository is gated."""

    asked: list[str] = []

    def log_message(self, *_):
        pass

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "X-Repo-Commit": SHA, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        path = self.path.partition("?")[0]
        name = "/".join(path.removeprefix("/api/models").split("/")[1:3])
        if name == "maker/gated":
            return self.reply(403, b"{}", X_Error_Code="GatedRepo")
        if name not in REPOSITORIES:
            return self.reply(404, b"{}", X_Error_Code="RepoNotFound")
        folder = REPOSITORIES[name]
        files = [one for one in sorted(folder.iterdir()) if one.is_file()]
        if found := re.fullmatch(rf"/{name}/resolve/{SHA}/(.+)", path):
            body = (folder / found[1]).read_bytes()
            return self.reply(200, body, ETag=f'"{hashlib.sha256(body).hexdigest()}"')
        if "/tree/" in path:
            found = [{"type": "file", "path": p.name, "size": p.stat().st_size, "oid": "0" * 40} for p in files]
            return self.reply(200, json.dumps(found).encode())
        return self.reply(200, json.dumps({"id": name, "sha": SHA, "siblings": []}).encode())

    do_HEAD = do_GET


@pytest.fixture
def hub(monkeypatch, tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    files = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    Hub.asked.clear()
    yield Hub
    server.shutdown()
    server.server_close()


def test_a_model_is_fetched_once_and_is_the_same(hub, embedded, monkeypatch):
    told = []
    model = load_model("maker/janus-small", "cpu", progress=told.append)
    downloaded = [one for one in told if one.stage == "download"]
    assert downloaded[-1].done == 1.0 and "Downloading maker/janus-small: 0.02 of 0.02 GB" in downloaded[-1].words
    assert told[-1].stage == "ready" and model.name == "maker/janus-small"
    assert model.weights_hash == embedded.weights_hash
    assert not [one for one in Path(model.folder).iterdir() if one.suffix == ".md"], "only what a model is made of"

    hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_model("maker/janus-small", "cpu").weights_hash == embedded.weights_hash
    assert not hub.asked, "offline, nobody is asked"


def test_memory_is_known_without_the_weights(hub):
    assert memory_needed("maker/janus-small", "cpu") == memory_needed("janus-icons", "cpu")
    assert not [one for one in hub.asked if "safetensors" in one]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("maker/janus-smal", "There is no model 'maker/janus-smal' on the Hugging Face hub, or it is private"),
        ("maker/gated", "'maker/gated' is gated: ask for access"),
        ("maker/a--b..c", "There is no model 'maker/a--b..c'"),
    ],
)
def test_what_cannot_be_fetched_is_said(hub, name, says):
    with pytest.raises(InputError, match=re.escape(says)):
        load_model(name, "cpu")


def test_no_network_and_offline_are_said(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match="Cannot get 'maker/janus-small' .*check the network, or give a folder"):
        load_model("maker/janus-small", "cpu")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="HF_HUB_OFFLINE"):
        load_model("maker/janus-small", "cpu")


def test_a_download_can_be_broken_off_by_who_is_told(hub):
    def stop(_):
        raise Stopped

    with pytest.raises(Stopped):
        fetch("maker/janus-small", stop)
