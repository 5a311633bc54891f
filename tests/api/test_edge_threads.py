"""Many threads serve calls in one process, as the local server does: nothing of one call is seen by another."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from app import app
from chalicelib.flows.create_project import CreatedProject
from tests.support.client import Client, Response
from tests.support.probe import probe


def test_each_call_gets_its_own_answer(project: CreatedProject) -> None:
    caller = Client(project.secret_key, app=probe)
    caller.get("/v1/things/warm")

    def call(n: int) -> tuple[int, Response]:
        return n, caller.get(f"/v1/things/thing-{n}", query={"limit": 1 + n % 100})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(call, range(80)))
    assert all(
        answer.json["said"] == {"limit": 1 + n % 100, "tag": [], "thing_id": f"thing-{n}"} for n, answer in answers
    )
    assert len({answer.headers["x-request-id"] for _, answer in answers}) == 80


def test_each_caller_gets_its_own_project(project: CreatedProject, other_project: CreatedProject) -> None:
    owners = {made.project_id: Client(made.secret_key) for made in (project, other_project)}

    def call(owner: str) -> tuple[str, Any]:
        return owner, owners[owner].get("/v1/settings").json["project_id"]

    with ThreadPoolExecutor(8) as pool:
        assert all(asked == told for asked, told in pool.map(call, [*owners] * 20))


def test_an_event_without_a_route_is_answered_in_our_envelope() -> None:
    answer = app({"requestContext": {}, "headers": {}}, None)
    assert answer["statusCode"] == 500
    assert '"code":"internal_error"' in answer["body"]
    assert answer["headers"]["X-Request-Id"].startswith("req_")
    assert "Traceback" not in answer["body"]
