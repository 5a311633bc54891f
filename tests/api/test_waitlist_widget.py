"""What whoever joins by itself may do and see: no address is guessed, and nobody's traits are overwritten."""

from typing import Any

import pytest

from chalicelib.core.clock import SECOND, parse_instant
from chalicelib.flows.create_project import CreatedProject
from tests.support.client import Client, Response

LISTS = "/v1/waitlists"


@pytest.fixture
def waitlist(client: Client) -> str:
    made: str = client.post(LISTS, {"name": "Early", "slug": "early"}).json["id"]
    return made


@pytest.fixture
def widget(project: CreatedProject, waitlist: str) -> Client:
    """Calls with the write key, as a page does."""
    return Client(project.write_key)


def join(widget: Client, email: str, **fields: Any) -> Response:
    return widget.post(f"{LISTS}/early/join", {"email": email} | fields)


def status(widget: Client, **query: str) -> Response:
    return widget.get(f"{LISTS}/early/status", query=query)


def test_who_joins_sees_its_place_and_not_what_is_the_projects_own(widget: Client) -> None:
    answer = join(widget, "Ann@X.io ")
    assert answer.status == 201
    assert answer.json["position"] == 1
    assert answer.json["email"] == "ann@x.io"
    assert not {"contact_id", "referred_by", "referral_status", "referral_reasons"} & answer.json.keys()
    assert "x.io" not in answer.json["status_token"]


def test_a_page_of_any_origin_may_join_and_ask(widget: Client) -> None:
    assert join(widget, "ann@x.io").headers["access-control-allow-origin"] == "*"
    assert status(widget, token="x").headers["access-control-allow-origin"] == "*"
    assert widget.request("OPTIONS", f"{LISTS}/early/join").status in (200, 204)


def test_the_same_email_joins_once(widget: Client) -> None:
    first, again = join(widget, "ann@x.io"), join(widget, "ann@x.io")
    assert (first.status, again.status) == (201, 200)
    assert first.json["id"] == again.json["id"]


def test_a_key_in_the_body_is_a_key(project: CreatedProject, waitlist: str) -> None:
    body = {"email": "ann@x.io", "writeKey": project.write_key}
    assert Client().post(f"{LISTS}/early/join", body).status == 201


def test_without_a_key_nobody_joins(waitlist: str) -> None:
    assert Client().post(f"{LISTS}/early/join", {"email": "ann@x.io"}).status == 401


def test_the_token_tells_the_place_as_it_is_now(client: Client, widget: Client, waitlist: str) -> None:
    join(widget, "first@x.io")
    token = join(widget, "ann@x.io").json["status_token"]
    told = status(widget, token=token)
    assert told.status == 200
    assert (told.json["position"], told.json["status"], told.json["total_waiting"]) == (2, "waiting", 2)
    client.post(f"{LISTS}/{waitlist}/entries/approve-batch", {"count": 1})
    assert status(widget, token=token).json["position"] == 1
    client.post(f"{LISTS}/{waitlist}/entries/approve-batch", {"count": 1})
    told = status(widget, token=token)
    assert (told.json["position"], told.json["status"], told.json["total_waiting"]) == (None, "approved", 0)


def test_a_given_address_has_to_be_the_one_that_joined(widget: Client) -> None:
    token = join(widget, "ann@x.io").json["status_token"]
    assert status(widget, token=token, email=" ANN@x.io").status == 200
    assert status(widget, token=token, email="bob@x.io").status == 404


def test_without_its_token_an_address_that_joined_answers_as_one_that_did_not(
    client: Client, widget: Client, waitlist: str
) -> None:
    token = join(widget, "ann@x.io").json["status_token"]
    client.post(LISTS, {"name": "Other", "slug": "other"})
    theirs = widget.post(f"{LISTS}/other/join", {"email": "ann@x.io"}).json["status_token"]
    spoiled = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    queries: list[dict[str, str]] = [
        *({"email": email} for email in ("ann@x.io", "nobody@x.io")),
        *({"token": each, "email": "ann@x.io"} for each in (spoiled, theirs, "", "%%", "é", token + "=", token * 2)),
    ]
    answers = [status(widget, **query) for query in queries]
    assert {each.status for each in answers} == {404}
    assert len({str(each.json["error"]) for each in answers}) == 1


def test_the_token_of_an_entry_that_has_left_tells_nothing(client: Client, widget: Client, waitlist: str) -> None:
    joined = join(widget, "ann@x.io").json
    client.delete(f"{LISTS}/{waitlist}/entries/{joined['id']}")
    assert status(widget, token=joined["status_token"]).status == 404


def test_traits_that_a_contact_has_stay_and_those_that_it_lacks_are_added(client: Client, widget: Client) -> None:
    known = client.post("/v1/contacts", {"external_id": "u1", "email": "ann@x.io", "traits": {"plan": "pro"}}).json
    join(widget, "ann@x.io", traits={"plan": "free", "name": "Mallory", "email": "mallory@x.io"})
    contact = client.get(f"/v1/contacts/{known['id']}").json
    assert contact["traits"] == {"plan": "pro", "name": "Mallory", "email": "ann@x.io"}
    assert contact["external_id"] == "u1"


def test_nobody_removes_a_trait_of_somebody_known(client: Client, widget: Client) -> None:
    known = client.post("/v1/contacts", {"email": "ann@x.io", "traits": {"plan": "pro"}}).json
    join(widget, "ann@x.io", traits={"plan": None})
    assert client.get(f"/v1/contacts/{known['id']}").json["traits"]["plan"] == "pro"


def test_whom_the_project_adds_has_the_traits_that_it_says(client: Client, waitlist: str) -> None:
    known = client.post("/v1/contacts", {"email": "ann@x.io", "traits": {"plan": "pro"}}).json
    client.post(f"{LISTS}/{waitlist}/entries", {"email": "ann@x.io", "traits": {"plan": "free"}})
    assert client.get(f"/v1/contacts/{known['id']}").json["traits"]["plan"] == "free"


def test_an_unsubscribed_contact_that_joins_stays_unsubscribed(client: Client, widget: Client) -> None:
    known = client.post("/v1/contacts", {"email": "ann@x.io", "unsubscribed": True}).json
    join(widget, "ann@x.io", traits={"name": "Ann"})
    assert client.get(f"/v1/contacts/{known['id']}").json["unsubscribed_at"] is not None


def test_the_moment_of_joining_is_that_of_the_call(widget: Client, client: Client, waitlist: str) -> None:
    made = client.get(f"{LISTS}/{waitlist}").json["created_at"]
    joined = join(widget, "ann@x.io").json["joined_at"]
    assert 0 <= parse_instant(joined) - parse_instant(made) < 60 * SECOND


def test_a_waitlist_is_named_by_its_id_as_well(widget: Client, waitlist: str) -> None:
    assert widget.post(f"{LISTS}/{waitlist}/join", {"email": "ann@x.io"}).status == 201
