"""A small app on the real edge, with an endpoint for each kind of access and each way to fail."""

from typing import Annotated, Any

from chalice.app import Chalice
from pydantic import Field

from chalicelib.core import events
from chalicelib.core.errors import Conflict, RateLimited, Unavailable
from chalicelib.core.schema import Answer, Body, Query
from chalicelib.edge.call import Call, Reply
from chalicelib.edge.middleware import around_http
from chalicelib.edge.router import Router, fallback
from chalicelib.platform import outbox

SECRET_OF_THE_SERVER = "internal-detail-4711"

router = Router("Probe")
runs: list[str] = []
"""One entry for each run of the idempotent handler."""


class Rule(Body):
    value: int


class Thing(Body):
    name: Annotated[str, Field(min_length=2)]
    count: int = 0
    ratio: float = 0.0
    rules: list[Rule] = Field(default_factory=list)
    either: int | list[Rule] | None = None


class Filter(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 25
    tag: list[str] = Field(default_factory=list)


class Seen(Answer):
    said: Any


@router.get("/v1/things/{thing_id}", scope="contacts:read", query=Filter, answer=Seen)
def get_thing(call: Call[Filter, None]) -> Seen:
    """Get a thing."""
    return Seen(said=call.query.model_dump() | dict(call.path))


@router.post("/v1/things", scope="contacts:write", body=Thing, answer=Seen, status=201, idempotent=True)
def create_thing(call: Call[None, Thing]) -> Seen:
    """Create a thing."""
    runs.append(call.body.name)
    answer = Seen(said=f"{call.body.name} {len(runs)}")
    event = outbox.emit(call.tenant, events.CONTACT_CREATED, {"name": call.body.name}, call.now)
    call.receipt.commit([event], 201, answer.model_dump(mode="json"))
    return answer


@router.post("/v1/failures/{kind}", scope="contacts:write", answer=Seen)
def fail(call: Call[None, None]) -> Seen:
    """Fail in one way."""
    kinds: dict[str, Exception] = {
        "conflict": Conflict("Taken."),
        "unavailable": Unavailable(retry_after=7),
        "limited": RateLimited(3),
        "bug": RuntimeError(SECRET_OF_THE_SERVER),
        "lookup": KeyError(SECRET_OF_THE_SERVER),
    }
    raise kinds[call.path["kind"]]


@router.get("/v1/unserialisable", scope="contacts:read", answer=Seen)
def unserialisable(_call: Call[None, None]) -> Reply:
    """Answer with something that JSON does not know."""
    return Reply({"said": {1, 2}})


@router.post("/v1/track", access="ingest", answer=Seen, status=202)
def track(call: Call[None, None]) -> Seen:
    """Take an event."""
    return Seen(said=call.request.json())


@router.post("/v1/broken", access="ingest", answer=Seen, status=202)
def broken(call: Call[None, None]) -> Seen:
    """Fail on ingest."""
    raise RuntimeError(SECRET_OF_THE_SERVER)


@router.get("/v1/decide", access="ingest", query=Filter, answer=Seen)
def decide(call: Call[Filter, None]) -> Seen:
    """Decide."""
    return Seen(said=call.query.limit)


@router.get("/page", access="public")
def page(_call: Call[None, None]) -> Reply:
    """A page for anyone."""
    return Reply("<p>hello</p>", headers={"Content-Type": "text/html; charset=utf-8"})


def make_app() -> Chalice:
    app = Chalice(app_name="probe", configure_logs=False)
    app.register_middleware(around_http, "http")
    for blueprint in (router.blueprint(), fallback()):
        app.register_blueprint(blueprint)
    return app


probe = make_app()
