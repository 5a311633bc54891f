"""Joining a waitlist, moving up by referrals, leaving, and what a waitlist says of it all."""

from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.flows.segments import purge
from chalicelib.platform import jobs
from tests.support.wait_world import WaitWorld


def test_who_joins_stands_at_the_end(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 70)
    assert [each["position"] for each in made] == list(range(1, 71))
    assert live_wait.queue(waitlist) == [each["id"] for each in made]
    assert live_wait.stats(waitlist) == {"waiting": 70, "approved": 0, "total": 70}


def test_the_same_email_joins_once(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    first = live_wait.client.post(f"/v1/waitlists/{waitlist}/entries", {"email": "Ann@X.io"})
    again = live_wait.client.post(f"/v1/waitlists/{waitlist}/entries", {"email": "ann@x.io "})
    assert (first.status, again.status) == (201, 200)
    assert first.json == again.json
    assert live_wait.stats(waitlist)["total"] == 1


def test_the_same_contact_may_wait_in_two_waitlists(live_wait: WaitWorld) -> None:
    one, other = live_wait.waitlist("one"), live_wait.waitlist("other")
    first, second = live_wait.add(one, "ann@x.io"), live_wait.add(other, "ann@x.io")
    assert first["contact_id"] == second["contact_id"]
    assert first["id"] != second["id"]


def test_a_call_with_an_idempotency_key_is_answered_as_the_first_was(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    live_wait.added(waitlist, 2)
    headers = {"Idempotency-Key": "k"}
    path = f"/v1/waitlists/{waitlist}/entries"
    first = live_wait.client.post(path, {"email": "ann@x.io"}, headers=headers)
    again = live_wait.client.post(path, {"email": "ann@x.io"}, headers=headers)
    assert (first.status, again.status, first.json) == (201, 201, again.json)
    assert again.headers["idempotency-replayed"] == "true"
    assert first.json["position"] == 3


def test_a_joining_has_a_code_of_its_own_and_a_link_to_share(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    live_wait.ok(live_wait.client.patch("/v1/settings", {"referral_base_url": "https://acme.com/r"}))
    entry = live_wait.add(waitlist, "ann@x.io", traits={"name": "Ann Lee"})
    assert entry["referral_code"].startswith("ANN-ACME-")
    assert entry["share_url"] == f"https://acme.com/r/{entry['referral_code']}"


def test_along_the_queue_the_moments_of_joining_never_go_back(live_wait: WaitWorld, monkeypatch: Any) -> None:
    waitlist = live_wait.waitlist()
    real = clock.system_ms
    for n, skew in enumerate((0, -5_000, 3_000, -9_000)):
        with monkeypatch.context() as patched:
            patched.setattr(clock, "system_ms", lambda skew=skew: real() + skew)
            live_wait.add(waitlist, f"u{n}@x.io")
    rows = live_wait.entries(waitlist)
    moments = [clock.parse_instant(row["joined_at"]) for row in rows]
    assert [row["email"] for row in rows] == [f"u{n}@x.io" for n in range(4)]
    assert moments == sorted(moments)
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)


@pytest.mark.parametrize(("place", "boost", "after"), [(7, 3, 4), (3, 3, 1), (1, 3, 1), (8, 0, 8), (2, 1_000, 1)])
def test_a_referral_moves_the_referrer_up_and_the_rest_keep_their_order(
    live_wait: WaitWorld, place: int, boost: int, after: int
) -> None:
    waitlist = live_wait.waitlist(referral_boost=boost)
    made = live_wait.added(waitlist, 8)
    referrer = made[place - 1]
    expected = [each["id"] for each in made]
    expected.insert(after - 1, expected.pop(place - 1))
    new = live_wait.add(waitlist, "new@x.io", referral_code=referrer["referral_code"])
    live_wait.settle()
    assert live_wait.queue(waitlist) == [*expected, new["id"]]
    counts = {row["id"]: row["referral_count"] for row in live_wait.entries(waitlist)}
    assert counts == dict.fromkeys(expected, 0) | {referrer["id"]: 1, new["id"]: 0}
    (row,) = [row for row in live_wait.entries(waitlist) if row["id"] == new["id"]]
    assert (row["referred_by"], row["referral_status"], row["referral_reasons"]) == (referrer["id"], "counted", [])


def test_a_code_counts_however_it_was_typed(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 4)
    live_wait.add(waitlist, "new@x.io", referral_code=f" {made[3]['referral_code'].lower()} ")
    live_wait.settle()
    assert live_wait.queue(waitlist)[0] == made[3]["id"]


def test_who_was_approved_gets_the_count_of_a_referral_and_no_place(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 3)
    live_wait.approve(waitlist, made[1]["id"])
    live_wait.add(waitlist, "new@x.io", referral_code=made[1]["referral_code"])
    live_wait.settle()
    (row,) = live_wait.entries(waitlist, status="approved")
    assert (row["referral_count"], row["position"]) == (1, None)
    assert live_wait.emails(waitlist) == ["u0", "u2", "new"]


@pytest.mark.parametrize("code", ["NOBODY-ACME-7K2", "not a code", "x", "ÄÖ-ÜÜ-7K2"])
def test_a_code_that_is_nobodys_lets_join_and_moves_nobody(live_wait: WaitWorld, code: str) -> None:
    waitlist = live_wait.waitlist()
    live_wait.added(waitlist, 3)
    assert live_wait.add(waitlist, "new@x.io", referral_code=code)["position"] == 4
    live_wait.settle()
    assert live_wait.emails(waitlist) == ["u0", "u1", "u2", "new"]


def test_a_code_of_another_waitlist_moves_nobody(live_wait: WaitWorld) -> None:
    one, other = live_wait.waitlist("one"), live_wait.waitlist("other")
    theirs = live_wait.added(one, 4)
    live_wait.add(other, "new@x.io", referral_code=theirs[3]["referral_code"])
    live_wait.settle()
    assert live_wait.emails(one) == ["u0", "u1", "u2", "u3"]
    assert live_wait.entries(other)[0]["referral_status"] is None


def test_joining_again_with_a_code_is_no_referral(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 5)
    live_wait.add(waitlist, "u0@x.io", referral_code=made[4]["referral_code"])
    live_wait.settle()
    assert live_wait.emails(waitlist) == ["u0", "u1", "u2", "u3", "u4"]


@pytest.mark.parametrize(
    ("referrer", "referred"),
    [("ann@x.io", "ann+2@x.io"), ("a.nn@gmail.com", "ann@googlemail.com"), ("ann+a@x.io", "ann+b@x.io")],
)
def test_who_refers_its_own_mailbox_moves_nobody(live_wait: WaitWorld, referrer: str, referred: str) -> None:
    waitlist = live_wait.waitlist()
    live_wait.added(waitlist, 3)
    own = live_wait.add(waitlist, referrer)
    live_wait.add(waitlist, referred, referral_code=own["referral_code"])
    live_wait.settle()
    rows = live_wait.entries(waitlist)
    assert rows[3]["id"] == own["id"]
    assert rows[3]["referral_count"] == 0
    assert (rows[4]["referral_status"], rows[4]["referral_reasons"]) == ("flagged", ["email_variant"])


def test_who_refers_an_address_that_lives_for_minutes_moves_nobody(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 3)
    live_wait.add(waitlist, "ann@mailinator.com", referral_code=made[2]["referral_code"])
    live_wait.settle()
    rows = live_wait.entries(waitlist)
    assert rows[2]["id"] == made[2]["id"]
    assert (rows[3]["referral_status"], rows[3]["referral_reasons"]) == ("flagged", ["disposable_domain"])


def test_the_eleventh_from_one_address_within_a_day_is_flagged(test_wait: WaitWorld) -> None:
    waitlist = test_wait.waitlist(referral_boost=1)
    made = test_wait.added(waitlist, 20)
    code = made[19]["referral_code"]
    for n in range(11):
        test_wait.advance(clock.HOUR)
        assert test_wait.joins(waitlist, f"f{n}@x.io", referral_code=code).status == 201
    other = test_wait.joins(waitlist, "elsewhere@x.io", ip="198.51.100.1", referral_code=code)
    test_wait.settle()
    rows = {row["email"].partition("@")[0]: row for row in test_wait.entries(waitlist)}
    assert [rows[f"f{n}"]["referral_status"] for n in range(11)] == ["counted"] * 10 + ["flagged"]
    assert rows["f10"]["referral_reasons"] == ["many_from_one_ip"]
    assert rows["elsewhere"]["referral_status"] == "counted"
    assert rows["u19"]["referral_count"] == 11
    assert other.json["referral_count"] == 0
    test_wait.advance(15 * clock.HOUR)  # of the eleven, nine are within the last 24 hours
    test_wait.joins(waitlist, "later@x.io", referral_code=code)
    test_wait.settle()
    assert test_wait.entries(waitlist)[-1]["referral_status"] == "counted"


def test_of_whom_the_project_adds_itself_no_address_is_counted(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 1)
    for n in range(12):
        live_wait.add(waitlist, f"f{n}@x.io", referral_code=made[0]["referral_code"])
    live_wait.settle()
    assert live_wait.entries(waitlist)[0]["referral_count"] == 12
    assert live_wait.rows(f"WL#{waitlist}#FROM") == []


def test_an_address_is_kept_as_a_hash_only(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 1)
    live_wait.joins(waitlist, "f@x.io", ip="198.51.100.23", referral_code=made[0]["referral_code"])
    live_wait.settle()
    kept = [str(row) for key, row in live_wait.table.rows.items() if f"#WL#{waitlist}" in key.pk]
    assert len(live_wait.rows(f"WL#{waitlist}#FROM")) == 1
    assert not any("198.51.100.23" in row for row in kept)


def test_who_leaves_lets_the_rest_close_up_and_its_code_leads_nowhere(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 5)
    answer = live_wait.client.delete(f"/v1/waitlists/{waitlist}/entries/{made[1]['id']}")
    assert (answer.status, answer.json) == (200, {"id": made[1]["id"], "deleted": True})
    assert live_wait.emails(waitlist) == ["u0", "u2", "u3", "u4"]
    assert live_wait.client.delete(f"/v1/waitlists/{waitlist}/entries/{made[1]['id']}").status == 404
    live_wait.add(waitlist, "new@x.io", referral_code=made[1]["referral_code"])
    live_wait.settle()
    assert live_wait.emails(waitlist) == ["u0", "u2", "u3", "u4", "new"]


def test_who_was_approved_may_be_taken_out_too(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 2)
    live_wait.approve(waitlist, made[0]["id"])
    live_wait.ok(live_wait.client.delete(f"/v1/waitlists/{waitlist}/entries/{made[0]['id']}"))
    assert live_wait.stats(waitlist) == {"waiting": 1, "approved": 0, "total": 1}
    assert live_wait.add(waitlist, "u0@x.io")["position"] == 2


def test_who_joins_where_all_are_approved_at_once_waits_nowhere(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist(auto_approve=True)
    entry = live_wait.add(waitlist, "ann@x.io")
    live_wait.settle()
    assert (entry["status"], entry["position"]) == ("approved", None)
    assert live_wait.stats(waitlist) == {"waiting": 0, "approved": 1, "total": 1}
    assert [posted.to for posted in live_wait.office.taken] == ["ann@x.io"]


def test_a_contact_that_is_deleted_leaves_the_queue(live_wait: WaitWorld) -> None:
    one, other = live_wait.waitlist("one"), live_wait.waitlist("other")
    made = live_wait.added(one, 3)
    live_wait.add(other, "u1@x.io")
    live_wait.approve(other, live_wait.queue(other)[0])
    live_wait.ok(live_wait.client.delete(f"/v1/contacts/{made[1]['contact_id']}", query={"purge": "true"}))
    live_wait.settle()
    assert live_wait.emails(one) == ["u0", "u2"]
    assert live_wait.stats(other)["total"] == 0
    assert not [key for key in live_wait.table.rows if key.pk == f"CODE#{made[1]['referral_code']}"]


def test_a_deleted_waitlist_leaves_nothing_behind_but_contacts(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 150)
    live_wait.approve_many(waitlist, 40)
    live_wait.joins(waitlist, "f@x.io", referral_code=made[100]["referral_code"])
    live_wait.settle()
    assert live_wait.client.delete(f"/v1/waitlists/{waitlist}").json == {"id": waitlist, "deleted": True}
    for path in ("", "/entries"):
        assert live_wait.client.get(f"/v1/waitlists/{waitlist}{path}").status == 404
    live_wait.settle()
    left = [key for key, row in live_wait.table.rows.items() if waitlist in f"{key} {row.get('parent_id')}"]
    assert [key for key in left if not key.sk.startswith(("OUT", "MAIL#"))] == []
    assert live_wait.waitlist("early") != waitlist
    assert live_wait.client.get(f"/v1/contacts/{made[0]['contact_id']}").status == 200


def test_two_waitlists_of_a_project_never_have_the_same_slug(live_wait: WaitWorld) -> None:
    live_wait.waitlist("one")
    other = live_wait.waitlist("other")
    taken = live_wait.client.post("/v1/waitlists", {"name": "Again", "slug": "one"})
    renamed = live_wait.client.patch(f"/v1/waitlists/{other}", {"slug": "one"})
    assert (taken.status, taken.fields, renamed.status, renamed.fields) == (409, ["slug"], 409, ["slug"])
    live_wait.ok(live_wait.client.patch(f"/v1/waitlists/{other}", {"slug": "two"}))
    assert live_wait.waitlist("other")


def test_a_template_that_a_waitlist_uses_stays(live_wait: WaitWorld) -> None:
    template = live_wait.template()
    waitlist = live_wait.waitlist(welcome_email_template_id=template)
    assert live_wait.client.delete(f"/v1/templates/{template}").status == 409
    live_wait.ok(live_wait.client.patch(f"/v1/waitlists/{waitlist}", {"welcome_email_template_id": None}))
    assert live_wait.client.delete(f"/v1/templates/{template}").status == 200


def test_after_another_landing_page_was_named_all_codes_lead_there(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist(landing_url="https://acme.com/old")
    made = live_wait.added(waitlist, 60)
    live_wait.approve(waitlist, made[7]["id"])
    live_wait.ok(live_wait.client.patch(f"/v1/waitlists/{waitlist}", {"landing_url": "https://acme.com/new"}))
    live_wait.settle()
    codes = [row for row in live_wait.table.rows.values() if row.get("parent_id") == waitlist]
    assert [row["landing_url"] for row in codes] == ["https://acme.com/new"] * 60


def test_waitlists_are_listed_newest_first_with_their_figures(live_wait: WaitWorld) -> None:
    made = [live_wait.waitlist(f"w{n}") for n in range(3)]
    live_wait.added(made[1], 2)
    page = live_wait.get("/v1/waitlists", limit="2")
    rest = live_wait.get("/v1/waitlists", limit="2", cursor=page["next_cursor"])
    rows = [*page["data"], *rest["data"]]
    assert [(row["id"], row["stats"]["waiting"]) for row in rows] == [(made[2], 0), (made[1], 2), (made[0], 0)]
    assert (page["has_more"], rest["has_more"]) == (True, False)


@pytest.mark.parametrize("number", range(6))
def test_the_figures_of_a_list_are_right_while_somebody_joins_and_another_waitlist_goes(
    live_wait: WaitWorld, number: int
) -> None:
    one, other = live_wait.waitlist("one"), live_wait.waitlist("other")
    live_wait.added(one, 64)  # who joins next opens another leaf

    def change() -> None:
        live_wait.join_now(one, "new@x.io")
        live_wait.client.delete(f"/v1/waitlists/{other}")

    with live_wait.halted_at(number, change, after=True):
        rows = live_wait.get("/v1/waitlists")["data"]
    figures = {row["id"]: row["stats"]["waiting"] for row in rows}
    assert figures.pop(one) in (64, 65)
    assert figures in ({}, {other: 0})


def test_the_export_of_a_contact_has_its_entries_in_all_waitlists(live_wait: WaitWorld) -> None:
    one, other, gone = (live_wait.waitlist(slug) for slug in ("one", "other", "gone"))
    live_wait.added(one, 2)
    first, second = live_wait.add(one, "ann@x.io"), live_wait.add(other, "ann@x.io")
    live_wait.add(gone, "ann@x.io")
    live_wait.approve(other, second["id"])
    live_wait.ok(live_wait.client.delete(f"/v1/waitlists/{gone}"))
    held = live_wait.get(f"/v1/contacts/{first['contact_id']}/export")["waitlist_entries"]
    places = {row["waitlist_id"]: (row["id"], row["status"], row["position"]) for row in held}
    assert places == {one: (first["id"], "waiting", 3), other: (second["id"], "approved", None)}


@pytest.mark.parametrize("is_merged", [False, True])
def test_who_is_purged_before_the_bus_comes_to_its_entry_leaves_the_queue(
    live_wait: WaitWorld, *, is_merged: bool
) -> None:
    """Else nobody could take it out any more: what leads from the contact to its entry is purged too."""
    waitlist = live_wait.waitlist()
    gone = live_wait.added(waitlist, 3)[1]["contact_id"]
    if is_merged:
        source, gone = gone, live_wait.contact("other")
        live_wait.settle()
        live_wait.ok(live_wait.client.post(f"/v1/contacts/{gone}/merge", {"source_contact_id": source}))
    live_wait.ok(live_wait.client.delete(f"/v1/contacts/{gone}", query={"purge": "true"}))
    jobs.send(live_wait.tenant, purge.KIND, {"contact_id": gone})
    while live_wait.run_jobs():
        pass
    live_wait.settle()
    assert live_wait.emails(waitlist) == ["u0", "u2"]
    assert live_wait.stats(waitlist)["waiting"] == 2


def test_a_waitlist_without_a_landing_page_leads_to_the_project_s_domain(live_wait: WaitWorld) -> None:
    live_wait.ok(live_wait.client.patch("/v1/settings", {"domain": "acme.test"}))
    waitlist = live_wait.waitlist()
    assert live_wait.ok(live_wait.client.get(f"/v1/waitlists/{waitlist}"))["landing_url"] == "https://acme.test"
