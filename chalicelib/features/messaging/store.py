"""Messages in the table.

| item | attributes |
|---|---|
| `MAIL#<message id>` of a contact | the fields of `model.Message`; `fetches` as a list of `[link, moment]` |
| `SUPPRESSED` of an address | `reason at`; the address stands there by its SHA-256 only |
| kept mail of a test project | `mail` as JSON text, compressed |
"""

import hashlib
import zlib
from typing import Any

from chalicelib.core import strict_json
from chalicelib.features.messaging.model import Fetch, Message, Suppression
from chalicelib.platform import table
from chalicelib.platform.keys import Key, Tenant, moment_sk
from chalicelib.platform.listing import FIRST, Entry, Listed, Merge, Range, fill, walk
from chalicelib.platform.table import Check, Delete, Item, Op, Put, attr


def key(tenant: Tenant, contact_id: str, message_id: str) -> Key:
    return tenant.mail(contact_id, message_id)


def load(tenant: Tenant, contact_id: str, message_id: str) -> Message | None:
    """The message, read consistently."""
    return message(tenant, table.get(tenant.mail(contact_id, message_id)))


def message(tenant: Tenant, item: Item | None) -> Message | None:
    """The message that a row stands for."""
    if item is None:
        return None
    fields = {name: item[name] for name in Message.__slots__ if name in item}
    contact_id, message_id = tenant.mail_of(Key(item["PK"], item["SK"]))
    fetches = tuple(Fetch(*each) for each in item.get("fetches", ()))
    return Message(**fields | {"id": message_id, "contact_id": contact_id, "fetches": fetches})


def save(tenant: Tenant, after: Message) -> Op:
    """Write the message over the version that was read."""
    attrs: dict[str, Any] = {
        name: getattr(after, name) for name in Message.__slots__ if name not in ("id", "contact_id")
    }
    entry = tenant.mail_entry(after.campaign_id, after.id, after.created_at)
    attrs |= {
        "fetches": [list(each) for each in after.fetches] or None,
        "version": after.version + 1,
        "list_pk": entry.pk,
        "list_sk": entry.sk,
    }
    unchanged = attr("PK").not_exists() if after.version == 0 else attr("version").eq(after.version)
    return Put(tenant.mail(after.contact_id, after.id), attrs, unchanged)


def removal(tenant: Tenant, known: Message) -> Op:
    return Delete(tenant.mail(known.contact_id, known.id), attr("version").eq(known.version))


def listing(tenant: Tenant, campaign_id: str, status: str | None, limit: int, before: str | None) -> Listed[Message]:
    """A page of a campaign's messages, newest first; `before` is the position of the page before."""

    def hydrate(found: list[Entry]) -> list[Message | None]:
        items = table.batch_get([entry.key for entry in found])
        read = [message(tenant, items.get(entry.key)) for entry in found]
        return [each if each is not None and status in (None, each.status) else None for each in read]

    span = Range() if before is None else Range(FIRST, before)
    return fill(iter([Merge(tenant.mail_partitions(campaign_id), "list", span, limit + 1)]), limit, hydrate)


def of_contact(tenant: Tenant, contact_id: str) -> list[Message]:
    """All messages that were made for a contact, the oldest first, read consistently."""
    rows = walk(*tenant.mail(contact_id, ""))
    return [each for item in rows if (each := message(tenant, item)) is not None]


def suppressed_key(tenant: Tenant, address: str) -> Key:
    return tenant.suppressed(hashlib.sha256(address.encode()).hexdigest())


def suppress(tenant: Tenant, address: str, reason: Suppression, now: int) -> Op:
    """Send nothing to the address any more; a complaint weighs more than a bounce."""
    row = {"reason": reason, "at": now}
    free = attr("PK").not_exists()
    return Put(
        suppressed_key(tenant, address), row, free if reason == "bounced" else free | attr("reason").eq("bounced")
    )


def not_suppressed(tenant: Tenant, address: str) -> Op:
    """Holds where the address may get mail."""
    return Check(suppressed_key(tenant, address), attr("PK").not_exists())


def keep(tenant: Tenant, message_id: str, mail: dict[str, Any], moment: int, ttl: int) -> Op:
    """Put a mail into the mailbox of a test project."""
    packed = zlib.compress(strict_json.dumps(mail).encode())
    return Put(tenant.kept_mail(moment, message_id), {"mail": packed, "ttl": ttl})


def sample_claim(tenant: Tenant, message_id: str, ttl: int) -> Op:
    return Put(tenant.counted_event(message_id, "sample"), {"ttl": ttl}, attr("PK").not_exists())


def sample_release(tenant: Tenant, message_id: str) -> Op:
    return Delete(tenant.counted_event(message_id, "sample"))


def kept(tenant: Tenant, limit: int, after: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """A page of the mailbox, newest first, and the position of the next one."""
    high = moment_sk(10**15 - 1, "~") if after is None else after
    page = table.query(tenant.mailbox_partition(), between=(moment_sk(0, ""), high), newest_first=True, limit=limit + 2)
    rows = [item for item in page.items if item["SK"] != after][: limit + 1]
    mails = [dict(strict_json.stored(zlib.decompress(item["mail"]).decode())) for item in rows[:limit]]
    return mails, rows[limit - 1]["SK"] if len(rows) > limit else None
