"""The rows of API keys.

| item | attributes |
|---|---|
| `KEY#<id>` | name, type, digest, hint, scopes (list), created_at, last_used_at, revoked_at, expires_at |
| door `KEY#<sha256>` | project_id, key_id, type, scopes (list), expires_at |
| `KEYRING` | ids: the set of secret keys, not revoked, that may change settings |
"""

from typing import Any

from chalicelib.features.apikeys.model import ApiKey, Door
from chalicelib.platform import keys, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Item, Op, Put, Update, attr


def creation(tenant: Tenant, key: ApiKey) -> list[Op]:
    """The rows of a new key, for the transaction that makes it."""
    door = {"project_id": tenant.project_id, "key_id": key.id, "type": key.type, "scopes": list(key.scopes)}
    ops: list[Op] = [
        Put(tenant.api_key(key.id), _attributes(key), attr("PK").not_exists()),
        Put(keys.api_key_door(key.digest), door, attr("PK").not_exists()),
    ]
    if key.holds_settings():
        ops.append(Update(tenant.keyring(), add={"ids": {key.id}}))
    return ops


def revocation(tenant: Tenant, key: ApiKey, revoked_at: int, expires_at: int) -> list[Op]:
    """The rows that end a key, each conditional on the state in which it was read; the ring's comes last."""
    times = {"revoked_at": revoked_at, "expires_at": expires_at}
    unchanged = (
        attr("expires_at").not_exists() if key.expires_at is None else attr("expires_at").eq(key.expires_at)
    ) & attr("PK").exists()
    ops: list[Op] = [
        Update(tenant.api_key(key.id), set_=times, condition=unchanged),
        Update(keys.api_key_door(key.digest), set_={"expires_at": expires_at}),
    ]
    if key.holds_settings() and key.revoked_at is None:
        another = attr("ids").size().gt(1)
        ops.append(Update(tenant.keyring(), discard={"ids": {key.id}}, condition=another))
    return ops


def load(tenant: Tenant, key_id: str) -> ApiKey | None:
    """The key, read consistently."""
    item = table.get(tenant.api_key(key_id))
    return None if item is None else _key(key_id, item)


def load_door(digest: str) -> Door | None:
    """What a key with that digest opens, read consistently."""
    item = table.get(keys.api_key_door(digest))
    if item is None:
        return None
    return Door(item["project_id"], item["key_id"], item["type"], frozenset(item["scopes"]), item.get("expires_at"))


def newest(tenant: Tenant, limit: int, after: str | None) -> list[ApiKey]:
    """Up to `limit` keys, newest first, that are older than the key `after`."""
    partition, prefix = tenant.api_keys()
    start = None if after is None else dict(zip(("PK", "SK"), tenant.api_key(after), strict=True))
    page = table.query(partition, prefix=prefix, limit=limit, newest_first=True, after=start)
    return [_key(item["SK"].removeprefix(prefix), item) for item in page.items]


def touch(tenant: Tenant, key_id: str, now: int) -> None:
    """Note that the key was used."""
    table.write(Update(tenant.api_key(key_id), set_={"last_used_at": now}, condition=attr("PK").exists()))


def _attributes(key: ApiKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "type": key.type,
        "digest": key.digest,
        "hint": key.hint,
        "scopes": list(key.scopes),
        "created_at": key.created_at,
    }


def _key(key_id: str, item: Item) -> ApiKey:
    return ApiKey(
        id=key_id,
        name=item["name"],
        type=item["type"],
        digest=item["digest"],
        hint=item["hint"],
        scopes=tuple(item["scopes"]),
        created_at=item["created_at"],
        last_used_at=item.get("last_used_at"),
        revoked_at=item.get("revoked_at"),
        expires_at=item.get("expires_at"),
    )
