"""Every request of one browser goes to one replica of the page: gradio keeps a session in the process that began it.

The replica says who it is in a cookie; the router, in every proxy of the cluster, reads it. It keeps no list: who comes
without a cookie goes to the less busy of two replicas; whose replica is gone, to another, always the same.
"""

import pickle
import random
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie

from ray.serve.request_router import PendingRequest, RequestRouter, RunningReplica
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "milr_page"


def named(cookies: str) -> str:
    """The replica that a Cookie header names; empty where it names none."""
    try:
        found = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


class StickyRouter(RequestRouter):
    """Runs in Ray Serve's HTTP proxies."""

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        if pending_request is None or not candidate_replicas:
            return [candidate_replicas]
        pending_request.routing_context.should_backoff = True  # between two tries of a replica that is full
        scope = pickle.loads(pending_request.args[0]).asgi_scope  # as the proxy made it, in this very process
        wanted = named(Headers(scope=scope).get("cookie", ""))
        if not wanted:
            return [random.sample(candidate_replicas, min(2, len(candidate_replicas)))]
        ids = {replica.replica_id.unique_id: replica for replica in candidate_replicas}
        if wanted not in ids:
            wanted = max(ids, key=lambda name: sha256(f"{wanted} {name}".encode()).digest())
        return [[ids[wanted]]]


class StickyCookie:
    """ASGI middleware of a page: says in a cookie which replica answers, to whoever does not say so already."""

    def __init__(self, app: ASGIApp, replica: str):
        self.app, self.replica = app, replica

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or named(Headers(scope=scope).get("cookie", "")) == self.replica:
            await self.app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                cookie = f"{COOKIE}={self.replica}; Path=/; HttpOnly; SameSite=Lax"
                MutableHeaders(scope=message).append("set-cookie", cookie)
            await send(message)

        await self.app(scope, receive, marked)
