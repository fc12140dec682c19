"""A replica of the page. It opens without weights: the model's facts, and every step, come from its replicas."""

import asyncio

import gradio as gr
from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from serve.remote import RemoteEngine
from serve.sticky import StickyCookie
from ui.engines.base import Engine
from ui.guard import web_options
from ui.layout import build_demo, launch_options
from ui.limits import Limits


def page_app(engine: Engine, critic: str, limits: Limits, replica: str) -> FastAPI:
    """The page as a web application that says in a cookie which replica it is."""
    app = gr.mount_gradio_app(
        FastAPI(openapi_url=None, **web_options(limits)),
        build_demo(engine, critic, limits=limits),
        path="/",
        **launch_options(),
    )
    app.add_middleware(StickyCookie, replica=replica)
    return app


@serve.ingress()
class PageReplica:
    """The page over `ModelReplica`s; drives `at_once` searches at the same time."""

    async def __init__(self, replicas: DeploymentHandle, critic: str, limits: Limits, at_once: int):
        engine = await asyncio.to_thread(RemoteEngine, replicas, at_once)
        replica = serve.get_replica_context().replica_id.unique_id
        self._app = page_app(engine, critic, limits, replica)

    def __serve_build_asgi_app__(self) -> FastAPI:
        return self._app
