"""Who calls: from the credential in a request to a principal.

Keys are kept in memory for less than 5 seconds together with their project, so a warm instance reads nothing, and a
revoked key, a changed plan or a changed allow-list acts within that time. Unknown keys are kept too.
"""

import base64
import binascii
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal, TypeVar

from chalicelib.core import clock
from chalicelib.core.errors import InsufficientScope, IpNotAllowed, Unauthenticated, Unavailable
from chalicelib.edge.call import Principal
from chalicelib.edge.requests import Request
from chalicelib.features.apikeys import model as key_model
from chalicelib.features.apikeys import service as apikeys
from chalicelib.features.apikeys.model import Door
from chalicelib.features.projects import model as project_model
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.model import Network, Project
from chalicelib.platform.keys import Tenant
from chalicelib.platform.observability import metric
from chalicelib.platform.table import ConditionFailed

V = TypeVar("V")

Access = Literal["management", "ingest", "public"]

_KEPT = 4 * clock.SECOND
"""Milliseconds; with the time of the look-up itself a change acts within 5 seconds."""

_ENTRIES_MAX = 10_000
_TOUCH_EVERY = 4 * clock.MINUTE
_WRITE_KEY_PARAMETER = "writeKey"


@dataclass(frozen=True, slots=True)
class Admission:
    """A key that we made, with what its project says of its callers."""

    door: Door
    project: Project
    allowlist: tuple[Network, ...]

    def principal(self) -> Principal:
        return Principal(
            tenant=Tenant(self.project.id),
            key_id=self.door.key_id,
            key_type=self.door.type,
            scopes=self.door.scopes,
            is_revoked=self.door.expires_at is not None,
            mode=self.project.mode,
            plan=self.project.plan,
        )


class Keyring:
    """The keys that this instance has seen lately, by digest. Bounded and thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, tuple[int, Admission | None]] = OrderedDict()
        self._touched: OrderedDict[str, int] = OrderedDict()

    def find(self, text: str) -> Admission | None:
        """The admission of a presented key; None for one that we never made."""
        if not key_model.looks_like_key(text):
            return None
        digest = key_model.digest_of(text)
        moment = clock.system_ms()
        with self._lock:
            entry = self._entries.get(digest)
            if entry is not None and 0 <= moment - entry[0] < _KEPT:
                self._entries.move_to_end(digest)
                return entry[1]
        found = _look_up(text)
        with self._lock:
            _remember(self._entries, digest, (moment, found))
        return found

    def is_touch_due(self, key_id: str, now: int) -> bool:
        """True at most once in 4 minutes of the project's clock for each key."""
        with self._lock:
            last = self._touched.get(key_id)
            if last is not None and 0 <= now - last < _TOUCH_EVERY:
                return False
            _remember(self._touched, key_id, now)
            return True

    def touch_failed(self, key_id: str) -> None:
        """Let the next call try again."""
        with self._lock:
            self._touched.pop(key_id, None)

    def forget(self) -> None:
        """Drop everything."""
        with self._lock:
            self._entries.clear()
            self._touched.clear()


keyring = Keyring()
"""The keys of this process."""


def authenticate(request: Request, access: Access, body_limit: int) -> tuple[Admission, str, int]:
    """The admission, the key's text and the project's `now`. Raises Unauthenticated."""
    _refuse_key_in_query(request, access)
    text = _from_header(request) if "authorization" in request.headers else None
    if text is None and access == "ingest":
        text = _from_query(request) or _from_body(request, body_limit)
    if text is None:
        raise _unauthenticated("No API key was given.")
    if request.by_basic and access != "ingest":
        raise _unauthenticated("Give the key as Authorization: Bearer.")
    admission = keyring.find(text)
    if admission is None:
        raise _unauthenticated("The API key is unknown.")
    now = projects.now(Tenant(admission.project.id))
    if not admission.door.is_open(now):
        raise _unauthenticated("The API key was revoked.")
    if admission.door.type == "write" and access == "management":
        raise _unauthenticated("A write key can't call the Management API; use a secret key.")
    return admission, text, now


def check_scope(principal: Principal, access: Access, scope: str | None) -> None:
    """Raises InsufficientScope. On ingest a write key needs none, and a secret key `contacts:write` if no other one."""
    if access == "ingest":
        scope = (scope or key_model.INGEST_SCOPE) if principal.key_type == "secret" else None
    if scope is not None and not key_model.allows(principal.scopes, scope):
        raise InsufficientScope(scope, sorted(principal.scopes))


def check_address(admission: Admission, request: Request) -> None:
    """Raises IpNotAllowed where the project has an allow-list and the caller is not on it."""
    if not project_model.is_allowed(request.source_ip, admission.allowlist):
        raise IpNotAllowed("The project's allow-list does not have your address.")


def note_use(principal: Principal, now: int) -> None:
    """Keep `last_used_at` true to 5 minutes. That it can't be written refuses no call."""
    if not keyring.is_touch_due(principal.key_id, now):
        return
    try:
        apikeys.touch(principal.tenant, principal.key_id, now)
    except ConditionFailed:
        metric("KeyUseUnnoted")
    except Unavailable:
        keyring.touch_failed(principal.key_id)
        metric("KeyUseUnnoted")


def _look_up(text: str) -> Admission | None:
    door = apikeys.open_door(text)
    project = None if door is None else projects.find(Tenant(door.project_id))
    if door is None or project is None:
        return None
    allowlist = tuple(project_model.parse_network(entry) for entry in project.ip_allowlist)
    return Admission(door, project, allowlist)


def _refuse_key_in_query(request: Request, access: Access) -> None:
    texts = [text for name, values in request.query.items() for text in (name, *values)]
    if any(map(key_model.holds_secret, texts)):
        raise _unauthenticated("A secret key must not stand in a URL: URLs are logged. Revoke it.")
    if access == "management" and any(map(key_model.holds_key, texts)):
        raise _unauthenticated("A key must not stand in the URL of a management call.")


def refuse_secret_in_body(body: object) -> None:
    """Raises Unauthenticated where the body of an ingest call carries a secret key as its credential."""
    if key_model.holds_secret(_write_key_of(body) or ""):
        raise _unauthenticated("A secret key goes into the Authorization header only.")


def _from_header(request: Request) -> str:
    scheme, _, rest = request.headers["authorization"].strip().partition(" ")
    credential = rest.strip()
    if scheme.lower() == "bearer":
        return credential
    if scheme.lower() == "basic":
        request.by_basic = True
        return _basic_user(credential)
    raise _unauthenticated("The Authorization header must be a Bearer key.")


def _basic_user(credential: str) -> str:
    try:
        user, _, _ = base64.b64decode(credential, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        raise _unauthenticated("The Authorization header is malformed.") from None
    return user


def _from_query(request: Request) -> str | None:
    values = request.query.get(_WRITE_KEY_PARAMETER, [])
    return values[-1] if values else None


def _from_body(request: Request, limit: int) -> str | None:
    """The key in a JSON body. A body too large to read is told as that: its key can't be known."""
    if request.method == "GET" or not request.open_body(limit):
        return None
    return _write_key_of(request.json(leniently=True))


def _write_key_of(body: object) -> str | None:
    key = body.get(_WRITE_KEY_PARAMETER, body.get("write_key")) if isinstance(body, dict) else None
    return key if isinstance(key, str) else None


def _unauthenticated(message: str) -> Unauthenticated:
    return Unauthenticated(message, headers={"WWW-Authenticate": "Bearer"})


def _remember(entries: OrderedDict[str, V], name: str, value: V) -> None:
    entries[name] = value
    entries.move_to_end(name)
    while len(entries) > _ENTRIES_MAX:
        entries.popitem(last=False)
