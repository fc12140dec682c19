"""What stands around the page: who can open it, its own files without the server's paths, and headers for browsers."""

import os
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from fastapi.staticfiles import StaticFiles
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.limits import Limits
from ui.panels.plot import PLOTLY
from ui.panels.scripted import FILES, runs_folder
from ui.tabs.about import README
from ui.tabs.results import PUBLISHED

POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",  # gradio's page has scripts in it, and makes functions
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        "connect-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self' https://huggingface.co https://*.hf.space",  # a Space is shown in a frame
    )
)
"""Content-Security-Policy: nothing comes from elsewhere, nothing goes elsewhere."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def for_others(host: str, env: Mapping[str, str], *signs: Any) -> bool:
    """Whether other machines can open a page that listens at `host`: by its address, or by whatever else only such a
    page has (`signs`, MILR_HOSTS): a proxy on this machine hands on what strangers ask.
    """
    return any(signs) or bool(env.get("SPACE_ID") or env.get("MILR_HOSTS")) or host not in LOOPBACK


class Headers:
    """Adds them to every answer."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", POLICY)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "same-origin")
            await send(message)

        await self.app(scope, receive, sending)


class Pictures(StaticFiles):
    """Files of visits. A picture that is to be looked at ("?webp") is a fifth of the PNG that lies there."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        if isinstance(answer, FileResponse) and scope["query_string"] == b"webp":
            packed = await run_in_threadpool(webp, answer.path)
            return Response(packed, media_type="image/webp", headers={"Cache-Control": "private, max-age=86400"})
        return answer


def webp(file: str | os.PathLike[str]) -> bytes:
    made = BytesIO()
    with Image.open(file, formats=["PNG"]) as image:
        image.convert("RGB").save(made, "WEBP", quality=90, method=2)
    return made.getvalue()


class Zipped:
    """Packs the page itself and what is answered at once; gradio packs its own files, and streams stay as they are."""

    def __init__(self, app: ASGIApp):
        self.app, self.zipping = app, GZipMiddleware(app, minimum_size=1000)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        packed = scope["type"] == "http" and scope["path"].endswith(("/", "/predict"))
        await (self.zipping if packed else self.app)(scope, receive, send)


def web_options(limits: Limits) -> dict[str, Any]:
    """Keyword arguments of the FastAPI application: routes of the page's files, and what every answer passes."""
    folders = {"results": PUBLISHED.with_suffix(""), "plotly": PLOTLY.parent, "docs": README.parent / "docs"}
    files = {name: StaticFiles(directory=folder, check_dir=False) for name, folder in folders.items()}
    files["run"] = Pictures(directory=runs_folder(), check_dir=False)
    routes: list[Mount | Route] = [Mount(f"/{FILES}/{name}", app) for name, app in files.items()]
    routes.append(Route(f"/{FILES}/{README.name}", lambda _: FileResponse(README, media_type="text/plain")))
    hosts = [Middleware(TrustedHostMiddleware, allowed_hosts=list(limits.hosts))] if limits.hosts else []
    return {"routes": routes, "middleware": [*hosts, Middleware(Headers), Middleware(Zipped)]}
