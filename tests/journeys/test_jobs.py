"""Jobs: each page runs until it is done, whatever dies, and a test project's clock can tell when the last one has."""

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from chalicelib.core.errors import Unavailable
from chalicelib.platform import aws, jobs, pending, table
from chalicelib.platform.config import settings
from chalicelib.platform.jobs import HasTime, Later
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Update
from chalicelib.workers import jobs as worker
from tests.support import aws as support
from tests.support import pipeline
from tests.support.pipeline import Killed

PAGES = 4


def note(tenant: Tenant, page: int) -> None:
    table.write(Update(tenant.day("2026-01-01"), add={"pages": {page}}))


def noted(tenant: Tenant) -> set[int]:
    item = table.get(tenant.day("2026-01-01"))
    return item["pages"] if item else set()


def walk(tenant: Tenant, data: Mapping[str, Any], _has_time: HasTime) -> Mapping[str, Any] | None:
    """A job of PAGES pages that notes each one."""
    note(tenant, data["page"])
    return {"page": data["page"] + 1} if data["page"] < PAGES else None


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(worker.JOBS, "walk", walk)


ALL = set(range(1, PAGES + 1))


def test_a_job_runs_page_after_page_to_its_end(tenant: Tenant) -> None:
    jobs.send(tenant, "walk", {"page": 1})
    assert pipeline.run_jobs() == PAGES
    assert noted(tenant) == ALL


def test_a_job_begins_after_its_delay(tenant: Tenant) -> None:
    jobs.send(tenant, "walk", {"page": 1}, delay_s=90)
    assert [message.delay_s for message in support.waiting(settings().jobs_queue_url)] == [90]


def test_a_page_may_say_when_the_next_one_begins(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(worker.JOBS, "walk", lambda _tenant, data, _has_time: Later(data, 7))
    jobs.send(tenant, "walk", {"page": 1})
    pipeline.run_job_pages()
    (message,) = support.waiting(settings().jobs_queue_url)
    assert (message.delay_s, jobs.Page.from_body(message.body).data) == (7, {"page": 1})


@pytest.mark.parametrize("moment", ["before-call", "after-call"])
def test_a_worker_that_dies_at_any_call_loses_no_page_and_no_mark(
    moment: str, test_tenant: Tenant, fresh_table: Any
) -> None:
    jobs.send(test_tenant, "walk", {"page": 1})
    with pipeline.counted() as calls:
        pipeline.run_jobs()
    for step in range(len(calls)):
        fresh_table()
        jobs.send(test_tenant, "walk", {"page": 1})

        def die(number: int, _operation: str, step: int = step) -> None:
            if number == step:
                raise Killed

        with pipeline.on_call(moment, die):
            pipeline.run_jobs()
        assert noted(test_tenant) == ALL
        assert pending.is_settled(test_tenant)


def test_a_page_that_fails_is_told_by_its_id_and_the_others_are_done(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_tenant: Tenant, _data: Mapping[str, Any], _has_time: HasTime) -> None:
        raise RuntimeError("injected")

    monkeypatch.setitem(worker.JOBS, "broken", fail)
    for kind in ("broken", "walk", "unknown"):
        jobs.send(tenant, kind, {"page": PAGES})
    records = [
        {"messageId": str(n), "body": message.body} for n, message in enumerate(support.take(settings().jobs_queue_url))
    ]
    answer = worker.handle({"Records": records}, pipeline.Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "0"}, {"itemIdentifier": "2"}]}
    assert noted(tenant) == {PAGES}


def test_a_page_is_told_when_its_invocation_ends(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    monkeypatch.setitem(worker.JOBS, "look", lambda _tenant, _data, has_time: told.append(has_time()))
    for milliseconds in (60_000, 9_000):
        monkeypatch.setattr(pipeline.Context, "get_remaining_time_in_millis", lambda _self, ms=milliseconds: ms)
        jobs.send(tenant, "look", {})
        pipeline.run_jobs()
    assert told == [True, False]


def test_a_test_project_is_not_settled_until_the_last_page_is_done(test_tenant: Tenant) -> None:
    jobs.send(test_tenant, "walk", {"page": 1})
    for _ in range(PAGES):
        assert not pending.is_settled(test_tenant)
        pipeline.run_job_pages()
    assert pending.is_settled(test_tenant)


def test_a_job_that_could_not_be_queued_leaves_no_mark(test_tenant: Tenant) -> None:
    def refuse(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="injected")

    hooks = aws.sqs().meta.events
    hooks.register_first("before-call.sqs", refuse, unique_id="tests.refuse")
    try:
        with pytest.raises(Unavailable):
            jobs.send(test_tenant, "walk", {"page": 1})
    finally:
        hooks.unregister("before-call.sqs", unique_id="tests.refuse")
    assert pending.is_settled(test_tenant)


def test_a_job_that_is_sent_twice_leaves_no_mark(test_tenant: Tenant) -> None:
    for _ in range(2):
        jobs.send(test_tenant, "walk", {"page": 1})
    pipeline.run_jobs()
    assert pending.is_settled(test_tenant)


def test_live_projects_have_no_marks(tenant: Tenant) -> None:
    with pipeline.counted() as calls:
        jobs.send(tenant, "walk", {"page": 1})
    assert calls == []
