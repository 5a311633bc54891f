"""The rows of keys and projects: events, the ring of settings keys, races."""

import pytest

from chalicelib.core import clock, ids, strict_json
from chalicelib.core.errors import Conflict, NotFound, ValidationFailed
from chalicelib.edge import auth
from chalicelib.edge.auth import Keyring
from chalicelib.features.apikeys import service as apikeys
from chalicelib.features.apikeys import store
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.schemas import SettingsPatch
from chalicelib.flows import create_project
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform import table
from chalicelib.platform.aws import dynamodb
from chalicelib.platform.keys import Tenant
from chalicelib.platform.marshal import from_item
from chalicelib.workers import create_project as worker

NOW = 1_780_000_000_000


def told(table_name: str) -> list[tuple[str, object]]:
    """Name and data of every domain event, oldest first."""
    rows = [from_item(raw) for raw in dynamodb().scan(TableName=table_name)["Items"]]
    events = sorted((row for row in rows if "outbox" in row), key=lambda row: str(row["id"]))
    return [(row["outbox"], strict_json.loads(row["data"].encode())["name"]) for row in events]


def another(tenant: Tenant, *scopes: str) -> str:
    key, _, ops = apikeys.creation(tenant, "another", "secret", scopes, mode="live", now=NOW)
    table.transact(ops)
    return key.id


def test_a_project_is_made_with_two_keys_and_their_events(table: str) -> None:
    made = create_project.run("Acme", "test", "growth", now=NOW)
    project = projects.get(Tenant(made.project_id))
    assert (project.name, project.mode, project.plan, project.created_at) == ("Acme", "test", "growth", NOW)
    assert told(table) == [("key.created", "First secret key"), ("key.created", "First write key")]


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, ["name"]),
        ({"name": " "}, ["name"]),
        ({"name": 1, "mode": "x", "plan": []}, ["name", "mode", "plan"]),
        ({"name": "x", "colour": "red"}, ["colour"]),
    ],
)
def test_the_operators_function_names_every_fault(table: str, given: dict[str, object], fields: list[str]) -> None:
    with pytest.raises(ValidationFailed) as caught:
        worker.handle(given)
    assert [entry["field"] for entry in caught.value.details] == fields


def test_the_operators_function_answers_the_keys(table: str) -> None:
    made = worker.handle({"name": "Acme", "mode": "test", "plan": "scale"})
    assert set(made) == {"project_id", "secret_key", "write_key"}
    assert made["secret_key"].startswith("gos_sk_test_")


def test_a_revocation_is_told_once(project: CreatedProject, table: str) -> None:
    tenant = Tenant(project.project_id)
    key_id = another(tenant, "contacts:read")
    for immediate in (False, True, True):
        apikeys.revoke(tenant, key_id, immediate=immediate, now=NOW)
    assert [name for name, _ in told(table)].count("key.revoked") == 1


def test_of_two_keys_that_revoke_each_other_one_stays(project: CreatedProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both see two keys; the ring's condition lets one pass."""
    tenant = Tenant(project.project_id)
    first = next(key.id for key in store.newest(tenant, 10, None) if key.type == "secret")
    second = another(tenant, "settings:write")
    load = store.load
    interleaved: list[str] = []

    def load_then_lose_the_other(of: Tenant, key_id: str) -> object:
        key = load(of, key_id)
        if not interleaved:
            interleaved.append(key_id)
            apikeys.revoke(tenant, second, immediate=True, now=NOW)
        return key

    monkeypatch.setattr(store, "load", load_then_lose_the_other)
    with pytest.raises(Conflict):
        apikeys.revoke(tenant, first, immediate=True, now=NOW)
    assert apikeys.revoke(tenant, second, immediate=False, now=NOW).expires_at == NOW


def test_two_revocations_of_one_key_agree(project: CreatedProject, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = Tenant(project.project_id)
    key_id = another(tenant, "settings:write")
    load = store.load
    interleaved: list[int | None] = []

    def load_then_be_overtaken(of: Tenant, ident: str) -> object:
        key = load(of, ident)
        if not interleaved:
            interleaved.append(0)
            interleaved.append(apikeys.revoke(tenant, key_id, immediate=False, now=NOW - 5).expires_at)
        return key

    monkeypatch.setattr(store, "load", load_then_be_overtaken)
    assert apikeys.revoke(tenant, key_id, immediate=False, now=NOW).expires_at == interleaved[-1]


def test_two_changes_of_settings_are_both_kept(project: CreatedProject, monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.features.projects import store as project_store

    tenant = Tenant(project.project_id)
    load = project_store.load
    interleaved: list[str] = []

    def load_then_be_overtaken(of: Tenant) -> object:
        before = load(of)
        if not interleaved:
            interleaved.append("once")
            projects.update(tenant, SettingsPatch(domain="acme.com"))
        return before

    monkeypatch.setattr(project_store, "load", load_then_be_overtaken)
    projects.update(tenant, SettingsPatch(sender_name="Ann"))
    after = projects.get(tenant)
    assert (after.domain, after.sender_name, after.version) == ("acme.com", "Ann", 3)


def test_now_is_real_in_a_live_project_and_stands_in_a_test_project(table: str) -> None:
    live = create_project.run("Live", now=NOW)
    test = create_project.run("Test", "test", now=NOW)
    assert projects.now(Tenant(test.project_id)) == NOW
    assert abs(projects.now(Tenant(live.project_id)) - clock.system_ms()) < clock.MINUTE
    with pytest.raises(NotFound):
        projects.now(Tenant(ids.new_project_id(is_test=True)))


class TestMemory:
    """What an instance keeps of the keys that it has seen."""

    def test_a_warm_key_costs_no_call(self, project: CreatedProject, monkeypatch: pytest.MonkeyPatch) -> None:
        memory = Keyring()
        memory.find(project.secret_key)
        monkeypatch.setattr(auth, "_look_up", no_call)
        assert memory.find(project.secret_key) is not None

    @pytest.mark.usefixtures("table")
    def test_an_unknown_key_is_looked_up_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        memory, unknown = Keyring(), "gos_wk_" + "A" * 43
        assert memory.find(unknown) is None
        monkeypatch.setattr(auth, "_look_up", no_call)
        assert memory.find(unknown) is None

    def test_what_looks_like_no_key_is_never_looked_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(auth, "_look_up", no_call)
        assert Keyring().find("gos_wk_short") is None

    def test_it_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(auth, "_look_up", lambda _text: None)
        monkeypatch.setattr(auth, "_ENTRIES_MAX", 10)
        memory = Keyring()
        for n in range(50):
            memory.find(f"gos_wk_{n:043d}")
        assert len(memory._entries) == 10


def no_call(_text: str) -> None:
    raise AssertionError("the table was asked")
