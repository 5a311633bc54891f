"""Referrals from the link to the reward, on the clock of a test project."""

from typing import Any

import pytest

from chalicelib.core import clock
from tests.support.client import Client
from tests.support.referral_world import AGENT, PROGRAM, ReferralWorld

PEOPLE = {"User-Agent": AGENT}


def lines(rows: list[dict[str, Any]]) -> list[tuple[str, str, Any, str]]:
    return [(row["kind"], row["contact_id"], row["amount"], row["status"]) for row in rows]


def test_who_comes_by_a_link_and_pays_gives_both_their_rewards(referring: ReferralWorld) -> None:
    alice = referring.contact("alice", name="Alice Chen", company="Acme Inc")
    code = referring.link(alice)
    assert code.startswith("ALICE-ACME-")
    referring.come("bob", code)
    referring.track("bob", "paid")
    bob = referring.id_of("bob")
    (made,) = referring.conversions()
    assert (made["status"], made["referrer_contact_id"], made["referred_contact_id"]) == ("approved", alice, bob)
    assert (made["conversion_event"], made["link_code"]) == ("paid", code)
    assert lines(referring.rewards()) == [("referrer", alice, 20, "issued"), ("referee", bob, 15, "issued")]
    assert referring.stats() == {
        "total_links": 1,
        "total_clicks": 0,
        "total_referrals": 1,
        "total_conversions": 1,
        "total_rewards_issued": 2,
        "total_reward_amount": 35,
    }
    assert referring.get(f"/v1/contacts/{alice}")["referral_stats"] == {"referrals_made": 1, "conversions": 1}
    assert referring.get(f"/v1/referrals/links/{code}")["conversions"] == 1
    assert referring.all(f"/v1/referrals/links/{code}/conversions") == [made]


def test_the_same_event_may_bring_the_code_and_be_the_conversion(referring: ReferralWorld) -> None:
    code = referring.link(referring.contact("alice"))
    referring.track("bob", "paid", referral_code=code)
    assert [row["status"] for row in referring.conversions()] == ["approved"]


def test_a_contact_converts_once_in_a_program(referring: ReferralWorld) -> None:
    code = referring.link(referring.contact("alice"))
    referring.come("bob", code)
    for _ in range(3):
        referring.track("bob", "paid")
    assert len(referring.conversions()) == 1
    again = referring.convert(code, referring.id_of("bob"))
    assert (again.status, [again.json]) == (200, referring.conversions())
    assert len(referring.rewards()) == 2


def test_a_conversion_before_the_code_is_none(referring: ReferralWorld) -> None:
    code = referring.link(referring.contact("alice"))
    referring.track("bob", "paid")
    referring.advance(clock.MINUTE)
    referring.come("bob", code)
    assert referring.conversions() == []
    referring.track("bob", "paid")
    assert len(referring.conversions()) == 1


@pytest.mark.parametrize(("after", "counts"), [(0, True), (1, False)])
def test_the_window_ends_to_the_millisecond(referring: ReferralWorld, after: int, counts: bool) -> None:
    code = referring.link(referring.contact("alice"))
    referring.come("bob", code)
    referring.advance(30 * clock.DAY + after)
    referring.track("bob", "paid")
    assert len(referring.conversions()) == counts
    answer = referring.convert(code, referring.id_of("bob"))
    assert answer.status == (200 if counts else 422)
    if not counts:
        assert answer.json["error"]["details"][0]["reason"] == "window_over"


def test_a_reward_is_pending_until_its_hold_is_over_to_the_second(referring: ReferralWorld) -> None:
    referring.client.patch(f"/v1/referrals/programs/{referring.program}", {"limits": {"hold_days": 7}})
    alice = referring.contact("alice")
    code = referring.link(alice)
    referring.come("bob", code)
    referring.track("bob", "paid")
    start = referring.now
    assert {row["status"] for row in referring.rewards()} == {"pending"}
    assert {row["approved_at"] for row in referring.rewards()} == {clock.iso(start + 7 * clock.DAY)}
    assert referring.stats()["total_rewards_issued"] == 0
    referring.advance(7 * clock.DAY - 1)
    assert {row["status"] for row in referring.rewards()} == {"pending"}
    referring.advance(1)
    assert {(row["status"], row["issued_at"]) for row in referring.rewards()} == {
        ("issued", clock.iso(start + 7 * clock.DAY))
    }
    assert (referring.stats()["total_rewards_issued"], referring.stats()["total_reward_amount"]) == (2, 35)


def test_a_reversal_during_the_hold_leaves_nothing_to_be_given(referring: ReferralWorld) -> None:
    referring.client.patch(f"/v1/referrals/programs/{referring.program}", {"limits": {"hold_days": 7}})
    code = referring.link(referring.contact("alice"))
    referring.come("bob", code)
    referring.track("bob", "paid")
    (made,) = referring.conversions()
    assert referring.decide(made["id"], "reverse").json["status"] == "reversed"
    referring.advance(8 * clock.DAY)
    assert {row["status"] for row in referring.rewards()} == {"void"}
    assert referring.stats()["total_rewards_issued"] == 0


def test_tiers_are_reached_once_and_lost_by_a_reversal(referring: ReferralWorld) -> None:
    alice = referring.contact("alice")
    code = referring.link(alice)
    for user in ("b1", "b2"):
        referring.come(user, code)
        referring.track(user, "paid")

    def bonuses() -> list[tuple[Any, str]]:
        return [(row["amount"], row["status"]) for row in referring.rewards(kind="tier_bonus")]

    assert bonuses() == [(50, "issued")]
    assert referring.board()[0]["tier"] == "bronze"
    first, _ = referring.conversions()
    referring.decide(first["id"], "reverse")
    assert bonuses() == [(50, "void")]
    assert referring.board()[0]["tier"] is None
    referring.come("b3", code)
    referring.track("b3", "paid")
    assert bonuses() == [(50, "void"), (50, "issued")]
    issued = [row for row in referring.rewards() if row["status"] == "issued"]
    assert referring.stats()["total_reward_amount"] == sum(row["amount"] for row in issued) == 2 * 35 + 50


def test_manual_issuing_leaves_rewards_approved(referring: ReferralWorld) -> None:
    referring.client.patch(f"/v1/referrals/programs/{referring.program}", {"reward_issuing": "manual"})
    code = referring.link(referring.contact("alice"))
    referring.come("bob", code)
    referring.track("bob", "paid")
    one, _ = referring.rewards()
    assert {row["status"] for row in referring.rewards()} == {"approved"}
    answers = [referring.client.post(f"/v1/referrals/rewards/{one['id']}/issue") for _ in range(2)]
    referring.settle()
    assert [(each.status, each.json["status"]) for each in answers] == [(200, "issued")] * 2
    assert (referring.stats()["total_rewards_issued"], referring.stats()["total_reward_amount"]) == (1, one["amount"])


def test_the_first_code_counts_as_long_as_its_window_runs(referring: ReferralWorld) -> None:
    alice, carol = referring.contact("alice"), referring.contact("carol")
    first, second = referring.link(alice), referring.link(carol)
    referring.come("bob", first)
    referring.advance(clock.DAY)
    referring.come("bob", second)
    assert [(row["contact_id"], row["referrals"]) for row in referring.board()] == [(alice, 1)]
    referring.advance(30 * clock.DAY)
    referring.come("bob", second)
    assert [(row["contact_id"], row["referrals"]) for row in referring.board()] == [(carol, 1)]
    referring.track("bob", "paid")
    assert [row["referrer_contact_id"] for row in referring.conversions()] == [carol]
    assert referring.stats()["total_referrals"] == 1


def test_a_manual_conversion_refers_a_contact_that_came_without_a_code(referring: ReferralWorld) -> None:
    alice, bob = referring.contact("alice"), referring.contact("bob")
    code = referring.link(alice)
    answer = referring.convert(code.lower(), bob, conversion_event="signed_at_fair", metadata={"value": 49.0})
    assert answer.status == 201
    assert (answer.json["conversion_event"], answer.json["metadata"]) == ("signed_at_fair", {"value": 49.0})
    assert answer.json["referred_email"] == "bob@example.com"
    assert referring.stats()["total_referrals"] == referring.stats()["total_conversions"] == 1


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status, answer.json["error"]["details"][0]["reason"]


def test_nobody_refers_itself(referring: ReferralWorld) -> None:
    alice = referring.contact("alice")
    code = referring.link(alice)
    referring.come("alice", code)
    referring.track("alice", "paid")
    assert referring.conversions() == []
    assert refusal(referring.convert(code, alice)) == (422, "self_referral")
    # A second account with the same address: the first keeps it, the second has it among its traits.
    referring.come("alice2", code, email="alice@example.com")
    referring.track("alice2", "paid")
    assert referring.conversions() == []
    assert refusal(referring.convert(code, referring.id_of("alice2"))) == (422, "self_referral")
    assert referring.stats()["total_referrals"] == 0


def test_a_paused_program_takes_no_conversion_and_its_links_still_lead(referring: ReferralWorld) -> None:
    alice, bob = referring.contact("alice"), referring.contact("bob")
    code = referring.link(alice)
    referring.client.patch(f"/v1/referrals/programs/{referring.program}", {"status": "paused"})
    referring.come("bob", code)
    referring.track("bob", "paid")
    assert referring.conversions() == []
    assert refusal(referring.convert(code, bob)) == (422, "program_paused")
    assert Client().get(f"/r/{code}", headers=PEOPLE).status == 302


def test_a_referrer_at_its_cap_gets_no_more(referring: ReferralWorld) -> None:
    path = f"/v1/referrals/programs/{referring.program}"
    referring.client.patch(path, {"limits": {"max_referrals_per_contact": 1}})
    code = referring.link(referring.contact("alice"))
    for user in ("b1", "b2"):
        referring.come(user, code)
        referring.track(user, "paid")
    assert len(referring.conversions()) == 1
    assert refusal(referring.convert(code, referring.id_of("b2"))) == (422, "cap_reached")


def test_another_s_referral_is_not_taken_over_by_hand(referring: ReferralWorld) -> None:
    alice, carol = referring.contact("alice"), referring.contact("carol")
    code, other = referring.link(alice), referring.link(carol)
    referring.come("bob", code)
    assert refusal(referring.convert(other, referring.id_of("bob"))) == (422, "already_referred")
    referring.track("bob", "paid")
    assert refusal(referring.convert(other, referring.id_of("bob"))) == (422, "already_referred")


def test_a_contact_has_one_link_for_each_program_and_channel(referring: ReferralWorld) -> None:
    alice = referring.contact("alice")
    body = {"program_id": referring.program, "contact_id": alice, "channel": "email"}
    first, again = (referring.client.post("/v1/referrals/links", body) for _ in range(2))
    assert (first.status, again.status, again.json) == (201, 200, first.json)
    others = {referring.link(alice, "sms"), referring.link(alice, "email", referring.made())}
    assert len(others | {first.json["code"]}) == 3


def test_a_click_is_counted_and_leads_to_the_landing_page_with_the_code(referring: ReferralWorld) -> None:
    code = referring.link(referring.contact("alice"))
    answer = Client().get(f"/r/{code.lower()}", headers=PEOPLE)
    assert (answer.status, answer.headers["location"]) == (302, f"https://acme.test/welcome?from=friend&ref={code}#top")
    machines = [{"User-Agent": "Slackbot-LinkExpanding 1.0"}, {"User-Agent": "facebookexternalhit/1.1"}]
    assert {Client().get(f"/r/{code}", headers=each).status for each in machines} == {302}
    assert Client().request("HEAD", f"/r/{code}", headers=PEOPLE).status in (302, 405)
    referring.settle()
    assert referring.stats()["total_clicks"] == 1
    assert referring.get(f"/v1/referrals/links/{code}")["clicks"] == 1


@pytest.mark.parametrize("code", ["ALICE-ACME-7K2", "x", "%2e%2e", "A" * 300, "ALICE-ACME-7K2%0d%0aSet-Cookie:x"])
def test_an_unknown_code_is_a_plain_page(referring: ReferralWorld, code: str) -> None:
    answer = Client().get(f"/r/{code}", headers=PEOPLE)
    assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "location" not in answer.headers


def test_links_lead_where_the_program_says_by_now(referring: ReferralWorld) -> None:
    code = referring.link(referring.contact("alice"))
    path = f"/v1/referrals/programs/{referring.program}"
    referring.client.patch(path, {"landing_url": "https://new.acme.test"})
    referring.settle()
    assert Client().get(f"/r/{code}", headers=PEOPLE).headers["location"] == f"https://new.acme.test/?ref={code}"
    assert referring.client.delete(path).json == {"id": referring.program, "deleted": True}
    referring.settle()
    assert Client().get(f"/r/{code}", headers=PEOPLE).status == 404
    assert referring.client.get(f"/v1/referrals/links/{code}").status == 404


def test_the_links_of_a_deleted_contact_lead_nowhere(referring: ReferralWorld) -> None:
    alice = referring.contact("alice")
    codes = [referring.link(alice), referring.link(alice, "sms")]
    referring.come("bob", codes[0])
    referring.client.delete(f"/v1/contacts/{alice}")
    referring.settle()
    assert [Client().get(f"/r/{code}", headers=PEOPLE).status for code in codes] == [404, 404]
    referring.track("bob", "paid")
    assert (referring.conversions(), referring.board()) == ([], [])


def test_a_program_without_a_landing_page_leads_to_the_project_s_domain(referring: ReferralWorld) -> None:
    referring.client.patch("/v1/settings", {"domain": "acme.test"})
    without = {name: value for name, value in PROGRAM.items() if name != "landing_url"}
    made = referring.client.post("/v1/referrals/programs", without).json
    assert made["landing_url"] == "https://acme.test"


def test_segments_follow_what_a_contact_has_referred(referring: ReferralWorld) -> None:
    referrers = referring.segment({"field": "referral_stats.conversions", "op": "gte", "value": 1})
    alice = referring.contact("alice")
    code = referring.link(alice)
    referring.come("bob", code)

    def members() -> list[str]:
        return [row["id"] for row in referring.all(f"/v1/segments/{referrers}/contacts")]

    assert members() == []
    referring.track("bob", "paid")
    assert members() == [alice]
    (made,) = referring.conversions()
    referring.decide(made["id"], "reverse")
    assert members() == []


@pytest.mark.parametrize("path", ["links", "conversions"])
def test_an_answer_that_made_nothing_is_remembered_by_its_idempotency_key_too(
    referring: ReferralWorld, path: str
) -> None:
    alice, bob = referring.contact("alice"), referring.contact("bob")
    code = referring.link(alice)
    referring.convert(code, bob)
    asked: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "links": ({"program_id": referring.program, "contact_id": alice, "channel": "email"}, {"channel": "other"}),
        "conversions": ({"link_code": code, "referred_contact_id": bob}, {"metadata": {"plan": "x"}}),
    }
    (body, other), key = asked[path], {"Idempotency-Key": "k"}
    first = referring.client.post(f"/v1/referrals/{path}", body, headers=key)
    referring.click(code)
    referring.settle()
    again = referring.client.post(f"/v1/referrals/{path}", body, headers=key)
    assert (first.status, again.status, again.json) == (200, 200, first.json)
    assert again.headers["idempotency-replayed"] == "true"
    assert referring.client.post(f"/v1/referrals/{path}", {**body, **other}, headers=key).status == 409
