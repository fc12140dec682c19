"""How a judge's requests are sent: to the address that was checked, once, with no more headers than they need.

No redirect is ever followed, and of a reply no more is kept than a judge has any reason to say.
"""

import os
import ssl
import zlib
from collections.abc import Callable
from typing import Any
from urllib.request import proxy_bypass

import httpx2

from milr_core.critics.endpoint import public_addresses
from milr_core.errors import CriticError, InputError

LARGEST_REPLY = 1 << 20  # bytes, unpacked
PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_NEEDED = ("accept", "content-type", "user-agent")
_OF_THE_BODY = ("content-encoding", "content-length", "transfer-encoding")


class JudgeClient(httpx2.AsyncClient):
    """sent: called before each request goes out. pinned: connect to checked addresses alone, past every proxy.

    headers_for: the key of an endpoint that is not the operator's: it gets this key and nothing else that the
    environment would add (OPENAI_ORG_ID, OPENAI_PROJECT_ID, OPENAI_CUSTOM_HEADERS). None for the operator's own.

    Raises:
        InputError: at construction, naming the variable of the environment that it cannot work with.
    """

    def __init__(self, timeout: float, sent: Callable[[], None], headers_for: str | None, pinned: bool):
        try:
            super().__init__(timeout=timeout, follow_redirects=False, trust_env=not pinned)
        except (ImportError, ValueError, OSError, httpx2.InvalidURL) as error:
            raise InputError(blamed(error)) from None
        self.sent, self.headers_for, self.pinned = sent, headers_for, pinned

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        self.sent()
        headers = request.headers.copy()
        if self.headers_for is not None:
            headers = httpx2.Headers({name: headers[name] for name in _NEEDED if name in headers})
            headers["authorization"] = f"Bearer {self.headers_for}"
        headers["accept-encoding"] = "gzip"  # others unpack further than can be watched
        response = await self._answered(request, headers, options | {"stream": True, "follow_redirects": False})
        try:
            content = await unpacked(response)
        finally:
            await response.aclose()
        kept = {name: value for name, value in response.headers.items() if name not in _OF_THE_BODY}
        return httpx2.Response(response.status_code, headers=kept, content=content, request=request)

    async def _answered(
        self, request: httpx2.Request, headers: httpx2.Headers, options: dict[str, Any]
    ) -> httpx2.Response:
        """A pinned client resolves the name here and connects to what it found, so it cannot change in between."""
        host = request.url.host
        port = request.url.port or {"http": 80, "https": 443}[request.url.scheme]
        headers["host"] = request.url.netloc.decode("ascii")
        failure: Exception | None = None
        for address in await public_addresses(host, port) if self.pinned else [host]:
            one = httpx2.Request(
                request.method, request.url.copy_with(host=address), headers=headers, content=request.content,
                extensions=request.extensions | ({"sni_hostname": host} if self.pinned else {}),
            )  # fmt: skip
            try:
                return await super().send(one, **options)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure


async def unpacked(response: httpx2.Response) -> bytes:
    """The body, counted while it is unpacked.

    Raises:
        CriticError: larger than LARGEST_REPLY, damaged, or packed as was not asked for.
    """
    packing = response.headers.get("content-encoding", "").strip().lower()
    if packing not in ("", "identity", "gzip", "deflate"):
        raise CriticError(f"The judge's reply is packed as '{packing[:20]}', which was not asked for.")
    unpack = zlib.decompressobj(47) if packing in ("gzip", "deflate") else None  # 47: of either header
    body = bytearray()
    async for chunk in response.aiter_raw():
        try:
            body += unpack.decompress(chunk, LARGEST_REPLY + 1 - len(body)) if unpack else chunk
        except zlib.error:
            raise CriticError("The judge's reply is damaged: it cannot be unpacked.") from None
        if len(body) > LARGEST_REPLY:
            raise CriticError(
                f"The judge's reply is larger than {LARGEST_REPLY >> 20} MiB, which no answer is. Check base_url."
            )
    return bytes(body)


def _set(names: tuple[str, ...]) -> dict[str, str]:
    """List the variables that are set, as they are written, in upper or lower case."""
    return {n: value for name in names for n in (name, name.lower()) if (value := os.environ.get(n, "").strip())}


def blamed(error: Exception) -> str:
    """Which variable of the environment keeps a client from being made, and what to do; never its value, which may
    hold a password.
    """
    for name, value in _set(CERTIFICATES).items():
        if isinstance(error, (OSError, ssl.SSLError)):
            there = "is no file of certificates" if os.path.exists(value) else "names a file that is not there"
            return f"The environment's {name} {there}: correct it, or unset it."
    for name, value in _set(PROXIES[:-1]).items():
        scheme = value.partition("://")[0].lower() if "://" in value else "http"
        if scheme.startswith("socks"):
            fix = "pip install socksio" if scheme in ("socks5", "socks5h") else "write it with socks5:// or http://"
            return f"The environment's {name} is a {scheme} proxy, which cannot be used as it is: {fix}, or unset it."
        if scheme not in ("http", "https"):
            return f"The environment's {name} is no proxy with http:// or socks5://: correct it, or unset it."
    names = ", ".join(_set((*PROXIES, *CERTIFICATES))) or "proxy settings of the system"
    return f"The connection to a judge cannot be set up with the environment's {names}: correct or unset them."


def hint(url: httpx2.URL, reason: str) -> str:
    """What in the environment may be behind a connection that failed."""
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return " Where a proxy has its own certificates, set SSL_CERT_FILE to them."
    names = list(_set((f"{url.scheme.upper()}_PROXY", "ALL_PROXY")))
    if names and not proxy_bypass(url.host):
        return f" {names[0]} is set: check the proxy, or add {url.host} to NO_PROXY."
    return ""
