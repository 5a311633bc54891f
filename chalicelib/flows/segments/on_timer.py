"""Judge the segments of one contact whose moment has come.

What: those that time alone lets it enter or leave now. The contact's one timer then stands at the next such moment, in
the transaction that notes the change. May be repeated, and may be late: it judges by `now`.
"""

from chalicelib.features.segments import service as segments
from chalicelib.features.segments.model import Occasion
from chalicelib.features.timers import service as timers
from chalicelib.features.timers.service import Timer
from chalicelib.flows.segments import settle
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant, contact_of


def run(tenant: Tenant, owner_pk: str, timer: Timer, now: int) -> None:
    """Judge what falls due for the contact whose partition that is."""
    contact_id = contact_of(owner_pk) or ""
    key = segments.memberships_key(tenant, contact_id)
    before = segments.memberships(table.batch_get([key]).get(key))
    after = settle.run(tenant, contact_id, dict.fromkeys(before.due(now), Occasion("window")), segments.catalog(tenant))
    if after is None or after.next_flip() is None:
        # What the timer was set for may be gone without it, and nothing that is left needs one.
        timers.drop(tenant, owner_pk, timer)
