"""Record what a referred contact did: once for each contact and program.

What: one transaction writes the conversion, marks the attribution as converted, and gives the rewards that are due, or
holds the conversion for review where too much speaks against it. Order: refusals first, so that nothing is written for
what can't count. May be repeated: the attribution names the conversion that came of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from chalicelib.core import strict_json
from chalicelib.core.errors import ValidationFailed, detail
from chalicelib.features.activity import service as activity
from chalicelib.features.contacts.model import Contact
from chalicelib.features.projects import service as projects
from chalicelib.features.referrals import fraud, ledger
from chalicelib.features.referrals import service as referrals
from chalicelib.features.referrals.fraud import NOWHERE, Evidence, Source
from chalicelib.features.referrals.ledger import Change
from chalicelib.features.referrals.model import Attribution, Conversion, Link, Passed, Program, Reason, Standing
from chalicelib.flows.referrals import people, settle
from chalicelib.platform import table
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.retries import retried
from chalicelib.platform.table import Item, Op
from chalicelib.readings.known import known

REFUSALS = {
    "self_referral": "A contact can't refer itself.",
    "program_paused": "The program is paused.",
    "window_over": "The program's conversion window is over.",
    "cap_reached": "The referrer has reached the program's max_referrals_per_contact.",
    "already_referred": "The contact was referred by somebody else.",
    "contact_gone": "The referrer is not there any more.",
}


class Refused(Exception):
    """A conversion that can't count; `reason` is one of REFUSALS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def told(self) -> ValidationFailed:
        """The same as the caller is told it."""
        message = REFUSALS[self.reason]
        return ValidationFailed(message, details=[detail("referred_contact_id", self.reason, message)])


@dataclass(frozen=True, slots=True)
class Done:
    """What the referred contact did, `at` in ms; `source` counts where its attribution has no address."""

    event: str | None
    at: int
    source: Source = NOWHERE
    metadata: str | None = None


@dataclass(frozen=True, slots=True)
class Drafted:
    """A conversion that is to be written, and the operations that do so."""

    conversion: Conversion
    ops: list[Op]


@dataclass(frozen=True, slots=True)
class _Read:
    referrer: Contact
    referred: Contact
    standing: Standing
    link: Link | None
    sources: Mapping[str, Key]
    items: Mapping[Key, Item]


def on_activity(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Convert attributed contacts by what they do, on the bus."""
    catalog = referrals.catalog(tenant)
    for event in told:
        name = str(event.data["event"])
        for program in catalog.converting(name):
            contact = people.active(tenant, str(event.data["contact_id"]))
            if contact is None:
                continue
            key = referrals.attribution_key(tenant, contact.id, program.id)
            found = referrals.attribution(key, table.get(key))
            if found is not None:
                source = fraud.came_from(strict_json.stored(event.data.get("context") or "{}"))
                _by_itself(tenant, program, found, Done(name, int(event.data["timestamp"]), source))


def look_back(tenant: Tenant, program: Program, attribution: Attribution) -> None:
    """Convert an attributed contact by what it did since it was attributed, before that was known."""
    name = program.conversion_event
    contact = people.active(tenant, attribution.contact_id)
    if name is None or attribution.conversion_id is not None or contact is None:
        return
    since, until = attribution.judged_from, attribution.touch.at + program.window + 1
    if since >= until:
        return
    pages = activity.history(tenant, contact.lineage, name, since=since, until=until)
    first = min((event for page in pages for event in page), key=lambda each: (each.timestamp, each.id), default=None)
    if first is not None:
        _by_itself(tenant, program, attribution, Done(name, first.timestamp, fraud.came_from(first.context)))


def _by_itself(tenant: Tenant, program: Program, attribution: Attribution, done: Done) -> None:
    def act() -> None:
        key = referrals.attribution_key(tenant, attribution.contact_id, program.id)
        stands = referrals.attribution(key, table.get(key))
        if stands is None or stands.conversion_id is not None or done.at < stands.judged_from:
            return
        now = projects.now(tenant)
        try:
            ops = draft(tenant, program, stands, done, now, by_itself=True).ops
        except Refused as refused:
            ops = _noted(tenant, stands, done, refused.reason, now)
        table.transact(ops)

    retried(act)


def _noted(tenant: Tenant, attribution: Attribution, done: Done, reason: str, now: int) -> list[Op]:
    """Remember what was refused, so that it is not judged again, and why, once for each reason in a row."""
    before = attribution.passed
    refusals = {**attribution.refusals, attribution.touch.name: Passed(done.at, reason)}
    ops: list[Op] = [referrals.save_attribution(tenant, replace(attribution, refusals=refusals))]
    if before is not None and before.reason == reason:
        return ops
    note = replace(_conversion(attribution, done, now), status="refused", reasons=(Reason(reason, 100),))
    return [*ops, *referrals.save_conversion(tenant, note)]


def _conversion(attribution: Attribution, done: Done, now: int) -> Conversion:
    return Conversion(
        id=referrals.new_conversion_id(),
        program_id=attribution.program_id,
        link_id=attribution.touch.link_id,
        referrer_id=attribution.touch.referrer_id,
        referred_id=attribution.contact_id,
        event=done.event,
        attributed_at=attribution.touch.at,
        converted_at=done.at,
        created_at=now,
        status="review",
        metadata=done.metadata,
    )


def draft(
    tenant: Tenant, program: Program, attribution: Attribution, done: Done, now: int, *, by_itself: bool
) -> Drafted:
    """The conversion that this makes, and what writes it over the attribution that was read. Raises Refused."""
    read = _read(tenant, program, attribution, done)
    _refuse(program, attribution, read, done.at)
    evidence = Evidence(
        referrer=people.seen(tenant, read.referrer),
        referred=people.seen(tenant, read.referred),
        earlier=referrals.earlier(read.sources, read.items, done.at),
        per_source=program.limits.conversions_per_ip,
        took=done.at - read.referred.created_at if by_itself else None,
        has_bounced=people.first_mail_bounced(tenant, read.referred),
    )
    conversion = replace(
        _conversion(attribution, done, now),
        referrer_id=read.referrer.id,
        referred_id=read.referred.id,
        reasons=fraud.reasons(evidence),
    )
    is_held = conversion.score >= program.limits.review_score
    change = (
        Change(None, (), conversion)
        if is_held
        else ledger.granted(program, conversion, read.standing, now, referrals.new_reward_id)
    )
    after = replace(attribution, conversion_id=conversion.id)
    ops = [
        *people.still_active(tenant, read.referred, read.referrer),
        referrals.save_attribution(tenant, after),
        *referrals.noted(tenant, read.sources, read.items, done.at),
        *settle.ops(tenant, program.id, change, read.link, now),
    ]
    return Drafted(change.conversion or conversion, ops)


def check(tenant: Tenant, program: Program, attribution: Attribution, done: Done) -> None:
    """Raises Refused where a conversion by that attribution can't count."""
    _refuse(program, attribution, _read(tenant, program, attribution, done), done.at)


def _read(tenant: Tenant, program: Program, attribution: Attribution, done: Done) -> _Read:
    referrer = people.active(tenant, attribution.touch.referrer_id)
    referred = people.active(tenant, attribution.contact_id)
    if referrer is None or referred is None:
        raise Refused("contact_gone")
    touch = attribution.touch
    source = done.source if touch.ip is None else Source(touch.ip, touch.agent)
    sources = referrals.source_keys(tenant, referrer.id, program.id, *source)
    standing = referrals.standing_key(tenant, referrer.id, program.id)
    items = table.batch_get([standing, *sources.values()])
    return _Read(
        referrer,
        referred,
        referrals.standing(standing, items.get(standing)) or Standing(program.id, referrer.id, done.at),
        referrals.link(tenant, touch.link_id),
        sources,
        items,
    )


def _refuse(program: Program, attribution: Attribution, read: _Read, at: int) -> None:
    cap = program.limits.max_referrals_per_contact
    if read.referrer.id == read.referred.id or fraud.is_self(known(read.referrer), known(read.referred)):
        raise Refused("self_referral")
    if program.status == "paused":
        raise Refused("program_paused")
    if at > attribution.touch.at + program.window:
        raise Refused("window_over")
    if cap is not None and read.standing.conversions >= cap:
        raise Refused("cap_reached")
