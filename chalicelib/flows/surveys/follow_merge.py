"""Move the sends and responses of a contact that was merged to the one that has absorbed it.

What: what was sent to both is counted together, and of two sends of one survey that both wait the earlier stays. Each
row moves in one transaction that removes it where it was. It is done on the bus when a merge is told, and before
anything is decided of a contact that still absorbs others. May be repeated.
"""

from collections.abc import Sequence
from dataclasses import replace

from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.projects import service as projects
from chalicelib.features.surveys import service as surveys
from chalicelib.features.surveys.model import Mail, Response, Send, Surveyed, is_after
from chalicelib.flows.surveys import leave, timing
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.table import Check, Op, attr


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Move what those were sent who were merged, on the bus."""
    for event in told:
        _move_all(tenant, str(event.data["source_contact_id"]))


def absorb(tenant: Tenant, contact: Contact) -> bool:
    """Move what all were sent whom the contact still absorbs; True where there was something to move."""
    has_moved = False
    for source in contact.absorbing:
        if source.anonymous_id is None:
            has_moved |= _move_all(tenant, source.contact_id)
    return has_moved


def _move_all(tenant: Tenant, source_id: str) -> bool:
    surveyed = _surveyed(tenant, source_id)
    sends, responses = surveys.sends_of(tenant, source_id), surveys.responses_of(tenant, source_id)
    if not surveyed.version and not sends and not responses:
        return False
    heir = contacts.heir(tenant, source_id)
    if heir is None or heir.id == source_id:
        return False
    if heir.status != "active":
        # Whoever it is part of was deleted: what it was sent stays where it is until that is purged.
        leave.withdraw(tenant, source_id)
        return False
    for each in sends:
        surveys.retried(lambda each=each: _move_send(tenant, each, heir.id))  # type: ignore[misc]
    for answered in responses:
        surveys.retried(lambda answered=answered: _move_response(tenant, answered, heir.id))  # type: ignore[misc]
    surveys.retried(lambda: _move_surveyed(tenant, source_id, heir.id))
    return True


def _surveyed(tenant: Tenant, contact_id: str) -> Surveyed:
    return surveys.surveyed(contact_id, table.get(surveys.surveyed_key(tenant, contact_id)))


def _still(tenant: Tenant, heir_id: str) -> Op:
    """Holds as long as whoever takes it over is there."""
    return Check(contacts.key(tenant, heir_id), attr("status").eq("active"))


def _move_send(tenant: Tenant, known: Send, heir_id: str) -> None:
    before = surveys.send(tenant, table.get(surveys.send_key(tenant, known.contact_id, known.survey_id, known.id)))
    if before is None:
        return
    own, now = _surveyed(tenant, heir_id), projects.now(tenant)
    after = replace(before, contact_id=heir_id, version=0)
    ops: list[Op] = [_still(tenant, heir_id), surveys.remove_send(tenant, before), *timing.stop_ops(tenant, before)]
    if before.state == "waiting":
        after, more = _settled(tenant, own, after)
        ops += more
    if after.due_at is not None:
        mail: Mail = "ask" if after.state == "waiting" else "reminder"
        ops += timing.follow_ops(tenant, after, mail, now)
    table.transact([*ops, surveys.save_send(tenant, after)])


def _settled(tenant: Tenant, own: Surveyed, theirs: Send) -> tuple[Send, list[Op]]:
    """A send that waits, as it is beside the one that waits for the heir, and what else is to be written."""
    waiting_id = own.waiting.get(theirs.survey_id)
    key = surveys.send_key(tenant, own.contact_id, theirs.survey_id, waiting_id or "")
    # One that somebody else has moved since it was read is no other one: this is refused then.
    ours = None if waiting_id in (None, theirs.id) else surveys.send(tenant, table.get(key))
    if ours is None or ours.state != "waiting":
        return theirs, [surveys.save_surveyed(tenant, own.waits(theirs.survey_id, theirs.id))]
    if is_after(theirs, ours):
        return theirs.skipped("merged"), [Check(key, attr("version").eq(ours.version))]
    return theirs, [
        *timing.stop_ops(tenant, ours),
        surveys.save_send(tenant, ours.skipped("merged")),
        surveys.save_surveyed(tenant, own.waits(theirs.survey_id, theirs.id)),
    ]


def _move_response(tenant: Tenant, known: Response, heir_id: str) -> None:
    key = surveys.response_key(tenant, known.contact_id, known.survey_id, known.send_id)
    before = surveys.response(tenant, table.get(key))
    if before is not None:
        after = replace(before, contact_id=heir_id, version=0)
        ops = [_still(tenant, heir_id), surveys.remove_response(tenant, before), surveys.save_response(tenant, after)]
        table.transact(ops)


def _move_surveyed(tenant: Tenant, source_id: str, heir_id: str) -> None:
    theirs, own = _surveyed(tenant, source_id), _surveyed(tenant, heir_id)
    if theirs.version:
        ops = [surveys.remove_surveyed(tenant, theirs), surveys.save_surveyed(tenant, own.joined(theirs))]
        table.transact([_still(tenant, heir_id), *ops])
