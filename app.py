"""Composition: the routes, the middleware, and the functions that queues, the stream and operators call."""

from typing import Any

from chalice.app import Chalice

from chalicelib.api import blueprints
from chalicelib.edge.middleware import around_http

app = Chalice(app_name="growthos")
app.register_middleware(around_http, "http")
for blueprint in blueprints():
    app.register_blueprint(blueprint)
