"""GET and PATCH /v1/settings."""

from typing import Any

import pytest

from chalicelib.flows.create_project import CreatedProject
from tests.support.client import Client

DEFAULTS: dict[str, Any] = {
    "domain": None,
    "timezone": "UTC",
    "default_from_email": None,
    "sender_name": None,
    "postal_address": None,
    "quiet_hours": None,
    "ip_allowlist": [],
    "referral_base_url": None,
    "brand_color": None,
    "scoring": {
        "engagement": {"half_life": "14d", "default_event": 5, "events": {"$page_view": 1}, "traits": []},
        "lead": {"half_life": "30d", "default_event": 0, "events": {}, "traits": []},
    },
}


def test_a_new_project_has_its_defaults(client: Client, project: CreatedProject) -> None:
    settings = client.get("/v1/settings").json
    assert settings.pop("created_at").endswith("Z")
    assert settings == DEFAULTS | {
        "project_id": project.project_id,
        "name": "Acme",
        "mode": "live",
        "plan": "scale",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Acme Growth"},
        {"domain": "acme.com"},
        {"timezone": "Europe/London"},
        {"default_from_email": "hello@acme.com"},
        {"sender_name": "Ann of Acme"},
        {"postal_address": "1 Main Street\nSpringfield"},
        {"quiet_hours": {"start": "22:00", "end": "08:00"}},
        {"ip_allowlist": ["203.0.113.0/24", "2001:db8::1"]},
        {"referral_base_url": "https://acme.com/invite"},
        {"brand_color": "#0b57d0"},
    ],
)
def test_a_patch_changes_what_is_sent_and_nothing_else(client: Client, change: dict[str, Any]) -> None:
    before = client.get("/v1/settings").json
    answer = client.patch("/v1/settings", change)
    assert (answer.status, answer.json) == (200, before | change)
    assert client.get("/v1/settings").json == answer.json


def test_several_patches_add_up(client: Client) -> None:
    client.patch("/v1/settings", {"domain": "acme.com"})
    client.patch("/v1/settings", {"timezone": "Asia/Tokyo"})
    settings = client.get("/v1/settings").json
    assert (settings["domain"], settings["timezone"]) == ("acme.com", "Asia/Tokyo")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"domain": "acme.com"}, "domain"),
        ({"default_from_email": "a@acme.com"}, "default_from_email"),
        ({"quiet_hours": {"start": "22:00", "end": "08:00"}}, "quiet_hours"),
        ({"ip_allowlist": ["203.0.113.7"]}, "ip_allowlist"),
        ({"brand_color": "#0b57d0"}, "brand_color"),
        ({"scoring": {"lead": {"half_life": "3d"}}}, "scoring"),
    ],
)
def test_null_removes(client: Client, change: dict[str, Any], field: str) -> None:
    client.patch("/v1/settings", change)
    assert client.patch("/v1/settings", {field: None}).json[field] == DEFAULTS[field]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"plan": "scale"}, "plan"),
        ({"mode": "test"}, "mode"),
        ({"project_id": "x"}, "project_id"),
        ({"name": None}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"timezone": None}, "timezone"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "europe/london"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"timezone": "localtime"}, "timezone"),
        ({"domain": "no spaces.com"}, "domain"),
        ({"domain": "https://acme.com"}, "domain"),
        ({"default_from_email": "acme.com"}, "default_from_email"),
        ({"default_from_email": "a@b@acme.com"}, "default_from_email"),
        ({"default_from_email": "a@acme.com\r\nBcc: x@y.zz"}, "default_from_email"),
        ({"sender_name": "Ann\r\nBcc: x@y.zz"}, "sender_name"),
        ({"quiet_hours": {"start": "24:00", "end": "08:00"}}, "quiet_hours.start"),
        ({"quiet_hours": {"start": "22:00"}}, "quiet_hours.end"),
        ({"quiet_hours": {"start": "22:00", "end": "22:00"}}, "quiet_hours"),
        ({"ip_allowlist": "203.0.113.7"}, "ip_allowlist"),
        ({"ip_allowlist": ["203.0.113.7", "300.1.1.1"]}, "ip_allowlist.1"),
        ({"ip_allowlist": ["203.0.113.7/24"]}, "ip_allowlist.0"),
        ({"ip_allowlist": [f"203.0.113.{n}" for n in range(101)]}, "ip_allowlist"),
        ({"referral_base_url": "javascript:alert(1)"}, "referral_base_url"),
        ({"referral_base_url": "https://acme.com/?a=b"}, "referral_base_url"),
        ({"brand_color": "0b57d0"}, "brand_color"),
        ({"brand_color": "#fff"}, "brand_color"),
        ({"brand_color": "#0b57d0ff"}, "brand_color"),
        ({"brand_color": "#0b57d0\n"}, "brand_color"),
        ({"brand_color": "#0b57dg"}, "brand_color"),
        ({"brand_color": "red;}body{display:none"}, "brand_color"),
        ({"brand_color": 0x0B57D0}, "brand_color"),
        ({"scoring": {"engagement": {}}}, "scoring.engagement.half_life"),
        ({"scoring": {"engagement": {"half_life": "14 days"}}}, "scoring.engagement.half_life"),
        ({"scoring": {"lead": {"half_life": "0d"}}}, "scoring.lead.half_life"),
        ({"scoring": {"lead": {"half_life": "1d", "events": {"x": "5"}}}}, "scoring.lead.events.x"),
        ({"scoring": {"lead": {"half_life": "1d", "events": {"x": 1e9}}}}, "scoring.lead.events.x"),
        ({"scoring": {"lead": {"half_life": "1d", "traits": [{"field": "a"}]}}}, "scoring.lead.traits.0.op"),
        (
            {"scoring": {"lead": {"half_life": "1d", "traits": [{"field": "a", "op": "eq", "points": 1}]}}},
            "scoring.lead.traits.0",
        ),
        ({"scoring": {"other": {}}}, "scoring.other"),
        ({"domain": "acme.-com"}, "domain"),
        ({"domain": "acme.123"}, "domain"),
        ({"domain": "acme"}, "domain"),
        ({"domain": "acme.com."}, "domain"),
        ({"default_from_email": ".a@acme.com"}, "default_from_email"),
        ({"default_from_email": "a.@acme.com"}, "default_from_email"),
        ({"default_from_email": "a..b@acme.com"}, "default_from_email"),
        ({"name": "Ac\u0000me"}, "name"),
        ({"sender_name": "Ann\u0007"}, "sender_name"),
        ({"sender_name": "  "}, "sender_name"),
        ({"postal_address": " \n "}, "postal_address"),
        ({"postal_address": "1 Main\u0000 Street"}, "postal_address"),
        ({"referral_base_url": "https://:443/x"}, "referral_base_url"),
        ({"referral_base_url": "https://acme.com:99999/x"}, "referral_base_url"),
        ({"referral_base_url": "https://acme.com:0"}, "referral_base_url"),
        ({"referral_base_url": "https://[::1/x"}, "referral_base_url"),
        ({"referral_base_url": "https://[1::2::3]"}, "referral_base_url"),
        ({"referral_base_url": "https://.../x"}, "referral_base_url"),
        ({"referral_base_url": "https://acme.com\\@evil.com/"}, "referral_base_url"),
        ({"referral_base_url": "https://acme.com/\u0001"}, "referral_base_url"),
        ({"ip_allowlist": ["fe80::1%eth0"]}, "ip_allowlist.0"),
        ({"ip_allowlist": ["fe80::%1/64"]}, "ip_allowlist.0"),
        ({"ip_allowlist": ["::ffff:203.0.113.7/120"]}, "ip_allowlist.0"),
    ],
)
def test_a_broken_rule_is_422_names_the_field_and_changes_nothing(
    client: Client, change: dict[str, Any], field: str
) -> None:
    before = client.get("/v1/settings").json
    response = client.patch("/v1/settings", {"sender_name": "Changed"} | change)
    assert response.status == 422
    assert field in response.fields
    assert client.get("/v1/settings").json == before


def test_scoring_comes_back_as_it_was_given_with_defaults_filled_in(client: Client) -> None:
    rule = {"field": "traits.plan", "op": "eq", "value": "pro", "points": 10}
    exists = {"field": "traits.phone", "op": "exists", "points": 2.5}
    answer = client.patch("/v1/settings", {"scoring": {"lead": {"half_life": "3d", "traits": [rule, exists]}}})
    assert answer.json["scoring"] == {
        "engagement": DEFAULTS["scoring"]["engagement"],
        "lead": {"half_life": "3d", "default_event": 0, "events": {}, "traits": [rule, exists]},
    }
    assert client.get("/v1/settings").json == answer.json


@pytest.mark.parametrize(
    ("op", "value"),
    [
        ("eq", "x" * 1_025),
        ("eq", {"a": 1}),
        ("eq", None),
        ("in", ["x"] * 501),
        ("in", [["x"]]),
        ("in", "x"),
        ("gt", "many"),
        ("gte", True),
        ("lt", [1]),
        ("lte", "now-7y"),
        ("gt", "2026-02-30"),
    ],
)
def test_a_rules_value_has_bounds_and_the_type_of_its_op(client: Client, op: str, value: Any) -> None:
    rule = {"field": "traits.seats", "op": op, "value": value, "points": 1}
    response = client.patch("/v1/settings", {"scoring": {"lead": {"half_life": "1d", "traits": [rule]}}})
    assert (response.status, response.fields) == (422, ["scoring.lead.traits.0.value"])


@pytest.mark.parametrize(
    ("op", "value"),
    [
        ("gt", 3),
        ("gte", 2.5),
        ("lt", "2026-02-23"),
        ("lte", "now-7d"),
        ("gt", "now+3d"),
        ("in", ["x"] * 500),
        ("eq", ""),
    ],
)
def test_a_rule_within_its_bounds_is_kept(client: Client, op: str, value: Any) -> None:
    rule = {"field": "traits.seats", "op": op, "value": value, "points": 1}
    answer = client.patch("/v1/settings", {"scoring": {"lead": {"half_life": "1d", "traits": [rule]}}})
    assert answer.json["scoring"]["lead"]["traits"] == [rule]


def test_a_field_named_as_a_type_is_told_once(client: Client) -> None:
    scoring = {"lead": {"half_life": "1d", "default_event": {"int": 1, "float": 2}}}
    response = client.patch("/v1/settings", {"scoring": scoring})
    assert response.fields == ["scoring.lead.default_event"]


@pytest.mark.parametrize(
    "change", [{"scoring": {"lead": 1}}, {"scoring": 1}, {"quiet_hours": "x"}, {"ip_allowlist": {}}]
)
def test_no_message_names_a_class(client: Client, change: dict[str, Any]) -> None:
    response = client.patch("/v1/settings", change)
    (told,) = response.json["error"]["details"]
    assert told["message"] in ("Input should be an object", "Input should be a list")


def test_large_scores_are_422_and_not_too_much_for_the_table(client: Client) -> None:
    rule = {"field": "traits.plan", "op": "in", "value": ["x" * 900] * 4, "points": 1}
    response = client.patch("/v1/settings", {"scoring": {"lead": {"half_life": "1d", "traits": [rule] * 100}}})
    assert (response.status, response.fields) == (422, ["scoring"])


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"domain": "Bücher.example"}, {"domain": "xn--bcher-kva.example"}),
        ({"domain": "ACME.com"}, {"domain": "acme.com"}),
        ({"default_from_email": "Ann@bücher.example"}, {"default_from_email": "Ann@xn--bcher-kva.example"}),
        ({"referral_base_url": "http://localhost:8080/r"}, {}),
        ({"referral_base_url": "https://[2001:db8::1]:8443/"}, {}),
        ({"referral_base_url": "https://bücher.example"}, {}),
        ({"postal_address": "1 Main Street\r\nSpringfield"}, {}),
    ],
)
def test_a_setting_is_kept_in_its_plain_form(client: Client, given: dict[str, str], kept: dict[str, str]) -> None:
    assert client.patch("/v1/settings", given).status == 200
    settings = client.get("/v1/settings").json
    assert {name: settings[name] for name in given} == given | kept


def test_an_empty_patch_changes_nothing(client: Client) -> None:
    before = client.get("/v1/settings").json
    assert client.patch("/v1/settings", {}).json == before


def test_another_projects_settings_do_not_change(client: Client, other_client: Client) -> None:
    before = other_client.get("/v1/settings").json
    client.patch("/v1/settings", {"domain": "acme.com"})
    assert other_client.get("/v1/settings").json == before


class TestAllowList:
    def test_a_caller_who_is_not_on_it_is_403(self, client: Client) -> None:
        client.patch("/v1/settings", {"ip_allowlist": [client.source_ip]})
        keyless_memory()
        response = client.get("/v1/settings", source_ip="198.51.100.1")
        assert (response.status, response.code) == (403, "ip_not_allowed")

    def test_a_caller_in_its_block_passes(self, client: Client) -> None:
        client.patch("/v1/settings", {"ip_allowlist": ["203.0.113.0/24"]})
        keyless_memory()
        assert client.get("/v1/settings", source_ip="203.0.113.200").status == 200

    def test_an_ipv4_address_mapped_into_ipv6_passes(self, client: Client) -> None:
        client.patch("/v1/settings", {"ip_allowlist": ["203.0.113.7"]})
        keyless_memory()
        assert client.get("/v1/settings", source_ip="::ffff:203.0.113.7").status == 200

    @pytest.mark.parametrize(
        ("entry", "kept"),
        [
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ],
    )
    def test_an_entry_mapped_into_ipv6_is_its_ipv4(self, client: Client, entry: str, kept: str) -> None:
        assert client.patch("/v1/settings", {"ip_allowlist": [entry]}).json["ip_allowlist"] == [kept]
        keyless_memory()
        assert client.get("/v1/settings").status == 200

    def test_an_address_that_is_none_is_403(self, client: Client) -> None:
        client.patch("/v1/settings", {"ip_allowlist": ["203.0.113.7"]})
        keyless_memory()
        assert client.get("/v1/settings", source_ip="unknown").status == 403

    def test_it_holds_for_write_keys_too(self, client: Client, project: CreatedProject) -> None:
        from tests.support.probe import probe

        client.patch("/v1/settings", {"ip_allowlist": [client.source_ip]})
        sender = Client(project.write_key, app=probe)
        assert sender.post("/v1/track", {}, source_ip="198.51.100.1").code == "ip_not_allowed"


def keyless_memory() -> None:
    """As on another instance, which has not seen the key."""
    from chalicelib.edge.auth import keyring

    keyring.forget()
