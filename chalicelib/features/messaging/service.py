"""Public verbs of the messaging feature."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress as passing
from typing import Any

from chalicelib.core import clock, events, ids
from chalicelib.core.errors import Unavailable
from chalicelib.features.messaging import store
from chalicelib.features.messaging.model import Change, Judge, Message, Suppression
from chalicelib.platform import cursor, outbox, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.listing import Listed
from chalicelib.platform.table import ConditionFailed, Op

_ATTEMPTS = 20
_MAILBOX = "test_mailbox"
_KEPT = 90 * clock.DAY
"""Real milliseconds for which the mailbox of a test project keeps a mail."""

key = store.key
load = store.load
read = store.message
save = store.save
of_contact = store.of_contact
suppressed_key = store.suppressed_key
not_suppressed = store.not_suppressed


def amend(
    tenant: Tenant,
    contact_id: str,
    message_id: str,
    judge: Judge,
    now: int,
    *,
    of: str | None = None,
    beside: Callable[[Message], Sequence[Op]] = lambda _: (),
) -> Message | None:
    """The message as `judge` says that it is now, written with the events that tell of it; None where it is gone.

    It is judged again where somebody else was faster. `of` is the contact that the events name, the message's own
    without it. `beside` gives what belongs into the same transaction. Raises Unavailable.
    """
    for _ in range(_ATTEMPTS):
        before = store.load(tenant, contact_id, message_id)
        if before is None:
            return None
        change = judge(before)
        if change.message == before:
            return before
        try:
            table.transact(
                [store.save(tenant, change.message), *told(tenant, before, change, now, of), *beside(change.message)]
            )
        except ConditionFailed:
            continue
        return change.message
    raise Unavailable


def told(tenant: Tenant, before: Message | None, change: Change, now: int, of: str | None = None) -> list[Op]:
    """The events that tell what became of a message of a campaign; `of` as in `amend`.

    `was` in them says as what it was counted until then and is not any more.
    """
    after = change.message
    if not after.is_of_campaign:
        return []
    was = before.status if before is not None and before.status in ("unconfirmed", "failed") else None
    data = {
        "message_id": after.id,
        "contact_id": of or after.contact_id,
        "campaign_id": after.campaign_id,
        "run_id": after.run_id,
        "step_id": after.step_id,
        "step_index": after.step_index,
        "reason": after.reason,
    }
    # Of two that are told at once the first takes back what the message was counted as.
    taking_back = next((name for name in change.told if name in (events.MAIL_SENT, events.MAIL_FAILED)), None)
    return [
        outbox.emit(tenant, name, data | ({"was": was} if name == taking_back else {}), now) for name in change.told
    ]


def removal(tenant: Tenant, message: Message) -> Op:
    """The operation that removes a message that was surely not sent, over the version that was read."""
    return store.removal(tenant, message)


def suppress(tenant: Tenant, address: str, reason: Suppression, now: int) -> None:
    """Send nothing to the address any more. May be repeated."""
    with passing(ConditionFailed):
        table.write(store.suppress(tenant, address, reason, now))


def suppressions(tenant: Tenant, addresses: Sequence[str]) -> dict[str, Suppression]:
    """Why these addresses get no mail, those that do left out."""
    keys = {store.suppressed_key(tenant, address): address for address in addresses}
    return {keys[key]: item["reason"] for key, item in table.batch_get(keys).items()}


def last_and_suppression(
    tenant: Tenant, contact_id: str, message_id: str | None, address: str | None
) -> tuple[Message | None, Suppression | None]:
    """A message of the contact, and why an address gets no mail; one read."""
    own = None if message_id is None else store.key(tenant, contact_id, message_id)
    row = None if address is None else store.suppressed_key(tenant, address)
    rows = table.batch_get([each for each in (own, row) if each is not None])
    reason = None if row is None or row not in rows else rows[row]["reason"]
    return store.message(tenant, None if own is None else rows.get(own)), reason


def listing(
    tenant: Tenant, endpoint: str, campaign_id: str, status: str | None, limit: int, after: str | None
) -> tuple[list[Message], str | None]:
    """A page of a campaign's messages, newest first, and the cursor of the next one, bound to `endpoint`.

    Raises BadRequest where `after` is no cursor of this list.
    """
    filters: Mapping[str, str | int | None] = {"campaign": campaign_id, "status": status}
    before = None if after is None else cursor.decode(after, tenant, endpoint, filters)
    page: Listed[Message] = store.listing(tenant, campaign_id, status, limit, before)
    return page.rows, cursor.encode(tenant, endpoint, filters, page.position) if page.position else None


def keep(tenant: Tenant, message_id: str, mail: dict[str, Any], now: int) -> Op:
    """The operation that puts a mail into the mailbox of a test project; `now` orders it there."""
    return store.keep(tenant, message_id, mail, now, (clock.system_ms() + _KEPT) // clock.SECOND)


def mailbox(tenant: Tenant, limit: int, after: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """A page of the mails that a test project has sent, newest first, and the cursor of the next one."""
    position = None if after is None else cursor.decode(after, tenant, _MAILBOX, {})
    mails, following = store.kept(tenant, limit, position)
    return mails, None if following is None else cursor.encode(tenant, _MAILBOX, {}, following)


def sample_claim(tenant: Tenant, message_id: str) -> Op:
    """Holds once for each sample."""
    return store.sample_claim(tenant, message_id, (clock.system_ms() + _KEPT) // clock.SECOND)


def sample_release(tenant: Tenant, message_id: str) -> Op:
    """Takes a claim back, of a sample that was surely not sent."""
    return store.sample_release(tenant, message_id)


def new_id() -> str:
    """The id of a new message."""
    return ids.new_id("msg")
