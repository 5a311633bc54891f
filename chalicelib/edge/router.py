"""Routers: how a file of chalicelib/api declares its endpoints.

    router = Router("Contacts")

    @router.get("/v1/contacts/{contact_id}", scope="contacts:read", answer=ContactProfile)
    def get_contact(call: Call[None, None]) -> ContactProfile:
        '''Read a contact's profile.'''
        return service.get(call.tenant, call.path["contact_id"], call.now)

    @router.post("/v1/contacts", scope="contacts:write", body=NewContact, answer=Contact, status=201, idempotent=True)
    def create_contact(call: Call[None, NewContact]) -> Contact | Reply: ...

Arguments of `get`, `post`, `patch` and `delete`, all by name but the path:

- `scope`: what a secret key must have; None for public endpoints, and for those of ingest that want `contacts:write`.
- `access`: "management" (secret key), "ingest" (write key, or a secret key with contacts:write), "public" (no key;
  `call.principal`, `.tenant` and `.receipt` must not be read, and `call.now` is the real moment).
- `query`, `body`: pydantic models (`core.schema.Query`, `core.schema.Body`), None where there is none. Management
  refuses unknown query parameters; ingest and public pass over them. An ingest POST is parsed as JSON in any case;
  without a `body` model the handler reads `call.request.json()`.
- `answer`: the model that the handler returns, for OpenAPI; None for what is no JSON.
- `status`: of a plain answer. `Reply(body, status=…, headers=…)` says otherwise; `also` are the good ones among those.
- `idempotent`: the endpoint heeds Idempotency-Key; its service must end in `call.receipt.commit(…)`.
- `test_only`: a live project is answered 404.
- `may_be_empty`: a call without a body is one with `{}`.

The first paragraph of the docstring is the endpoint's summary for clients. Errors are raised as `core.errors`.
"""

from collections.abc import Callable, Iterable
from typing import TypedDict, TypeVar, Unpack

from chalice.app import Blueprint, Response
from pydantic import BaseModel

from chalicelib.core.errors import MethodNotAllowed, NotFound
from chalicelib.edge import endpoint as endpoints
from chalicelib.edge import errors, responses
from chalicelib.edge.auth import Access
from chalicelib.edge.endpoint import Endpoint, Handler, Method
from chalicelib.edge.middleware import current_request
from chalicelib.edge.requests import METHODS
from chalicelib.edge.responses import OPEN_TO_ALL_ORIGINS, Outcome

H = TypeVar("H", bound=Handler)


class Options(TypedDict, total=False):
    """What a decorator takes besides the path; the defaults are those of `Router._declare`."""

    scope: str | None
    access: Access
    query: type[BaseModel] | None
    body: type[BaseModel] | None
    answer: type[BaseModel] | None
    status: int
    also: tuple[int, ...]
    idempotent: bool
    test_only: bool
    may_be_empty: bool


class Router:
    """The endpoints of one section of the reference."""

    def __init__(self, section: str) -> None:
        self.section = section
        self.endpoints: list[Endpoint] = []

    def get(self, path: str, **options: Unpack[Options]) -> Callable[[H], H]:
        """Declare a GET endpoint."""
        return self._declare("GET", path, **options)

    def post(self, path: str, **options: Unpack[Options]) -> Callable[[H], H]:
        """Declare a POST endpoint."""
        return self._declare("POST", path, **options)

    def patch(self, path: str, **options: Unpack[Options]) -> Callable[[H], H]:
        """Declare a PATCH endpoint."""
        return self._declare("PATCH", path, **options)

    def delete(self, path: str, **options: Unpack[Options]) -> Callable[[H], H]:
        """Declare a DELETE endpoint."""
        return self._declare("DELETE", path, **options)

    def blueprint(self) -> Blueprint:
        """The section for Chalice: each path once, for all methods, so that we answer 405 ourselves."""
        blueprint = Blueprint(f"chalicelib.api.{self.section.lower()}")
        by_path: dict[str, list[Endpoint]] = {}
        for declared in self.endpoints:
            by_path.setdefault(declared.path, []).append(declared)
        for path, declared_here in by_path.items():
            view = _view(declared_here)
            blueprint.route(path, methods=list(METHODS), content_types=[], name=view.__name__)(view)
        return blueprint

    def _declare(
        self,
        method: Method,
        path: str,
        *,
        scope: str | None = None,
        access: Access = "management",
        query: type[BaseModel] | None = None,
        body: type[BaseModel] | None = None,
        answer: type[BaseModel] | None = None,
        status: int = 200,
        also: tuple[int, ...] = (),
        idempotent: bool = False,
        test_only: bool = False,
        may_be_empty: bool = False,
    ) -> Callable[[H], H]:
        if (access == "management" and scope is None) or (access == "public" and scope is not None):
            raise ValueError(f"{method} {path}: a management endpoint has a scope, and a public one has none")

        def register(handler: H) -> H:
            summary = " ".join((handler.__doc__ or "").strip().partition("\n\n")[0].split())
            self.endpoints.append(
                Endpoint(
                    method=method,
                    path=path,
                    handler=handler,
                    section=self.section,
                    access=access,
                    scope=scope,
                    query=query,
                    body=body,
                    answer=answer,
                    status=status,
                    idempotent=idempotent,
                    summary=summary,
                    also=also,
                    test_only=test_only,
                    may_be_empty=may_be_empty,
                )
            )
            return handler

        return register


def dispatch(declared: Iterable[Endpoint], path: dict[str, str]) -> Outcome:
    """The answer to the current request, on a path that serves these endpoints."""
    request = current_request()
    by_method = {known.method: known for known in declared}
    is_ingest = any(known.access == "ingest" for known in by_method.values())
    if is_ingest and request.method == "OPTIONS":
        return responses.preflight(request.headers.get("access-control-request-headers", ""))
    chosen = {str(name): known for name, known in by_method.items()}.get(request.method)
    if chosen is None and request.method == "HEAD":
        # A page may be asked for without its body; whoever counts visits sees the method.
        chosen = next((known for known in by_method.values() if known.is_page), None)
    if chosen is not None:
        return endpoints.serve(chosen, request, path)
    allowed = [*by_method, "OPTIONS"] if is_ingest else [*by_method]
    outcome = errors.envelope(MethodNotAllowed(allowed), request.request_id, at_root=is_ingest)
    outcome.headers |= OPEN_TO_ALL_ORIGINS if is_ingest else {}
    return outcome


def fallback() -> Blueprint:
    """What answers every path that nothing else serves. It is the last blueprint."""
    blueprint = Blueprint("chalicelib.edge.fallback")
    for path, name in (("/", "root"), ("/{proxy+}", "anything_else")):
        blueprint.route(path, methods=list(METHODS), content_types=[], name=name)(_nothing_here)
    return blueprint


def _nothing_here() -> Response:
    outcome = errors.envelope(NotFound("There is nothing under this path."), current_request().request_id, at_root=True)
    outcome.headers |= OPEN_TO_ALL_ORIGINS  # as the gateway's own: a mistyped path of ingest is to be readable too
    return responses.to_chalice(outcome)


def _view(declared: list[Endpoint]) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        return responses.to_chalice(dispatch(declared, path))

    # Chalice keeps the name for its tables; the handler of all routes is the one function of app.py.
    view.__name__ = declared[0].handler.__name__
    return view
