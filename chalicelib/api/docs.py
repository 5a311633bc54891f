"""The machine-readable documents, and the page to read and try them."""

import importlib.util
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

from chalicelib.core.errors import NotFound
from chalicelib.edge import openapi
from chalicelib.edge.call import Call, Reply
from chalicelib.edge.openapi import Description, Webhook
from chalicelib.edge.requests import Request
from chalicelib.edge.router import Router

_EXAMPLES = Path(__file__).parent / "examples.json"
_UI = "event_handler/openapi/swagger_ui"
_JSON = "application/json"
_SCRIPT = "text/javascript; charset=utf-8"
_STYLE = "text/css; charset=utf-8"
_PAGE = "text/html; charset=utf-8"
_MOVED = 308
_DAY_SECONDS = 86_400
_KEPT = f"public, max-age={_DAY_SECONDS}"

_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        # The page's library sets style attributes.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)

_HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>GrowthOS API</title>
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
</head>
<body>
<nav style="padding: 12px 20px; font-family: sans-serif">
<strong>GrowthOS API</strong> &nbsp; <a href="?api=management">Management</a> &nbsp; <a href="?api=ingest">Ingest</a>
</nav>
<main id="ui"></main>
<script src="docs/assets/swagger-ui.js"></script>
<script src="docs/assets/start.js"></script>
</body>
</html>
"""

_START = """const asked = new URLSearchParams(location.search).get("api");
const api = asked === "ingest" ? "ingest" : "management";
SwaggerUIBundle({
  dom_id: "#ui",
  url: `openapi/${api}.json`,
  deepLinking: true,
  filter: true,
  docExpansion: "list",
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
"""

_SERVER = "https://api.invalid"
"""Stands in the documents, which are made once, for the address at which a caller reached us."""

_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9a-f:.]+\](:[0-9]{1,5})?")
_ADDRESSES_KEPT = 16

_MANAGEMENT = Description(
    server=_SERVER,
    title="GrowthOS Management API",
    text="Every resource of a project, for your servers. Never put a secret key where others can read it.",
    schemes={"secretKey": {"type": "http", "scheme": "bearer", "description": "A secret key: `gos_sk_…`."}},
)
_INGEST = Description(
    server=_SERVER,
    title="GrowthOS Ingest API",
    text="What browsers, apps and servers send: the calls of the Segment spec, in snake_case or camelCase. Bodies are "
    "read as JSON whatever their content type says, and may be gzip. A body has at most 500 KB, unpacked.",
    schemes={
        "writeKey": {"type": "http", "scheme": "bearer", "description": "A write key: `gos_wk_…`."},
        "writeKeyBasic": {"type": "http", "scheme": "basic", "description": "The write key as user name."},
        "writeKeyQuery": {"type": "apiKey", "in": "query", "name": "writeKey"},
    },
)


def router_for(sections: Sequence[Router]) -> Router:
    """The pages that describe these sections."""
    router = Router("Documentation")
    management, ingest = _documents(sections)

    @router.get("/openapi/management.json", access="public")
    def get_management_document(call: Call[None, None]) -> Reply:
        """Get the OpenAPI document of the Management API."""
        return _reply(management(_address(call.request)), _JSON)

    @router.get("/openapi/ingest.json", access="public")
    def get_ingest_document(call: Call[None, None]) -> Reply:
        """Get the OpenAPI document of the Ingest API."""
        return _reply(ingest(_address(call.request)), _JSON)

    @router.get("/docs", access="public")
    def get_docs(call: Call[None, None]) -> Reply:
        """Read the API, and try it."""
        if call.request.path.endswith("/"):
            # The page's own addresses are relative, so that they are right behind any stage.
            return Reply("", status=_MOVED, headers={"Location": "../docs"})
        return _reply(_HTML, _PAGE, {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"})

    @router.get("/docs/assets/{asset}", access="public")
    def get_docs_asset(call: Call[None, None]) -> Reply:
        """Get a file of the page."""
        asset = _ASSETS.get(call.path["asset"])
        if asset is None:
            raise NotFound("There is nothing under this path.")
        read, content_type = asset
        return _reply(read(), content_type, {"Cache-Control": _KEPT})

    return router


def _documents(sections: Sequence[Router]) -> tuple[Callable[[str], str], Callable[[str], str]]:
    """What gives the texts of the two documents for an address; each is made once in this process."""

    @cache
    def text(access: str) -> str:
        return _text(_MANAGEMENT if access == "management" else _INGEST, access, sections)

    @lru_cache(_ADDRESSES_KEPT)
    def at(access: str, address: str) -> str:
        return text(access).replace(_SERVER, address, 1)

    return partial(at, "management"), partial(at, "ingest")


def _address(request: Request) -> str:
    """Where the API answers, as the caller reached it; no slash at its end: paths are put behind it as they are."""
    host = request.headers.get("host", "")
    scheme = "https" if request.headers.get("x-forwarded-proto") == "https" else "http"
    stage, _, _ = request.full_path.rpartition(request.route)
    return f"{scheme}://{host if _HOST.fullmatch(host) else 'localhost'}{stage}"


def _text(about: Description, access: str, sections: Sequence[Router]) -> str:
    endpoints = [endpoint for section in sections for endpoint in section.endpoints if endpoint.access == access]
    examples: dict[str, Any] = json.loads(_EXAMPLES.read_text(encoding="utf-8"))
    webhooks = _webhooks() if access == "management" else {}
    return json.dumps(openapi.document(replace(about, examples=examples, webhooks=webhooks), endpoints))


def _webhooks() -> Mapping[str, Webhook]:
    # Only a reader of the document needs the models of all events.
    from chalicelib.flows.webhooks import payloads

    return {name: Webhook(payloads.model(name), payloads.example(name)) for name in payloads.KINDS}


def _reply(text: str, content_type: str, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(
        text, headers={"Content-Type": content_type, "X-Content-Type-Options": "nosniff"} | dict(headers or {})
    )


@cache
def _shipped(name: str) -> str:
    """A file that powertools ships; found without importing its event handlers."""
    spec = importlib.util.find_spec("aws_lambda_powertools")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(name)
    return (Path(spec.origin).parent / _UI / name).read_text(encoding="utf-8")


_ASSETS: Mapping[str, tuple[Callable[[], str], str]] = {
    "swagger-ui.js": (lambda: _shipped("swagger-ui-bundle.min.js"), _SCRIPT),
    "swagger-ui.css": (lambda: _shipped("swagger-ui.min.css"), _STYLE),
    "start.js": (lambda: _START, _SCRIPT),
}
