"""Write what became of a mail that was claimed."""

from typing import Any

from chalicelib.features.messaging import model as messages
from chalicelib.features.messaging import service as messaging
from chalicelib.features.messaging.model import Message
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import ConditionFailed
from chalicelib.readings.compose import Composed


def record(tenant: Tenant, claimed: Message, judge: messages.Judge, now: int) -> None:
    """Write the outcome, over the message as it was claimed; somebody may have told more of it meanwhile."""
    change = judge(claimed)
    try:
        table.transact([messaging.save(tenant, change.message), *messaging.told(tenant, claimed, change, now)])
    except ConditionFailed:
        messaging.amend(tenant, claimed.contact_id, claimed.id, judge, now)


def keep(tenant: Tenant, claimed: Message, composed: Composed, shown: dict[str, Any], now: int) -> None:
    """Keep a test project's mail in its mailbox, as `shown`, and let happen what the mail service's simulator would
    do."""
    outcome = messages.simulated(composed.to)
    if outcome != "delivery":
        messaging.suppress(tenant, composed.to, "bounced" if outcome == "bounce" else "complained", now)

    def judge(known: Message) -> messages.Change:
        change = messages.accepted(known, None)
        if outcome == "bounce":
            return messages.then(change, lambda sent: messages.bounced(sent, now, "permanent"))
        change = messages.then(change, lambda sent: messages.delivered(sent, now))
        if outcome == "complaint":
            return messages.then(change, lambda sent: messages.complained(sent, now, "abuse"))
        return change

    change = judge(claimed)
    kept = messaging.keep(tenant, claimed.id, shown, now)
    table.transact([messaging.save(tenant, change.message), kept, *messaging.told(tenant, claimed, change, now)])
