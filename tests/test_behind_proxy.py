"""The page behind a proxy that takes a path off: everything it names is there, and the client's example works."""

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urljoin
from urllib.request import urlopen

import pytest
from gradio_client import Client

from examples import client
from milr_core import Janus, Trajectory
from ui.engines.local import LocalEngine
from ui.guard import web_options
from ui.layout import build_demo, launch_options
from ui.limits import Limits

TAKEN_OFF = "/studio"


class Proxy(BaseHTTPRequestHandler):
    """Hands requests for what lies below a path on to `port`, without it."""

    port = 0

    def do_GET(self) -> None:
        if not self.path.startswith(f"{TAKEN_OFF}/"):
            return self.send_error(404)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        behind = http.client.HTTPConnection("127.0.0.1", self.port)
        headers = dict(self.headers.items()) | {"Connection": "close"}  # the Host stays that of the proxy
        behind.request(self.command, self.path.removeprefix(TAKEN_OFF), body, headers)
        reply = behind.getresponse()
        self.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):  # whoever asked has gone
            while chunk := reply.read1(1 << 16):
                self.wfile.write(chunk)
                self.wfile.flush()
        behind.close()

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(tiny: Janus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("data")))
        demo = build_demo(LocalEngine(tiny), critic="self")
        _, url, _ = demo.launch(
            server_name="127.0.0.1", quiet=True, prevent_thread_lock=True, root_path=TAKEN_OFF,
            app_kwargs=web_options(Limits()), **launch_options(),
        )  # fmt: skip
        Proxy.port = int(re.search(r":(\d+)", url)[1])
        server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{TAKEN_OFF}/"
        server.shutdown()
        server.server_close()
        demo.close()


def test_all_that_the_page_names_is_below_the_path(address: str):
    page = urlopen(address).read().decode()
    named = {urljoin(address, link) for link in re.findall(r'(?:src|href)="([^"#]+)"', page)}
    host = address.removesuffix(f"{TAKEN_OFF}/")
    # The manifest is gradio's, for pages that can be installed; this one cannot.
    ours = sorted(link for link in named - {f"{host}/manifest.json"} if link.startswith(host) or "127.0.0.1" in link)
    assert len(ours) > 2 and all(link.startswith(address) for link in ours)
    assert all(urlopen(link).status == 200 for link in ours)


def test_a_search_is_streamed_and_its_run_fetched_through_it(address: str, tmp_path: Path):
    job = Client(address, verbose=False, download_files=str(tmp_path)).submit(
        "a cat", critic="self", steps=2, threshold=1.0, api_name="/search_image"
    )
    answers = list(job)
    assert [len(answer["steps"]) for answer in answers] == [1, 2, 3, 3]
    assert len(Trajectory.from_zip(answers[-1]["bundle"], tmp_path / "run")) == 3


def test_the_clients_example_says_what_the_server_said(address: str, capsys: pytest.CaptureFixture[str]):
    assert client.main([address, "x" * 5000]) == 1
    assert "prompt has 5000 characters" in capsys.readouterr().err
