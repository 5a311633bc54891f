"""The merge tag `referral_link`, codes that come with a waitlist's joins, and what an export has of both."""

from tests.support.referral_world import ReferralWorld

WITH_LINK = "<p>Share <a href='{{ referral_link }}'>{{ referral_link }}</a></p>"


def test_a_mail_has_the_contact_s_own_link_made_at_its_first_use(referring: ReferralWorld) -> None:
    referring.client.patch("/v1/settings", {"referral_base_url": "https://acme.test/r"})
    template = referring.template(html=WITH_LINK)
    referring.lifecycle({"template_id": template, "id": "a"}, {"template_id": template, "id": "b"})
    alice = referring.contact("alice", name="Alice Chen", company="Acme")
    referring.track("alice", "signed_up")
    first, second = referring.mailbox()
    (link,) = referring.all(f"/v1/referrals/programs/{referring.program}/links")
    assert (link["contact_id"], link["channel"]) == (alice, "email")
    assert link["url"].startswith("https://acme.test/r/ALICE-ACME-")
    assert link["url"] in first["links"]
    assert link["url"] in second["links"]
    assert f">{link['url']}</a>" in first["html"]
    assert referring.link(alice) == link["code"]


def test_a_mail_without_the_tag_makes_no_link(referring: ReferralWorld) -> None:
    referring.lifecycle()
    referring.contact("alice")
    referring.track("alice", "signed_up")
    assert len(referring.mailbox()) == 1
    assert referring.all(f"/v1/referrals/programs/{referring.program}/links") == []


def test_without_an_active_program_the_tag_is_empty(referring: ReferralWorld) -> None:
    referring.client.patch(f"/v1/referrals/programs/{referring.program}", {"status": "paused"})
    referring.lifecycle({"template_id": referring.template(html="<p>[{{ referral_link }}]</p>")})
    referring.contact("alice")
    referring.track("alice", "signed_up")
    assert "[]" in referring.mailbox()[0]["html"]


def test_a_rendering_shows_the_link_that_a_contact_has_and_makes_none(referring: ReferralWorld) -> None:
    template, alice = referring.template(html=WITH_LINK), referring.contact("alice")

    def rendered() -> str:
        answer = referring.client.post(f"/v1/templates/{template}/render", {"contact_id": alice})
        return str(referring.ok(answer)["html"])

    assert "https://example.com/r/ALICE-ACME-7K2" in rendered()
    assert referring.all(f"/v1/referrals/programs/{referring.program}/links") == []
    assert referring.link(alice) in rendered()


def test_who_joins_a_waitlist_with_a_link_s_code_was_referred(referring: ReferralWorld) -> None:
    alice = referring.contact("alice")
    code = referring.link(alice)
    queue = referring.ok(referring.client.post("/v1/waitlists", {"name": "W", "slug": "w"}))["id"]
    body = {"email": "bob@example.com", "referral_code": code}
    referring.ok(referring.client.post(f"/v1/waitlists/{queue}/entries", body))
    referring.settle()
    assert [(row["contact_id"], row["referrals"]) for row in referring.board()] == [(alice, 1)]


def test_an_export_has_the_links_the_codes_that_a_contact_came_with_and_its_entries(referring: ReferralWorld) -> None:
    alice = referring.contact("alice")
    code = referring.link(alice)
    referring.come("bob", code, ip="203.0.113.9", email="bob@example.com")
    queue = referring.ok(referring.client.post("/v1/waitlists", {"name": "W", "slug": "w"}))["id"]
    entry = referring.ok(referring.client.post(f"/v1/waitlists/{queue}/entries", {"email": "bob@example.com"}))
    of_alice = referring.get(f"/v1/contacts/{alice}/export")
    of_bob = referring.get(f"/v1/contacts/{referring.id_of('bob')}/export")
    assert [each["link_code"] for each in of_alice["referrals"]["links"]] == [code]
    (came,) = of_bob["referrals"]["referred_by"]
    assert (came["link_code"], came["referrer_contact_id"], came["ip"], came["counts"]) == (
        code,
        alice,
        "203.0.113.9",
        True,
    )
    assert [each["id"] for each in of_bob["waitlist_entries"]] == [entry["id"]]
