"""A hundred entries that become one person's, on their way out."""

from typing import Any

import pytest

from chalicelib.core import clock, ids
from chalicelib.features.contacts.service import Received
from chalicelib.flows import merge_contacts
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import referral_code
from tests.support.wait_world import WaitWorld


def merge(world: WaitWorld, target: str, source: str) -> None:
    received = Received(clock.system_ms(), ids.new_id("req"))
    merge_contacts.run(world.tenant, target, source, "prefer_target", received, Receipt(world.tenant, world.now))


@pytest.mark.parametrize("end", ["leave", "delete contact", "delete waitlist"])
@pytest.mark.parametrize("chain", [False, True])
def test_100_who_become_one_person_may_go(live_wait: WaitWorld, end: str, *, chain: bool) -> None:
    """Their codes are more than one transaction can change."""
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 100)
    one = made[0]
    for each in made[1:]:
        merge(
            live_wait, *([each["contact_id"], one["contact_id"]] if chain else [one["contact_id"], each["contact_id"]])
        )
        live_wait.settle()
        one = each if chain else one
    live_wait.add(waitlist, "new@x.io", referral_code=made[99]["referral_code"])
    live_wait.settle()
    assert [row["referral_count"] for row in live_wait.entries(waitlist)] == [1, 0]
    assert {row["contact_id"] for row in codes_of(live_wait, made)} == {one["contact_id"]}
    path = {
        "leave": f"/v1/waitlists/{waitlist}/entries/{made[0]['id']}",
        "delete contact": f"/v1/contacts/{one['contact_id']}",
        "delete waitlist": f"/v1/waitlists/{waitlist}",
    }[end]
    live_wait.ok(live_wait.client.delete(path))
    live_wait.settle()
    assert codes_of(live_wait, made) == []
    assert end == "delete waitlist" or live_wait.emails(waitlist) == ["new"]


def codes_of(world: WaitWorld, made: list[Any]) -> list[Any]:
    """The rows of these entries' codes that are there."""
    rows = [world.table.rows.get(referral_code(each["referral_code"])) for each in made]
    return [row for row in rows if row is not None]
