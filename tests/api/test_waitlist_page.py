"""The page that tells whoever has its address where somebody stands."""

from typing import Any
from urllib.parse import quote

import pytest

from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform import mail_tokens
from chalicelib.platform.keys import Tenant
from chalicelib.platform.mail_tokens import Token
from tests.support.client import Client, Response

LISTS = "/v1/waitlists"


@pytest.fixture
def waitlist(client: Client) -> str:
    made: str = client.post(LISTS, {"name": "Early <i>birds</i>", "slug": "early"}).json["id"]
    return made


@pytest.fixture
def widget(project: CreatedProject, waitlist: str) -> Client:
    return Client(project.write_key)


def join(widget: Client, email: str) -> dict[str, Any]:
    joined: dict[str, Any] = widget.post(f"{LISTS}/early/join", {"email": email}).json
    return joined


def token(joined: dict[str, Any]) -> str:
    return str(joined["status_url"]).rpartition("/")[2]


def page(text: str, method: str = "GET") -> Response:
    return Client().request(method, f"/w/{text}")


def test_it_is_below_the_address_that_the_deployment_has(widget: Client) -> None:
    assert join(widget, "ann@x.io")["status_url"].startswith("https://mail.acme.test/w/")


def test_it_tells_the_place_how_many_wait_and_what_to_share(client: Client, widget: Client) -> None:
    client.patch("/v1/settings", {"brand_color": "#ABCDEF", "referral_base_url": "https://acme.test/r"})
    join(widget, "first@x.io")
    joined = join(widget, "ann@x.io")
    shown = page(token(joined))
    assert shown.status == 200
    assert "You are number 2" in shown.text
    assert "2 people wait for Early &lt;i&gt;birds&lt;/i&gt;." in shown.text
    assert f"https://acme.test/r/{joined['referral_code']}" in shown.text
    assert "--brand:#abcdef" in shown.text
    assert ">Acme<" in shown.text
    assert "x.io" not in shown.text


def test_it_tells_the_place_as_it_is_now(client: Client, widget: Client, waitlist: str) -> None:
    joined = join(widget, "ann@x.io")
    assert "You are the only one who waits" in page(token(joined)).text
    client.post(f"{LISTS}/{waitlist}/entries/{joined['id']}/approve")
    assert "You are in" in page(token(joined)).text


def test_an_entry_that_has_left_has_no_page(client: Client, widget: Client, waitlist: str) -> None:
    joined = join(widget, "ann@x.io")
    client.delete(f"{LISTS}/{waitlist}/entries/{joined['id']}")
    assert page(token(joined)).status == 404


def test_a_waitlist_that_is_deleted_has_no_pages(client: Client, widget: Client, waitlist: str) -> None:
    joined = join(widget, "ann@x.io")
    client.delete(f"{LISTS}/{waitlist}")
    assert page(token(joined)).status == 404


def test_whatever_is_no_such_address_is_answered_alike(project: CreatedProject, widget: Client) -> None:
    joined = join(widget, "ann@x.io")
    good = token(joined)
    spoiled = good[:-2] + ("AA" if good[-2:] != "AA" else "BB")
    mail = mail_tokens.make(Token("unsubscribe", Tenant(project.project_id), "cntct_x", "msg_x"))
    others = (spoiled, good[:-1], good + "=", good * 2, "A" * 5_000, "%00", "\0", quote("é"), "é", mail)
    answers = [page(each) for each in (*others, joined["status_token"], joined["id"])]
    assert {each.status for each in answers} == {404}
    assert len({each.text for each in answers}) == 1
    assert answers[0].headers["content-type"].startswith("text/html")


def test_another_method_is_refused(widget: Client) -> None:
    assert page(token(join(widget, "ann@x.io")), "POST").status == 405


def test_nobody_keeps_indexes_or_frames_it(widget: Client) -> None:
    headers = page(token(join(widget, "ann@x.io"))).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-robots-tag"] == "noindex"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
