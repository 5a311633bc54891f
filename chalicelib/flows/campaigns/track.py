"""What readers do with a mail: open it, follow a link, and ask for no more.

A click is judged once it is certain whether a machine made it: the fetch is noted at once, and a job looks at all
fetches of the mail when the time in which a machine would have made others is over. May be repeated.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from chalicelib.core import clock, ids
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.service import Received
from chalicelib.features.messaging import model as messages
from chalicelib.features.messaging import service as messaging
from chalicelib.features.messaging.model import SCAN_WITHIN, Change, Fetch, Message
from chalicelib.features.projects import service as projects
from chalicelib.platform import jobs, table
from chalicelib.platform.jobs import HasTime, Later
from chalicelib.platform.keys import Tenant
from chalicelib.platform.mail_tokens import Token
from chalicelib.platform.table import ConditionFailed

KIND: Final = "judge_click"
"""The kind of the job."""

_JUDGED_AFTER_S = 3
"""Seconds, whole ones: a click is judged when SCAN_WITHIN is surely over."""


def opened(token: Token) -> None:
    """The mail's picture was shown."""
    _note(token, "opened", messages.opened)


def fetched(token: Token) -> None:
    """A link of the mail was asked for."""
    fetch = Fetch(token.link or 0, clock.system_ms())
    known = messaging.amend(
        token.tenant,
        token.contact_id,
        token.message_id,
        lambda before: Change(messages.fetched(before, fetch), ()),
        fetch.moment,
    )
    if known is not None and known.clicked_at is None:
        data = {"contact_id": token.contact_id, "message_id": token.message_id, "fetch": list(fetch)}
        jobs.send(token.tenant, KIND, data, delay_s=_JUDGED_AFTER_S)


def run(tenant: Tenant, data: Mapping[str, Any], _has_time: HasTime) -> Mapping[str, Any] | Later | None:
    """Count the click, unless a machine made it."""
    fetch = Fetch(*data["fetch"])
    if clock.system_ms() <= fetch.moment + SCAN_WITHIN:
        return Later(data, 1)
    message = messaging.load(tenant, str(data["contact_id"]), str(data["message_id"]))
    if message is not None and not messages.is_scan(message.fetches, message.links, fetch):
        token = Token("click", tenant, message.contact_id, message.id, fetch.link, message.links, None)
        _note(token, "clicked", messages.clicked)
    return None


def unsubscribe(token: Token) -> None:
    """Whoever got the mail wants no more; nothing happens where the contact is gone."""
    heir = contacts.heir(token.tenant, token.contact_id)
    if heir is None or heir.status != "active":
        return
    now = projects.now(token.tenant)
    if heir.unsubscribed_at is None:
        received = Received(now, ids.new_id("req"))
        contacts.update(token.tenant, heir.id, contacts.Change(unsubscribed=True), received)
    messaging.amend(
        token.tenant,
        token.contact_id,
        token.message_id,
        lambda before: messages.unsubscribed(before, now),
        now,
        of=heir.id,
    )


def _note(token: Token, happened: str, judge: Callable[[Message, int], Change]) -> None:
    """Note what the contact has done, for rules, and then of the message, which tells of it."""
    tenant = token.tenant
    message = messaging.load(tenant, token.contact_id, token.message_id)
    heir = contacts.heir(tenant, token.contact_id)
    if message is None or heir is None or heir.status != "active":
        return
    now = projects.now(tenant)
    with suppress(ConditionFailed):  # its runs went with a purge
        table.write(campaigns.note_happened(tenant, heir.id, message.campaign_id, happened))
    messaging.amend(tenant, token.contact_id, token.message_id, lambda known: judge(known, now), now, of=heir.id)
