"""POST, GET and DELETE /v1/settings/keys, and how fast they act."""

import re

import pytest
import time_machine

from chalicelib.core import clock
from chalicelib.core.errors import Unavailable
from chalicelib.features.apikeys import service as apikeys
from chalicelib.features.apikeys.model import SCOPES
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform import aws, table
from chalicelib.platform.keys import Tenant
from tests.support.client import Client
from tests.support.keys import key_with
from tests.support.probe import probe

DAY_SECONDS = 24 * 3600


def first_key_id(client: Client) -> str:
    return next(str(key["id"]) for key in client.get("/v1/settings/keys").json["data"] if key["scopes"] == ["*"])


class TestCreate:
    def test_the_answer_shows_the_key_and_the_list_does_not(self, client: Client) -> None:
        made = client.post("/v1/settings/keys", {"name": "Dashboard", "scopes": ["analytics:read"]})
        assert made.status == 201
        assert re.fullmatch(r"gos_sk_live_[A-Za-z0-9_-]{43}", made.json["key"])
        listed = client.get("/v1/settings/keys")
        assert made.json["key"] not in listed.text
        shown = {name: value for name, value in made.json.items() if name != "key"}
        assert listed.json["data"][0] == shown
        assert shown["key_hint"] == "..." + made.json["key"][-4:]
        assert shown["type"] == "secret"
        assert {shown[name] for name in ("last_used_at", "revoked_at", "expires_at")} == {None}

    def test_a_write_key_has_no_scopes(self, client: Client) -> None:
        made = client.post("/v1/settings/keys", {"name": "Site", "type": "write"}).json
        assert made["key"].startswith("gos_wk_")
        assert (made["type"], made["scopes"]) == ("write", [])
        assert Client(made["key"], app=probe).post("/v1/track", {}).status == 202

    def test_a_key_of_a_test_project_says_so(self, test_project: CreatedProject) -> None:
        assert test_project.secret_key.startswith("gos_sk_test_")
        assert key_with(Client(test_project.secret_key), "*").startswith("gos_sk_test_")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"scopes": ["contacts:read"]}, "name"),
            ({"name": "", "scopes": ["contacts:read"]}, "name"),
            ({"name": " ", "scopes": ["contacts:read"]}, "name"),
            ({"name": "x" * 129, "scopes": ["contacts:read"]}, "name"),
            ({"name": "x"}, "scopes"),
            ({"name": "x", "scopes": []}, "scopes"),
            ({"name": "x", "scopes": ["contacts:read", "contacts:*"]}, "scopes.1"),
            ({"name": "x", "scopes": "contacts:read"}, "scopes"),
            ({"name": "x", "scopes": ["contacts:read"], "type": "public"}, "type"),
            ({"name": "x", "scopes": ["contacts:read"], "type": "write"}, "scopes"),
            ({"name": "x", "scopes": ["contacts:read"], "key": "gos_sk_live_mine"}, "key"),
        ],
    )
    def test_a_broken_rule_is_422(self, client: Client, body: dict[str, object], field: str) -> None:
        response = client.post("/v1/settings/keys", body)
        assert (response.status, response.fields) == (422, [field])

    @pytest.mark.parametrize(
        "body",
        [
            {"name": "", "scopes": ["nope"]},
            {"name": ""},
            {"name": 1, "type": "write", "scopes": ["contacts:read"]},
            {"name": "a\u0000b", "scopes": []},
        ],
    )
    def test_every_field_at_fault_is_named_at_once(self, client: Client, body: dict[str, object]) -> None:
        fields = client.post("/v1/settings/keys", body).fields
        assert [field.partition(".")[0] for field in fields] == ["name", "scopes"]

    def test_a_key_makes_no_key_with_scopes_that_it_lacks(self, client: Client) -> None:
        maker = Client(key_with(client, "settings:write", "contacts:read"))
        response = maker.post("/v1/settings/keys", {"name": "x", "scopes": ["contacts:read", "contacts:write"]})
        assert (response.status, response.code) == (403, "insufficient_scope")
        assert response.json["error"]["details"][0]["required_scope"] == "contacts:write"
        assert maker.post("/v1/settings/keys", {"name": "x", "scopes": ["*"]}).status == 403
        assert maker.post("/v1/settings/keys", {"name": "x", "scopes": ["contacts:read"]}).status == 201

    def test_a_key_that_may_not_write_contacts_makes_no_write_key(self, client: Client) -> None:
        maker = Client(key_with(client, "settings:write", "contacts:read"))
        response = maker.post("/v1/settings/keys", {"name": "x", "type": "write"})
        assert (response.status, response.code) == (403, "insufficient_scope")
        assert response.json["error"]["details"][0]["required_scope"] == "contacts:write"
        maker = Client(key_with(client, "settings:write", "contacts:write"))
        assert maker.post("/v1/settings/keys", {"name": "x", "type": "write"}).status == 201

    def test_a_key_in_its_grace_period_makes_no_other(self, client: Client) -> None:
        made = client.post("/v1/settings/keys", {"name": "x", "scopes": ["*"]}).json
        client.delete(f"/v1/settings/keys/{made['id']}")
        old = Client(made["key"])
        response = old.post("/v1/settings/keys", {"name": "y", "scopes": ["*"]})
        assert (response.status, response.code) == (409, "conflict")
        assert old.get("/v1/settings").status == 200

    @pytest.mark.parametrize("scope", SCOPES)
    def test_a_key_with_all_scopes_makes_any(self, client: Client, scope: str) -> None:
        assert key_with(client, scope)

    def test_a_replay_shows_the_same_key(self, client: Client) -> None:
        body = {"name": "x", "scopes": ["contacts:read"]}
        first, second = (client.post("/v1/settings/keys", body, headers={"Idempotency-Key": "once"}) for _ in range(2))
        assert second.json == first.json
        assert len(client.get("/v1/settings/keys").json["data"]) == 3

    def test_no_row_holds_a_key(self, client: Client, project: CreatedProject, table: str) -> None:
        made = key_with(client, "contacts:read")
        rows = str(aws.dynamodb().scan(TableName=table)["Items"])
        for text in (made, project.secret_key, project.write_key):
            assert text not in rows


class TestScopes:
    @pytest.mark.parametrize(
        ("method", "path", "needed"),
        [
            ("GET", "/v1/settings", "settings:read"),
            ("PATCH", "/v1/settings", "settings:write"),
            ("GET", "/v1/settings/keys", "settings:read"),
            ("POST", "/v1/settings/keys", "settings:write"),
            ("DELETE", "/v1/settings/keys/key_x", "settings:write"),
        ],
    )
    def test_each_endpoint_takes_its_scope_and_no_other(
        self, client: Client, method: str, path: str, needed: str
    ) -> None:
        others = [scope for scope in SCOPES if scope not in (needed, "*")]
        assert Client(key_with(client, *others)).request(method, path).status == 403
        assert Client(key_with(client, needed)).request(method, path).status != 403


class TestList:
    def test_pages_are_newest_first_and_whole(self, client: Client) -> None:
        for n in range(5):
            client.post("/v1/settings/keys", {"name": f"key {n}", "scopes": ["contacts:read"]})
        names: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            query = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
            page = client.get("/v1/settings/keys", query=query).json
            names += [key["name"] for key in page["data"]]
            cursor = page["next_cursor"]
            assert page["has_more"] == (cursor is not None)
        assert names == [*(f"key {n}" for n in (4, 3, 2, 1, 0)), "First write key", "First secret key"]

    def test_a_cursor_of_another_project_or_an_edited_one_is_400(self, client: Client, other_client: Client) -> None:
        cursor = client.get("/v1/settings/keys?limit=1").json["next_cursor"]
        assert other_client.get("/v1/settings/keys", query={"cursor": cursor}).fields == ["cursor"]
        for edited in (cursor[:-2] + "AA", cursor + "A", "x", "é", ""):
            assert client.get("/v1/settings/keys", query={"cursor": edited}).status == 400

    def test_it_shows_no_key_of_another_project(self, client: Client, other_client: Client) -> None:
        mine = {key["id"] for key in client.get("/v1/settings/keys").json["data"]}
        theirs = {key["id"] for key in other_client.get("/v1/settings/keys").json["data"]}
        assert mine
        assert not mine & theirs

    def test_last_used_at_is_true_to_five_minutes(self, client: Client) -> None:
        with time_machine.travel(clock.system_ms() / 1000, tick=False) as traveller:
            for _ in range(4):
                traveller.shift(100)
                client.get("/v1/settings")
            used = next(key for key in client.get("/v1/settings/keys").json["data"] if key["scopes"] == ["*"])
            assert clock.system_ms() - clock.parse_instant(used["last_used_at"]) <= 5 * clock.MINUTE

    def test_a_use_that_could_not_be_noted_is_noted_with_the_next_call(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise Unavailable

        with monkeypatch.context() as patch:
            patch.setattr(apikeys, "touch", fail)
            assert client.get("/v1/settings").status == 200
        client.get("/v1/settings")
        used = next(key for key in client.get("/v1/settings/keys").json["data"] if key["scopes"] == ["*"])
        assert used["last_used_at"] is not None


class TestRevoke:
    def test_a_revoked_key_works_for_24_more_hours(self, client: Client) -> None:
        with time_machine.travel(1_780_000_000, tick=False) as traveller:
            made = client.post("/v1/settings/keys", {"name": "x", "scopes": ["settings:read"]}).json
            answer = client.delete(f"/v1/settings/keys/{made['id']}")
            old = Client(made["key"])
            traveller.shift(DAY_SECONDS - 1)
            assert old.get("/v1/settings").status == 200
            traveller.shift(1)
            assert old.get("/v1/settings").status == 401
        assert (answer.status, answer.json) == (
            200,
            {
                "id": made["id"],
                "deleted": True,
                "revoked_at": "2026-05-28T20:26:40Z",
                "expires_at": "2026-05-29T20:26:40Z",
            },
        )

    def test_the_list_shows_the_times(self, client: Client) -> None:
        made = client.post("/v1/settings/keys", {"name": "x", "scopes": ["settings:read"]}).json
        answer = client.delete(f"/v1/settings/keys/{made['id']}").json
        listed = client.get("/v1/settings/keys").json["data"][0]
        assert (listed["revoked_at"], listed["expires_at"]) == (answer["revoked_at"], answer["expires_at"])

    def test_immediate_cuts_within_five_seconds_on_an_instance_that_knows_the_key(self, client: Client) -> None:
        with time_machine.travel(1_780_000_000, tick=False) as traveller:
            made = client.post("/v1/settings/keys", {"name": "x", "scopes": ["settings:read"]}).json
            old = Client(made["key"])
            assert old.get("/v1/settings").status == 200
            client.delete(f"/v1/settings/keys/{made['id']}?immediate=true")
            traveller.shift(5)
            assert old.get("/v1/settings").status == 401

    def test_immediate_also_cuts_a_key_in_its_grace_period(self, client: Client) -> None:
        made = client.post("/v1/settings/keys", {"name": "x", "scopes": ["settings:read"]}).json
        grace = client.delete(f"/v1/settings/keys/{made['id']}").json
        cut = client.delete(f"/v1/settings/keys/{made['id']}?immediate=true").json
        assert cut["revoked_at"] == grace["revoked_at"]
        assert clock.parse_instant(cut["expires_at"]) < clock.parse_instant(grace["expires_at"])
        assert Client(made["key"]).get("/v1/settings").status == 401

    def test_to_revoke_again_answers_the_same(self, client: Client) -> None:
        made = client.post("/v1/settings/keys", {"name": "x", "scopes": ["settings:read"]}).json
        first = client.delete(f"/v1/settings/keys/{made['id']}?immediate=true")
        for query in ("", "?immediate=true"):
            again = client.delete(f"/v1/settings/keys/{made['id']}{query}")
            assert (again.status, again.json) == (200, first.json)

    @pytest.mark.parametrize("text", ["yes", "1", "True", "on", "", " true"])
    def test_immediate_is_true_or_false(self, client: Client, text: str) -> None:
        response = client.delete("/v1/settings/keys/key_x", query={"immediate": text})
        assert (response.status, response.fields) == (400, ["immediate"])

    def test_a_key_of_another_project_is_404(self, client: Client, other_client: Client) -> None:
        assert other_client.delete(f"/v1/settings/keys/{first_key_id(client)}").code == "not_found"

    @pytest.mark.parametrize("ident", ["key_nope", "PROJECT", "x", "key_01m82rjx7jbc26tp2tdyyjxvf9"])
    def test_an_unknown_key_is_404(self, client: Client, ident: str) -> None:
        assert client.delete(f"/v1/settings/keys/{ident}").code == "not_found"

    def test_the_last_key_with_settings_write_stays(self, client: Client) -> None:
        response = client.delete(f"/v1/settings/keys/{first_key_id(client)}")
        assert (response.status, response.code) == (409, "conflict")
        assert client.get("/v1/settings").status == 200

    def test_a_key_in_its_grace_period_does_not_count_as_another_one(self, client: Client) -> None:
        second = client.post("/v1/settings/keys", {"name": "x", "scopes": ["settings:write"]}).json
        assert client.delete(f"/v1/settings/keys/{second['id']}").status == 200
        assert client.delete(f"/v1/settings/keys/{first_key_id(client)}").status == 409

    def test_a_key_may_be_rotated(self, client: Client) -> None:
        fresh = Client(key_with(client, "*"))
        assert fresh.delete(f"/v1/settings/keys/{first_key_id(client)}").status == 200

    def test_a_write_key_may_always_be_revoked(self, client: Client, project: CreatedProject) -> None:
        write = next(key for key in client.get("/v1/settings/keys").json["data"] if key["type"] == "write")
        assert client.delete(f"/v1/settings/keys/{write['id']}?immediate=true").status == 200
        assert Client(project.write_key, app=probe).post("/v1/track", {}).status == 401

    def test_grace_runs_on_the_clock_of_a_test_project(self, test_project: CreatedProject) -> None:
        client = Client(test_project.secret_key)
        made = client.post("/v1/settings/keys", {"name": "x", "scopes": ["settings:read"]}).json
        answer = client.delete(f"/v1/settings/keys/{made['id']}").json
        old = Client(made["key"])
        with time_machine.travel(clock.system_ms() / 1000 + 3 * DAY_SECONDS, tick=False):
            assert old.get("/v1/settings").status == 200
        end = clock.parse_instant(answer["expires_at"])
        table.write(table.Update(Tenant(test_project.project_id).test_clock(), set_={"now": end}))
        assert old.get("/v1/settings").status == 401
