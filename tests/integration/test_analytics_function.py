"""Questions to the function that answers them: what goes over, and what comes back where it fails."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from chalicelib.core import strict_json
from chalicelib.core.errors import Unavailable, ValidationFailed, detail
from chalicelib.features.analytics.model import CohortQuestion, Figures, FunnelQuestion, Question, Series, Span, Step
from chalicelib.features.analytics.wire import of_wire, to_wire
from chalicelib.flows.analytics import answer, ask
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform import aws, functions
from chalicelib.platform.functions import FunctionFailed
from chalicelib.platform.keys import Tenant
from chalicelib.workers import analytics as worker
from tests.support import aws as support
from tests.support.analytics_questions import NOW, SPAN, every_shape

TENANT = Tenant("proj_one")


@pytest.fixture
def function(engine: str) -> Iterator[Stubber]:
    """The deployment has a function of its own for analytics."""
    support.use(GROWTHOS_ANALYTICS_FUNCTION="growthos-analytics")
    with Stubber(aws.functions()) as stubbed:
        yield stubbed
    support.drop("GROWTHOS_ANALYTICS_FUNCTION")


def says(stubbed: Stubber, told: Any, **more: Any) -> None:
    body = strict_json.dumps(told).encode()
    stubbed.add_response("invoke", {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(body), len(body)), **more})


@pytest.mark.parametrize("question", every_shape(values=("x", "1", 1, 1.5, True)))
def test_a_question_goes_over_as_it_is(question: Question) -> None:
    over = of_wire(strict_json.loads(strict_json.dumps(to_wire(question)).encode()))
    assert over == question
    assert repr(over) == repr(question)


def test_the_function_answers_what_it_is_asked(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Tenant, Question, int]] = []

    def answered(*question: Any) -> dict[str, Any]:
        asked.append(question)
        return {"total": 7}

    monkeypatch.setattr(answer, "run", answered)
    question = FunnelQuestion((Step("a"),), 5, SPAN)
    payload = {"project": "proj_one", "question": to_wire(question), "now": NOW}
    assert worker.handle(strict_json.loads(strict_json.dumps(payload).encode())) == {"total": 7}
    assert asked == [(TENANT, question, NOW)]


def test_the_api_calls_the_function_where_there_is_one(function: Stubber) -> None:
    says(function, {"total": 3})
    question = CohortQuestion(Step("a"), Step("b"), "week", 2, SPAN)
    assert ask.run(TENANT, question, NOW) == {"total": 3}
    function.assert_no_pending_responses()


def test_a_function_that_is_busy_makes_the_answer_unavailable(function: Stubber) -> None:
    question = Figures(Span(0, 1, "UTC"), 0, 0, 0)
    says(function, {"errorType": "Unavailable", "errorMessage": "x"}, FunctionError="Unhandled")
    with pytest.raises(Unavailable):
        ask.run(TENANT, question, NOW)
    function.add_client_error("invoke", "TooManyRequestsException", http_status_code=429)
    with pytest.raises(Unavailable):
        ask.run(TENANT, question, NOW)


def test_a_function_that_fails_is_told_apart(function: Stubber) -> None:
    says(function, {"errorType": "KeyError", "errorMessage": "x"}, FunctionError="Unhandled")
    with pytest.raises(FunctionFailed):
        functions.invoke("growthos-analytics", {})


def test_what_is_refused_there_is_refused_here(function: Stubber) -> None:
    says(function, {"refused": {"message": "Too large.", "details": [detail("interval", "range", "Too large.")]}})
    with pytest.raises(ValidationFailed) as refused:
        ask.run(TENANT, FunnelQuestion((Step("a"),), 5, SPAN), NOW)
    assert refused.value.details[0]["field"] == "interval"


def test_an_answer_that_no_function_may_give_is_refused(
    project: CreatedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer, "_MOST_BYTES", 2_000)
    answer.forget()
    asked = {"project": project.project_id, "now": NOW}
    by_day = Series("event_count", None, "day", SPAN)
    assert "refused" in worker.handle(asked | {"question": to_wire(by_day)})
    by_month = Series("event_count", None, "month", SPAN)
    assert worker.handle(asked | {"question": to_wire(by_month)})["total"] == 0
