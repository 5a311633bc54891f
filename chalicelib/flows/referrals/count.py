"""Keep the figures of programs and links, on the bus: each event is counted once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from chalicelib.core import events
from chalicelib.features.referrals import ledger
from chalicelib.features.referrals import service as referrals
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Count what these events tell of."""
    of_programs: dict[str, dict[str, Mapping[str, int]]] = defaultdict(dict)
    of_links: dict[str, dict[str, int]] = defaultdict(dict)
    for event in told:
        if "program_id" not in event.data:
            continue
        figures = {
            events.REFERRAL_LINK_CREATED: {ledger.LINKS: 1},
            events.REFERRAL_LINK_CLICKED: {ledger.CLICKS: 1},
        }.get(event.name) or event.data["figures"]
        of_programs[event.data["program_id"]][event.id] = figures
        if event.name == events.REFERRAL_LINK_CLICKED:
            of_links[event.data["link_id"]][event.id] = 1
    for program_id, changes in of_programs.items():
        referrals.tally(tenant, program_id, changes)
    for link_id, clicks in of_links.items():
        referrals.count_clicks(tenant, link_id, clicks)
