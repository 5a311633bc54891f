"""What the edge does for ingest alone: kinds of credentials, open CORS, any content type, errors at the root."""

import base64
import gzip

import pytest

from chalicelib.flows.create_project import CreatedProject
from tests.support.client import Client
from tests.support.keys import key_with
from tests.support.probe import SECRET_OF_THE_SERVER, probe


@pytest.fixture
def sender(project: CreatedProject) -> Client:
    return Client(project.write_key, app=probe)


def basic(user: str, password: str = "") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_a_write_key_by_bearer_is_202(sender: Client) -> None:
    assert sender.post("/v1/track", {"event": "x"}).status == 202


def test_a_write_key_in_the_query_is_202(sender: Client, project: CreatedProject) -> None:
    assert sender.post("/v1/track", {"event": "x"}, key="", query={"writeKey": project.write_key}).status == 202


@pytest.mark.parametrize("password", ["", "x", "a:b"])
def test_a_write_key_by_basic_is_200(sender: Client, project: CreatedProject, password: str) -> None:
    assert sender.post("/v1/track", {"event": "x"}, headers=basic(project.write_key, password)).status == 200


def test_an_error_by_basic_keeps_its_status(sender: Client, project: CreatedProject) -> None:
    assert sender.post("/v1/track", b"{", headers=basic(project.write_key)).status == 400


@pytest.mark.parametrize("name", ["writeKey", "write_key"])
def test_a_write_key_in_the_body_is_202(sender: Client, project: CreatedProject, name: str) -> None:
    assert sender.post("/v1/track", {"event": "x", name: project.write_key}, key="").status == 202


def test_a_key_in_the_body_of_a_packed_text_is_read(sender: Client, project: CreatedProject) -> None:
    body = gzip.compress(b'{"writeKey":"' + project.write_key.encode() + b'"}')
    assert sender.post("/v1/track", body, key="", content_type="text/plain").status == 202


def test_a_header_wins_over_the_body(sender: Client, project: CreatedProject) -> None:
    response = sender.post("/v1/track", {"writeKey": project.write_key}, headers={"Authorization": "Bearer nope"})
    assert response.status == 401


def test_a_secret_key_with_contacts_write_may_send_by_header(sender: Client, project: CreatedProject) -> None:
    assert sender.post("/v1/track", {"event": "x"}, key=project.secret_key).status == 202


def test_a_secret_key_without_contacts_write_is_403(sender: Client, client: Client) -> None:
    response = sender.post("/v1/track", {"event": "x"}, key=key_with(client, "contacts:read"))
    assert (response.status, response.code) == (403, "insufficient_scope")


def test_a_secret_key_in_the_query_is_401(sender: Client, project: CreatedProject) -> None:
    assert sender.post("/v1/track", {"event": "x"}, key="", query={"writeKey": project.secret_key}).status == 401


@pytest.mark.parametrize("key", [None, ""])
def test_a_secret_key_in_the_body_is_401(sender: Client, project: CreatedProject, key: str | None) -> None:
    assert sender.post("/v1/track", {"writeKey": project.secret_key}, key=key).status == 401


def test_no_key_at_all_is_401(sender: Client) -> None:
    assert sender.post("/v1/track", {"event": "x"}, key="").status == 401


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "image/png"])
def test_the_content_type_does_not_matter(sender: Client, content_type: str | None) -> None:
    assert sender.post("/v1/track", {"event": "x"}, content_type=content_type).status == 202


def test_unknown_query_parameters_are_passed_over(sender: Client) -> None:
    assert sender.get("/v1/decide", query={"_": "1712", "limit": "7"}).json["said"] == 7


def test_a_known_query_parameter_is_still_judged(sender: Client) -> None:
    assert sender.get("/v1/decide", query={"limit": "x"}).fields == ["limit"]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"", 400), (b"x" * 600_000, 413), (gzip.compress(b" " * 6_000_000), 413), (b"\x1f\x8bno", 400)],
    ids=["cut off", "nothing", "too large", "a bomb", "no gzip"],
)
def test_a_refusal_has_cors_and_its_code_at_the_root(sender: Client, body: bytes, status: int) -> None:
    response = sender.post("/v1/track", body)
    assert response.status == status
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.json["code"] == response.json["error"]["code"]
    assert response.json["message"] == response.json["error"]["message"]


def test_a_bug_on_ingest_has_cors_and_tells_nothing(sender: Client) -> None:
    response = sender.post("/v1/broken", {})
    assert (response.status, response.json["code"]) == (500, "internal_error")
    assert response.headers["access-control-allow-origin"] == "*"
    assert SECRET_OF_THE_SERVER not in response.text


def test_a_body_of_500_kb_passes_and_one_more_byte_does_not(sender: Client) -> None:
    body = b'"' + b"x" * (500 * 1024 - 2) + b'"'
    assert sender.post("/v1/track", body).status == 202
    assert sender.post("/v1/track", body + b" ").status == 413


def test_the_preflight_of_a_browser_is_204(sender: Client) -> None:
    asked = {"Access-Control-Request-Headers": "authorization,anonymousid", "Origin": "https://acme.test"}
    response = sender.request("OPTIONS", "/v1/track", key="", headers=asked)
    assert (response.status, response.text) == (204, "")
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["access-control-allow-headers"] == "authorization,anonymousid"
    assert "POST" in response.headers["access-control-allow-methods"]


def test_a_preflight_echoes_no_other_text(sender: Client) -> None:
    asked = {"Access-Control-Request-Headers": "x\r\nSet-Cookie: a=b"}
    response = sender.request("OPTIONS", "/v1/track", key="", headers=asked)
    assert response.headers["access-control-allow-headers"] == "authorization, content-type"


@pytest.mark.parametrize("method", ["GET", "PUT", "TRACE", "FOO"])
def test_a_wrong_method_on_ingest_is_405_with_cors(sender: Client, method: str) -> None:
    response = sender.request(method, "/v1/track")
    assert (response.status, response.headers["allow"]) == (405, "OPTIONS, POST")
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.json["code"] == "method_not_allowed"


def test_a_mistyped_path_can_be_read_by_a_browser(sender: Client) -> None:
    response = sender.post("/v1/trak", {"event": "x"})
    assert (response.status, response.json["code"]) == (404, "not_found")
    assert response.headers["access-control-allow-origin"] == "*"


def test_a_browser_may_read_when_to_try_again_and_which_request_it_was(sender: Client) -> None:
    response = sender.post("/v1/track", {"event": "x"})
    exposed = response.headers["access-control-expose-headers"].lower().split(", ")
    assert set(exposed) == {"retry-after", *(n for n in response.headers if n.startswith("x-"))}


def test_management_has_no_cors(sender: Client, project: CreatedProject) -> None:
    assert "access-control-allow-origin" not in sender.get("/v1/things/a", key=project.secret_key).headers
