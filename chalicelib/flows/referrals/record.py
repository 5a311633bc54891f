"""Record a conversion that the caller knows of. May be repeated: the same pair again is the first one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.core import strict_json
from chalicelib.core.errors import ValidationFailed, detail
from chalicelib.features.activity import service as activity
from chalicelib.features.codes import service as codes
from chalicelib.features.contacts.model import Contact
from chalicelib.features.referrals import service as referrals
from chalicelib.features.referrals.fraud import NOWHERE, Source, came_from
from chalicelib.features.referrals.model import Attribution, Conversion, Program, Touch
from chalicelib.flows.referrals import attribute, convert, people
from chalicelib.flows.referrals.convert import Done, Refused
from chalicelib.platform import table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.platform.retries import retried

if TYPE_CHECKING:
    from chalicelib.features.referrals.schemas import NewConversion


@dataclass(frozen=True, slots=True)
class _Asked:
    program: Program
    owner: Contact
    referred: Contact
    wanted: Touch
    done: Done


def run(tenant: Tenant, body: "NewConversion", now: int, receipt: Receipt) -> tuple[Conversion, bool]:
    """The conversion, and whether it is new.

    Raises ValidationFailed for what is not there, and with the reason where it can't count.
    """
    asked = _asked(tenant, body, now)
    try:
        return retried(lambda: _act(tenant, asked, now, receipt))
    except Refused as refused:
        raise refused.told() from None


def _act(tenant: Tenant, asked: _Asked, now: int, receipt: Receipt) -> tuple[Conversion, bool]:
    from chalicelib.flows.referrals.answers import shown_conversion
    from chalicelib.flows.referrals.read import show_conversions

    key = referrals.attribution_key(tenant, asked.referred.id, asked.program.id)
    stands = referrals.attribution(key, table.get(key))
    if stands is None or stands.conversion_id is None:
        # Somebody else may have recorded it since.
        stands = _attributed(tenant, asked, stands, now)
    if stands.conversion_id is not None:
        known = _before(tenant, asked, stands.conversion_id)
        (shown,) = show_conversions(tenant, [known])
        receipt.commit([], 200, shown.model_dump(mode="json"))
        return known, False
    drafted = convert.draft(tenant, asked.program, stands, asked.done, now, by_itself=False)
    made = drafted.conversion
    answer = shown_conversion(made, asked.wanted.code, made.referrer_id, made.referred_id, asked.referred.email)
    receipt.commit(drafted.ops, 201, answer.model_dump(mode="json"))
    return made, True


def _before(tenant: Tenant, asked: _Asked, conversion_id: str) -> Conversion:
    """The conversion that the contact did already; only the same pair is answered with it."""
    found = referrals.conversion(tenant, conversion_id)
    referrer = people.active(tenant, found.referrer_id)
    if referrer is None or referrer.id != asked.owner.id:
        raise Refused("already_referred")
    return found


def _attributed(tenant: Tenant, asked: _Asked, stands: Attribution | None, now: int) -> Attribution:
    """The contact's attribution to the owner of the link, made now where there is none, or none any more."""
    if stands is not None and now <= stands.touch.at + asked.program.window:
        return _if_by_owner(tenant, asked, stands)
    if stands is not None and stands.touch.link_id == asked.wanted.link_id:
        raise Refused("window_over")
    wanted = Attribution(asked.program.id, asked.referred.id, asked.wanted, (asked.wanted,))
    convert.check(tenant, asked.program, wanted, asked.done)
    made = attribute.run(tenant, asked.program, asked.referred.id, asked.wanted)
    if made is None:
        raise Refused("contact_gone")
    return _if_by_owner(tenant, asked, made)


def _if_by_owner(tenant: Tenant, asked: _Asked, stands: Attribution) -> Attribution:
    """The attribution, where it is to the owner of the link, or to somebody who is gone. Raises Refused."""
    by = stands.touch.referrer_id
    referrer = asked.owner if by == asked.owner.id else people.active(tenant, by)
    if referrer is not None and referrer.id != asked.owner.id:
        raise Refused("already_referred")
    return stands


def _asked(tenant: Tenant, body: "NewConversion", now: int) -> _Asked:
    found = codes.find(body.link_code)
    code = found[1] if found is not None and found[0] == tenant and found[1].kind == "link" else None
    program = None if code is None else referrals.find(tenant, code.parent_id)
    owner = None if code is None else people.active(tenant, code.contact_id)
    referred = people.active(tenant, body.referred_contact_id)
    if code is None or program is None or owner is None or referred is None:
        there = {"link_code": code and program and owner, "referred_contact_id": referred}
        faults = [detail(name, "not_found", "There is no such one.") for name, each in there.items() if not each]
        raise ValidationFailed("The conversion can't be recorded.", details=faults)
    wanted = Touch(now, code.item_id, code.code, owner.id)
    done = Done(
        body.conversion_event or program.conversion_event,
        now,
        _source(tenant, referred),
        strict_json.dumps(body.metadata) if body.metadata else None,
    )
    return _Asked(program, owner, referred, wanted, done)


def _source(tenant: Tenant, referred: Contact) -> Source:
    """Where the latest of the contact's events came from."""
    latest = activity.recent(tenant, referred.lineage, 1)
    return came_from(latest[0].context) if latest else NOWHERE
