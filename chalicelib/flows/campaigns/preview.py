"""Who would get a broadcast now, and who not and why. Judged as the sends are; reads only."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from chalicelib.core.errors import ValidationFailed, detail
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.decision import obstacle
from chalicelib.features.campaigns.model import Campaign, SkipReason
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.messaging import service as messaging
from chalicelib.features.segments import service as segments
from chalicelib.flows.campaigns import references
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.readings import eligibility

_AT_ONCE = 100
_SAMPLES = 10


@dataclass(slots=True)
class Preview:
    """`samples` are the first ten who would get it, as (contact id, address)."""

    recipients: int = 0
    excluded: Counter[SkipReason] = field(default_factory=Counter)
    samples: list[tuple[str, str]] = field(default_factory=list)


def run(tenant: Tenant, campaign_id: str, now: int) -> Preview:
    """The preview at `now` (ms); who has got it, or is to get it already, is left out, and nobody gets one that has
    ended. Raises NotFound, and ValidationFailed for a lifecycle campaign and for segments that do not exist."""
    campaign = campaigns.get(tenant, campaign_id)
    if campaign.type != "broadcast":
        message = "Only a broadcast has a preview. Simulate a lifecycle campaign."
        raise ValidationFailed(message, details=[detail("id", "unfit", message)])
    if campaign.status in ("completed", "archived"):
        return Preview()
    references.check_segments(tenant, campaign)
    rules = campaigns.catalog(tenant).compiled(campaign.id).conditions.get(campaign.steps[0].id)
    seen = Preview()
    for contact, suppressed in audience(tenant, campaign, now):
        reason = obstacle(eligibility.person(contact, suppressed), now)
        if reason is None and rules is not None and not eligibility.holds(tenant, contact, {"": rules}, now, {})[""]:
            reason = "condition"
        if reason is not None:
            seen.excluded[reason] += 1
            continue
        seen.recipients += 1
        if len(seen.samples) < _SAMPLES:
            seen.samples.append((contact.id, contact.email or ""))
    return seen


def audience(tenant: Tenant, campaign: Campaign, now: int) -> Iterator[tuple[Contact, SkipReason | None]]:
    """The members of the broadcast's segment without a run in it, newest first, and why an address gets nothing."""
    position = None
    while True:
        found, position = segments.members_page(
            tenant, campaign.segment_id or "", _AT_ONCE, position=position, entered_by=now
        )
        keys = {each: contacts.key(tenant, each) for each in found}
        own = {each: campaigns.run_key(tenant, each, campaign.id) for each in found}
        rows = table.batch_get([*keys.values(), *own.values()])
        people = [contacts.read(rows.get(key)) for each, key in keys.items() if own[each] not in rows]
        active = [each for each in people if each is not None and each.status == "active"]
        yield from with_suppressions(tenant, active)
        if position is None:
            return


def with_suppressions(tenant: Tenant, people: list[Contact]) -> Iterator[tuple[Contact, SkipReason | None]]:
    """Each contact with why its address gets nothing; one read for each hundred."""
    known: Mapping[str, SkipReason] = messaging.suppressions(tenant, [each.email for each in people if each.email])
    yield from ((each, known.get(each.email or "")) for each in people)
