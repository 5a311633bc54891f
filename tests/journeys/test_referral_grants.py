"""Referrals with what the workers' policies grant (infra/policies): the bus may read no index, and neither it nor the
jobs' worker the deployment's secret."""

from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.platform import secrets, table
from chalicelib.workers import bus, jobs
from tests.support import pipeline
from tests.support.referral_world import ReferralWorld


def _denied(*_args: Any, **_named: Any) -> Any:
    raise PermissionError


@pytest.fixture
def granted(referring: ReferralWorld, monkeypatch: pytest.MonkeyPatch) -> ReferralWorld:
    """A world whose bus and jobs are denied what their policies do not grant."""
    deliver = referring.deliver

    def with_grants(handle: pipeline.Handler, event: dict[str, Any], time_left: int = pipeline.MINUTE) -> None:
        with monkeypatch.context() as patch:
            if handle in (bus.handle, jobs.handle):
                patch.setattr(secrets, "_deployment_secret", _denied)
                secrets.derive.cache_clear()
            if handle is bus.handle:
                patch.setattr(table, "query_index", _denied)
            deliver(handle, event, time_left)

    monkeypatch.setattr(referring, "deliver", with_grants)
    return referring


def test_links_of_more_than_one_page_follow_their_program(granted: ReferralWorld) -> None:
    codes = [granted.link(granted.contact(f"u{n}")) for n in range(27)]
    path = f"/v1/referrals/programs/{granted.program}"
    granted.ok(granted.client.patch(path, {"landing_url": "https://new.test/"}))
    granted.settle()
    lead = {granted.click(each).headers["location"] for each in codes}
    assert lead == {f"https://new.test/?ref={each}" for each in codes}
    granted.ok(granted.client.delete(path))
    granted.settle()
    assert {granted.click(each).status for each in codes} == {404}


def test_who_has_come_from_an_unknown_address_converts_by_itself(granted: ReferralWorld) -> None:
    granted.come("bob", granted.link(granted.contact("alice")))
    granted.track("bob", "paid")
    assert [row["status"] for row in granted.conversions()] == ["approved"]


def test_what_events_say_of_where_they_came_from_never_makes_a_row_too_large(granted: ReferralWorld) -> None:
    code, now = granted.link(granted.contact("alice")), granted.now
    for n in range(60):
        context = {"referral_code": code, "ip": "1" * 9_000, "userAgent": f"{n}" * 4_500}
        event = {"user_id": "bob", "event": "seen", "timestamp": clock.iso(now - n * clock.MINUTE), "context": context}
        granted.receive(event, "track")
        granted.settle()
    (row,) = (each for each in granted.table.rows.values() if each["SK"].startswith("REFERRED#"))
    assert len(row["touches"]) == 50
    assert row["touch"][0] == now - 59 * clock.MINUTE
