"""Give a mail that was claimed to the mail service, when it is its turn, and write what became of it."""

from collections.abc import Callable
from typing import Any, Final

from chalicelib.core import clock
from chalicelib.features.messaging import model as messages
from chalicelib.features.messaging import service as messaging
from chalicelib.features.messaging.model import Message
from chalicelib.platform import mail, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.mail import MailRefused, MailUnknown
from chalicelib.platform.table import ConditionFailed
from chalicelib.readings import doubt
from chalicelib.readings.compose import Composed

_WAITED_FOR: Final = 1_500
"""Milliseconds for which a worker waits for the turn of a mail; what has to wait longer is queued again."""

_TURN_LASTS: Final = 5 * clock.SECOND
_DELAY_MAX_S: Final = 900


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


def hand_over(tenant: Tenant, claimed: Message, composed: Composed, now: int) -> bool:
    """Give a mail that was claimed to the mail service, once, and record what it says; a test project's is kept.

    False where it was surely not sent, for the time being: the claim is to be taken back.
    """
    if tenant.is_test:
        campaign_id, step_index = (claimed.campaign_id, claimed.step_index) if claimed.is_of_campaign else (None, None)
        shown = composed.kept(claimed.id, claimed.contact_id, campaign_id, step_index, now)
        keep(tenant, claimed, composed, shown, now)
        return True
    try:
        provider_id = mail.send(composed.raw, composed.sender, composed.to, composed.ref)
    except MailRefused as refused:
        reason = refused.reason
        if refused.is_lasting:
            record(tenant, claimed, lambda known: messages.refused(known, now, reason), now)
        return refused.is_lasting
    except MailUnknown:
        doubt.note(tenant, claimed, now)
        return True
    record(tenant, claimed, lambda known: messages.accepted(known, provider_id), now)
    return True


def has_turn(tenant: Tenant, turn: int | None, queue: Callable[[int, int], None]) -> bool:
    """True where it is a mail's turn in the account's rate, which is waited for if it comes in a moment.

    `turn` is the real moment (ms) at which it was given its turn, None where none was. Otherwise `queue` is called with
    the moment of its turn and the seconds until then, or as many as a queue can wait.
    """
    moment = clock.system_ms()
    if tenant.is_test or (turn is not None and 0 <= moment - turn < _TURN_LASTS):
        return True
    turn = mail.take_turn()
    wait = turn - moment
    if wait > _WAITED_FOR:
        queue(turn, min(-(-wait // clock.SECOND), _DELAY_MAX_S))
        return False
    clock.sleep(max(wait, 0) / clock.SECOND)
    return True
