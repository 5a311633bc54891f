"""API keys: made, listed, revoked, and looked up when one is presented."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from chalicelib.core import clock, ids
from chalicelib.core.errors import Conflict, InsufficientScope, NotFound, Unavailable
from chalicelib.core.events import KEY_CREATED, KEY_REVOKED
from chalicelib.features.apikeys import model, store
from chalicelib.features.apikeys.model import ApiKey, Door, KeyType, Mode
from chalicelib.features.apikeys.schemas import CreatedKey, KeyPage, NewKey, view
from chalicelib.platform import cursor, outbox, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import ConditionFailed, Op

GRACE = 24 * clock.HOUR
"""Milliseconds for which a revoked key still works."""

_ENDPOINT = "settings.keys"
_ATTEMPTS = 10


def open_door(text: str) -> Door | None:
    """What a presented key opens, read consistently; None for a key that we never made."""
    return store.load_door(model.digest_of(text)) if model.looks_like_key(text) else None


def creation(
    tenant: Tenant, name: str, kind: KeyType, scopes: Iterable[str], *, mode: Mode, now: int
) -> tuple[ApiKey, str, list[Op]]:
    """A new key, its text (known here and never again), and the rows that make it with their event."""
    text = model.new_text(kind, mode)
    key = ApiKey(
        id=ids.new_id("key"),
        name=name,
        type=kind,
        digest=model.digest_of(text),
        hint=model.hint_of(text),
        scopes=tuple(dict.fromkeys(scopes)),
        created_at=now,
    )
    return key, text, [*store.creation(tenant, key), outbox.emit(tenant, KEY_CREATED, _told(key), now)]


def create(
    tenant: Tenant, body: NewKey, *, granted: frozenset[str], mode: Mode, now: int, receipt: Receipt
) -> CreatedKey:
    """Make a key. Raises InsufficientScope where it could do what its maker (`granted`) may not."""
    needed = [model.INGEST_SCOPE] if body.type == "write" else body.scopes
    lacking = [scope for scope in needed if not model.allows(granted, scope)]
    if lacking:
        raise InsufficientScope(lacking[0], sorted(granted))
    key, text, ops = creation(tenant, body.name, body.type, body.scopes, mode=mode, now=now)
    answer = CreatedKey(**view(key).model_dump(), key=text)
    receipt.commit(ops, 201, answer.model_dump(mode="json"))
    return answer


def listing(tenant: Tenant, limit: int, after: str | None) -> KeyPage:
    """One page of the project's keys, newest first. Raises BadRequest for a cursor that is not of this list."""
    position = None if after is None else cursor.decode(after, tenant, _ENDPOINT, {})
    keys = store.newest(tenant, limit + 1, position)
    has_more = len(keys) > limit
    shown = keys[:limit]
    next_cursor = cursor.encode(tenant, _ENDPOINT, {}, shown[-1].id) if has_more else None
    return KeyPage(data=[view(key) for key in shown], has_more=has_more, next_cursor=next_cursor)


def revoke(tenant: Tenant, key_id: str, *, immediate: bool, now: int) -> ApiKey:
    """Start the key's grace period, or end the key at once; a key that ends already keeps its times.

    Raises NotFound, and Conflict for the last key that may change settings.
    """
    for _ in range(_ATTEMPTS):
        key = store.load(tenant, key_id)
        if key is None:
            raise NotFound("There is no such key.")
        end = now if immediate else now + GRACE
        if key.expires_at is not None and key.expires_at <= end:
            return key
        ended = replace(key, revoked_at=key.revoked_at or now, expires_at=end)
        try:
            _end(tenant, key, ended, now)
        except ConditionFailed as refused:
            if 0 in refused.failed:
                continue
            raise Conflict("The last key that may change settings can't be revoked.") from refused
        return ended
    raise Unavailable


def touch(tenant: Tenant, key_id: str, now: int) -> None:
    """Note that the key was used at `now`."""
    store.touch(tenant, key_id, now)


def _end(tenant: Tenant, key: ApiKey, ended: ApiKey, now: int) -> None:
    revoked_at, expires_at = ended.revoked_at or now, ended.expires_at or now
    ops = store.revocation(tenant, key, revoked_at, expires_at)
    if key.revoked_at is None:
        ops.append(outbox.emit(tenant, KEY_REVOKED, _told(ended), now))
    table.transact(ops)


def _told(key: ApiKey) -> dict[str, Any]:
    return view(key).model_dump(mode="json")
