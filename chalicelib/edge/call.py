"""What a handler is given and what it gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel

from chalicelib.edge.requests import Request
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant

Q = TypeVar("Q")
B = TypeVar("B")

KeyType = Literal["secret", "write"]
Mode = Literal["live", "test"]
Plan = Literal["free", "growth", "scale"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: a key of one project; a revoked one is in its grace period."""

    tenant: Tenant
    key_id: str
    key_type: KeyType
    scopes: frozenset[str]
    is_revoked: bool
    mode: Mode
    plan: Plan

    @property
    def project_id(self) -> str:
        return self.tenant.project_id


@dataclass(frozen=True, slots=True)
class Call(Generic[Q, B]):
    """One admitted and validated call. `now` is the project's moment, in milliseconds.

    On endpoints with `access="public"` there is no caller: reading `principal` or `receipt` there is an error.
    """

    request: Request
    path: Mapping[str, str]
    query: Q
    body: B
    now: int
    _principal: Principal | None = None
    _receipt: Receipt | None = field(default=None, repr=False)

    @property
    def principal(self) -> Principal:
        if self._principal is None:
            raise LookupError("a public endpoint has no principal")
        return self._principal

    @property
    def tenant(self) -> Tenant:
        return self.principal.tenant

    @property
    def receipt(self) -> Receipt:
        """What remembers the answer, where the call came with an Idempotency-Key."""
        if self._receipt is None:
            raise LookupError("a public endpoint has no receipt")
        return self._receipt


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer whose status or headers are not the endpoint's usual ones.

    `body` is a model, a JSON object, or text that goes out as it is (give its Content-Type in `headers`).
    """

    body: BaseModel | Mapping[str, object] | str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
