"""What stands around the page: headers, hosts, its own files, a path that a proxy takes off, a judge's address."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import gradio as gr
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

import app
from milr_core import InputError
from tests.ui_helpers import Studio
from ui.engines.local import LocalEngine
from ui.guard import for_others, web_options
from ui.layout import build_demo, launch_options
from ui.limits import Limits
from ui.panels.scripted import picture_url, runs_folder, url
from ui.session import Session


def served(tiny, limits: Limits, **options) -> TestClient:
    web = FastAPI(openapi_url=None, **web_options(limits))
    demo = build_demo(LocalEngine(tiny), limits=limits)
    mounted = gr.mount_gradio_app(web, demo, path="/", **options, **launch_options())
    return TestClient(mounted, base_url="http://studio.example")


@pytest.fixture(scope="module")
def browser(tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("data")))
        with served(tiny, Limits(hosts=("studio.example", "*.friends.example")), root_path="/studio") as client:
            yield client


def test_every_answer_has_its_headers(browser: TestClient):
    for path in ("/", "/config", "/milr/plotly/plotly.min.js", "/nowhere"):
        headers = browser.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in headers["content-security-policy"]


def test_the_page_answers_to_its_names_only(browser: TestClient):
    assert browser.get("/", headers={"host": "evil.example"}).status_code == 400
    assert browser.get("/", headers={"host": "some.friends.example"}).status_code == 200


def test_nobody_learns_where_the_servers_files_lie(browser: TestClient):
    said = browser.get("/config").text
    root = Path(app.__file__).resolve().parent
    for folder in (root, Path(gr.__file__).parents[1], Path.home()):
        assert f"{folder}/" not in said, folder


def test_a_path_that_a_proxy_takes_off_is_in_the_pages_address(browser: TestClient):
    assert browser.get("/config").json()["root"] == "http://studio.example/studio"
    assert browser.get("/milr/plotly/plotly.min.js").status_code == 200


def test_files_of_a_visit_are_served_and_no_others(browser: TestClient):
    (runs_folder() / "token" / "1").mkdir(parents=True)
    image = runs_folder() / "token" / "1" / "step-000.png"
    image.write_bytes(b"PNG")
    (runs_folder().parent / "secret").write_text("no")
    assert url(image) == "milr/run/token/1/step-000.png" and browser.get(url(image)).content == b"PNG"
    Image.new("RGB", (192, 192), "red").save(image)
    seen = browser.get(picture_url(image))
    assert seen.headers["content-type"] == "image/webp" and "max-age" in seen.headers["cache-control"]
    assert Image.open(BytesIO(seen.content)).size == (192, 192)
    assert browser.get("/milr/run/token/2.png?webp").status_code == 404
    for path in ("milr/run/../secret", "milr/run/%2e%2e/secret", "milr/run/token", "milr/run/"):
        assert browser.get(path).status_code == 404


def test_flags_of_a_public_page():
    args = app.parse(["--root-path", "/studio", "--auth", "me:secret", "--share"], {})
    assert (args.root_path, app.login(args.auth), args.share) == ("/studio", ("me", "secret"), True)
    assert app.login("") is None and app.parse([], {"MILR_AUTH": "a:b"}).auth == "a:b"
    for bad in ("me", "me:", ":secret"):
        with pytest.raises(InputError, match="a name and a password"):
            app.login(bad)


@pytest.mark.parametrize(
    ("host", "env", "signs", "others"),
    [
        ("127.0.0.1", {}, (), False),
        ("localhost", {"MILR_HOSTS": ""}, (False, "", None), False),
        ("0.0.0.0", {}, (), True),
        ("::", {}, (), True),
        ("127.0.0.1", {}, (False, "/studio"), True),
        ("127.0.0.1", {"SPACE_ID": "a/b"}, (), True),
        ("127.0.0.1", {"MILR_HOSTS": "studio.example"}, (), True),
    ],
)
def test_a_page_that_others_can_open_is_known_by_any_sign(host, env, signs, others):
    assert for_others(host, env, *signs) == others


def test_a_critic_is_offered_or_refused(studio: Studio):
    studio.shared.limits = Limits(critics=("oracle",))
    notice = studio.press("press_run", Session(), critic="0.5*oracle+0.5*self")["notice"]
    assert "This page offers the critics oracle" in notice


def test_a_critic_that_does_not_fit_is_refused_before_it_is_loaded(studio: Studio, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("milr_core.free_bytes", lambda device: 1e8)
    notice = studio.press("press_run", Session(), critic="geneval")["notice"]
    assert "The critic geneval takes" in notice and "0.1 are free" in notice


def test_a_foreign_folder_is_named_in_one_line(tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "file"))
    assert app.main([]) == 2
    said = capsys.readouterr().err.strip()
    assert "GRADIO_TEMP_DIR" in said and str(tmp_path / "file") in said and "\n" not in said
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    runs_folder().write_text("")
    assert app.main([]) == 2 and str(runs_folder()) in capsys.readouterr().err
