"""What the referral endpoints refuse, each with the field that is wrong, and how a program is changed."""

from typing import Any

import pytest

from tests.support.client import Client
from tests.support.referral_calls import BOARD, CONVERSIONS, LINKS, PROGRAMS, REWARDS, code_of, contact, made
from tests.support.referral_world import PROGRAM


@pytest.fixture
def program(client: Client) -> str:
    return made(client.post(PROGRAMS, PROGRAM))


BAD_PROGRAMS: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": " \t"}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"name": "x" * 129}, "name"),
    ({"name": 5}, "name"),
    ({"name": None}, "name"),
    ({"reward_type": "Credit"}, "reward_type"),
    ({"reward_type": ""}, "reward_type"),
    ({"reward_type": 1}, "reward_type"),
    ({"reward_amount": -1}, "reward_amount"),
    ({"reward_amount": -0.0001}, "reward_amount"),
    ({"reward_amount": 0.00001}, "reward_amount"),
    ({"reward_amount": 1_000_000_001}, "reward_amount"),
    ({"reward_amount": "20"}, "reward_amount"),
    ({"reward_amount": True}, "reward_amount"),
    ({"reward_currency": "usd"}, "reward_currency"),
    ({"reward_currency": "DOLLAR"}, "reward_currency"),
    ({"reward_currency": "US1"}, "reward_currency"),
    ({"referee_reward": {"type": "discount"}}, "referee_reward.amount"),
    ({"referee_reward": {"amount": 5}}, "referee_reward.type"),
    ({"referee_reward": {"type": "discount", "amount": -5}}, "referee_reward.amount"),
    ({"referee_reward": {"type": "discount", "amount": 5, "unit": "%"}}, "referee_reward.unit"),
    ({"referee_reward": {"type": "discount", "amount": 5, "currency": "$"}}, "referee_reward.currency"),
    ({"referee_reward": []}, "referee_reward"),
    ({"tiers": {"referrals": 5}}, "tiers"),
    ({"tiers": None}, "tiers"),
    ({"tiers": [{"bonus": 5}]}, "tiers.0.referrals"),
    ({"tiers": [{"referrals": 0, "bonus": 5}]}, "tiers.0.referrals"),
    ({"tiers": [{"referrals": 1.5, "bonus": 5}]}, "tiers.0.referrals"),
    ({"tiers": [{"referrals": 1}, {"referrals": 2, "bonus": -5}]}, "tiers.1.bonus"),
    ({"tiers": [{"referrals": 1}, {"referrals": 2, "bonus": 0.12345}]}, "tiers.1.bonus"),
    ({"tiers": [{"referrals": 1, "prize": 5}]}, "tiers.0.prize"),
    ({"tiers": [{"referrals": 1, "name": " "}]}, "tiers.0.name"),
    ({"tiers": [{"referrals": 5}, {"referrals": 5}]}, "tiers"),
    ({"tiers": [{"referrals": 5}, {"referrals": 4}]}, "tiers"),
    ({"tiers": [{"referrals": n} for n in range(1, 22)]}, "tiers"),
    ({"limits": []}, "limits"),
    ({"limits": None}, "limits"),
    ({"limits": {"max_referrals": 5}}, "limits.max_referrals"),
    ({"limits": {"max_referrals_per_contact": 0}}, "limits.max_referrals_per_contact"),
    ({"limits": {"max_referrals_per_contact": "5"}}, "limits.max_referrals_per_contact"),
    ({"limits": {"conversion_window_days": 0}}, "limits.conversion_window_days"),
    ({"limits": {"conversion_window_days": 3_651}}, "limits.conversion_window_days"),
    ({"limits": {"conversion_window_days": 1.5}}, "limits.conversion_window_days"),
    ({"limits": {"conversions_per_ip": 0}}, "limits.conversions_per_ip"),
    ({"limits": {"conversions_per_ip": 1_001}}, "limits.conversions_per_ip"),
    ({"limits": {"hold_days": -1}}, "limits.hold_days"),
    ({"limits": {"hold_days": True}}, "limits.hold_days"),
    ({"limits": {"review_score": 0}}, "limits.review_score"),
    ({"limits": {"review_score": 102}}, "limits.review_score"),
    ({"status": "open"}, "status"),
    ({"status": None}, "status"),
    ({"conversion_event": " "}, "conversion_event"),
    ({"conversion_event": "a\x00b"}, "conversion_event"),
    ({"conversion_event": "é" * 129}, "conversion_event"),
    ({"landing_url": "javascript:alert(1)"}, "landing_url"),
    ({"landing_url": "data:text/html,x"}, "landing_url"),
    ({"landing_url": "//acme.com"}, "landing_url"),
    ({"landing_url": "https://"}, "landing_url"),
    ({"landing_url": "https:acme.com"}, "landing_url"),
    ({"landing_url": "https:///acme.com"}, "landing_url"),
    ({"landing_url": "https://user@acme.com"}, "landing_url"),
    ({"landing_url": "https://user:secret@acme.com/"}, "landing_url"),
    ({"landing_url": "https://acme.com\\@evil.com"}, "landing_url"),
    ({"landing_url": "https://acme.com:0/"}, "landing_url"),
    ({"landing_url": "https://acme.com:99999/"}, "landing_url"),
    ({"landing_url": "https://acme.com/\r\nSet-Cookie: x"}, "landing_url"),
    ({"landing_url": "https://acme.com/\x7f"}, "landing_url"),
    ({"landing_url": 'https://acme.com/"><script>'}, "landing_url"),
    ({"landing_url": f"https://acme.com/{'x' * 2_048}"}, "landing_url"),
    ({"landing_url": 5}, "landing_url"),
    ({"reward_issuing": "later"}, "reward_issuing"),
    ({"anything": 1}, "anything"),
]


@pytest.mark.parametrize(("body", "field"), BAD_PROGRAMS)
def test_a_program_that_breaks_a_rule_is_refused_when_it_is_made_and_when_it_is_changed(
    client: Client, program: str, body: dict[str, Any], field: str
) -> None:
    before = client.get(f"{PROGRAMS}/{program}").json
    answers = client.post(PROGRAMS, PROGRAM | body), client.patch(f"{PROGRAMS}/{program}", body)
    assert [(each.status, each.fields) for each in answers] == [(422, [field])] * 2
    assert client.get(f"{PROGRAMS}/{program}").json == before
    assert len(client.get(PROGRAMS).json["data"]) == 1


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b'{"reward_amount": NaN}', b'{"reward_amount": 1e999}'])
def test_what_is_no_object_is_refused(client: Client, program: str, body: bytes) -> None:
    before = client.get(f"{PROGRAMS}/{program}").json
    for answer in (client.post(PROGRAMS, body), client.patch(f"{PROGRAMS}/{program}", body)):
        assert answer.status in (400, 422)
    assert client.get(f"{PROGRAMS}/{program}").json == before


def test_all_faults_of_a_program_are_told_at_once(client: Client) -> None:
    body = {"reward_amount": -1, "tiers": [{"referrals": 0}], "limits": {"hold_days": -1}, "more": 1}
    assert sorted(client.post(PROGRAMS, body).fields) == [
        "limits.hold_days",
        "more",
        "name",
        "reward_amount",
        "tiers.0.referrals",
    ]


@pytest.mark.parametrize("amount", [0, 0.0001, 19.99, 20, 1_000_000_000])
def test_an_amount_comes_back_as_it_was_given(client: Client, amount: float) -> None:
    answer = client.post(PROGRAMS, PROGRAM | {"reward_amount": amount})
    assert (answer.status, answer.json["reward_amount"]) == (201, amount)


BAD_LINKS: list[tuple[dict[str, Any], list[str]]] = [
    ({"program_id": None}, ["program_id"]),
    ({"program_id": 5}, ["program_id"]),
    ({"program_id": ""}, ["program_id"]),
    ({"program_id": "ref_prog_01j8x2m4k00000000000000000"}, ["program_id"]),
    ({"contact_id": ["a"]}, ["contact_id"]),
    ({"contact_id": "cntct_01j8x2m4k00000000000000000"}, ["contact_id"]),
    ({"contact_id": "alice"}, ["contact_id"]),
    ({"contact_id": "a#b", "program_id": "x/y"}, ["program_id", "contact_id"]),
    ({"contact_id": "x" * 65}, ["contact_id"]),
    ({"channel": ""}, ["channel"]),
    ({"channel": "e mail"}, ["channel"]),
    ({"channel": "a#b"}, ["channel"]),
    ({"channel": "x" * 65}, ["channel"]),
    ({"channel": None}, ["channel"]),
    ({"code": "ALICE-ACME-7K2"}, ["code"]),
]


@pytest.mark.parametrize(("body", "fields"), BAD_LINKS)
def test_a_link_that_breaks_a_rule_is_not_made(
    client: Client, program: str, body: dict[str, Any], fields: list[str]
) -> None:
    good = {"program_id": program, "contact_id": contact(client), "channel": "email"}
    answer = client.post(LINKS, good | body)
    assert (answer.status, answer.fields) == (422, fields)
    assert client.get(f"{PROGRAMS}/{program}/links").json["data"] == []


BAD_CONVERSIONS: list[tuple[dict[str, Any], list[str]]] = [
    ({"link_code": None}, ["link_code"]),
    ({"link_code": ""}, ["link_code"]),
    ({"link_code": 7}, ["link_code"]),
    ({"link_code": "NOBODY-ACME-777"}, ["link_code"]),
    ({"link_code": "no code"}, ["link_code"]),
    ({"link_code": "X" * 65}, ["link_code"]),
    ({"referred_contact_id": None}, ["referred_contact_id"]),
    ({"referred_contact_id": "cntct_01j8x2m4k00000000000000000"}, ["referred_contact_id"]),
    ({"referred_contact_id": "bob@example.com"}, ["referred_contact_id"]),
    ({"link_code": "X-Y-777", "referred_contact_id": "nobody"}, ["link_code", "referred_contact_id"]),
    ({"conversion_event": ""}, ["conversion_event"]),
    ({"conversion_event": "x" * 257}, ["conversion_event"]),
    ({"conversion_event": ["paid"]}, ["conversion_event"]),
    ({"metadata": []}, ["metadata"]),
    ({"metadata": None}, ["metadata"]),
    ({"metadata": {"x": "x" * 10_000}}, ["metadata"]),
    ({"value": 49}, ["value"]),
]


@pytest.mark.parametrize(("body", "fields"), BAD_CONVERSIONS)
def test_a_conversion_that_breaks_a_rule_is_not_recorded(
    client: Client, program: str, body: dict[str, Any], fields: list[str]
) -> None:
    good = {"link_code": code_of(client, program), "referred_contact_id": contact(client, "bob")}
    answer = client.post(CONVERSIONS, good | body)
    assert (answer.status, answer.fields) == (422, fields)
    assert client.get(CONVERSIONS).json["data"] == client.get(REWARDS).json["data"] == []


def test_metadata_of_the_full_size_is_kept_whatever_is_in_it(client: Client, program: str) -> None:
    free = {
        "x": "x" * (10_000 - len('{"x":"","unknown":{"deep":[1.5,null,true]}}')),
        "unknown": {"deep": [1.5, None, True]},
    }
    body = {"link_code": code_of(client, program), "referred_contact_id": contact(client, "bob"), "metadata": free}
    assert client.post(CONVERSIONS, body).json["metadata"] == free
    assert client.get(CONVERSIONS).json["data"][0]["metadata"] == free


QUERIES = [
    (PROGRAMS, "limit=0"),
    (PROGRAMS, "limit=101"),
    (PROGRAMS, "limit=ten"),
    (PROGRAMS, "limit=1.0"),
    (PROGRAMS, "status=active"),
    (PROGRAMS, "cursor=abc"),
    (CONVERSIONS, "status=held"),
    (CONVERSIONS, "status="),
    (CONVERSIONS, "limit=-1"),
    (CONVERSIONS, "cursor=abc"),
    (CONVERSIONS, "contact=x"),
    (REWARDS, "status=paid"),
    (REWARDS, "kind=bonus"),
    (REWARDS, "limit=101"),
    (REWARDS, "cursor=%00"),
    (BOARD, ""),
    (BOARD, "program_id="),
    (BOARD, "program_id={program}&limit=0"),
    (BOARD, "program_id={program}&cursor=abc"),
    (PROGRAMS + "/{program}/links", "limit=0"),
    (PROGRAMS + "/{program}/links", "cursor=abc"),
    (PROGRAMS + "/{program}/links", "channel=email"),
]


@pytest.mark.parametrize(("path", "query"), QUERIES)
def test_a_query_that_breaks_a_rule_is_refused(client: Client, program: str, path: str, query: str) -> None:
    answer = client.get(f"{path}?{query}".format(program=program))
    assert (answer.status, answer.code) == (400, "bad_request")


NOWHERE = [
    ("GET", PROGRAMS + "/ref_prog_01j8x2m4k00000000000000000"),
    ("PATCH", PROGRAMS + "/ref_prog_01j8x2m4k00000000000000000"),
    ("DELETE", PROGRAMS + "/ref_prog_01j8x2m4k00000000000000000"),
    ("GET", PROGRAMS + "/ref_prog_01j8x2m4k00000000000000000/links"),
    ("GET", LINKS + "/NOBODY-ACME-777"),
    ("GET", LINKS + "/x"),
    ("GET", LINKS + "/NOBODY-ACME-777/conversions"),
    ("POST", CONVERSIONS + "/ref_conv_01j8x2m4k00000000000000000/approve"),
    ("POST", CONVERSIONS + "/ref_conv_01j8x2m4k00000000000000000/reject"),
    ("POST", CONVERSIONS + "/ref_conv_01j8x2m4k00000000000000000/reverse"),
    ("POST", REWARDS + "/rwd_01j8x2m4k00000000000000000/issue"),
    ("GET", BOARD + "?program_id=ref_prog_01j8x2m4k00000000000000000"),
]


@pytest.mark.parametrize(("method", "path"), NOWHERE)
def test_what_is_not_there_is_not_found(client: Client, method: str, path: str) -> None:
    answer = client.request(method, path, {} if method in ("PATCH", "POST") else None)
    assert (answer.status, answer.code) == (404, "not_found")


def test_what_is_another_project_s_is_not_found(client: Client, other_client: Client, program: str) -> None:
    code, bob = code_of(client, program), contact(client, "bob")
    conversion = made(client.post(CONVERSIONS, {"link_code": code, "referred_contact_id": bob}))
    reward = client.get(REWARDS).json["data"][0]["id"]
    paths = [
        ("GET", f"{PROGRAMS}/{program}"),
        ("DELETE", f"{PROGRAMS}/{program}"),
        ("GET", f"{PROGRAMS}/{program}/links"),
        ("GET", f"{LINKS}/{code}"),
        ("GET", f"{LINKS}/{code}/conversions"),
        ("POST", f"{CONVERSIONS}/{conversion}/reverse"),
        ("POST", f"{REWARDS}/{reward}/issue"),
        ("GET", f"{BOARD}?program_id={program}"),
    ]
    assert [other_client.request(*each).status for each in paths] == [404] * len(paths)
    theirs = contact(other_client, "carol")
    body = {"link_code": code, "referred_contact_id": theirs}
    assert other_client.post(CONVERSIONS, body).fields == ["link_code"]
    assert other_client.post(LINKS, {"program_id": program, "contact_id": theirs}).fields == ["program_id"]
    assert client.post(CONVERSIONS, body).fields == ["referred_contact_id"]
    assert other_client.get(f"{CONVERSIONS}?program_id={program}").json["data"] == []
    assert other_client.get(f"{REWARDS}?program_id={program}").json["data"] == []
    assert client.get(f"{CONVERSIONS}").json["data"][0]["status"] == "approved"
