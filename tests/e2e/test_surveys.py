"""A survey on the local stack: a mail over SMTP, its page over HTTP, and many who answer one token at once."""

from __future__ import annotations

import http.client
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.support.mail_catcher import Catcher
from tests.support.stack import Stack, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"
CALLERS = 20


def ok(answer: Any) -> Any:
    assert answer.status in (200, 201, 202), answer
    return answer.body


def fetch(stack: Stack, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and text of a page, as a browser asks for it."""
    address = urlsplit(stack.base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    headers = {"User-Agent": BROWSER, "Content-Type": "application/x-www-form-urlencoded"}
    try:
        connection.request(method, path, urlencode(form) if form is not None else None, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def figures(stack: Stack, survey: str) -> tuple[int, int, int]:
    """Sends, responses, and the NPS."""
    stats = ok(stack.get(f"/v1/surveys/{survey}/stats"))
    return stats["total_sent"], stats["total_responses"], stats["nps_score"]


def asked(stack: Stack, user: str, **fields: Any) -> str:
    """An active survey that the user's event sends."""
    ok(stack.request("PATCH", "/v1/settings", b'{"default_from_email": "hello@acme.test"}'))
    body = {"name": "NPS", "type": "nps", "question": "How likely?", "trigger": {"event": f"{user} done"}}
    survey: str = ok(stack.post("/v1/surveys", body | fields))["id"]
    ok(stack.post(f"/v1/surveys/{survey}/activate", {}))
    ok(stack.post("/v1/contacts", {"external_id": user, "traits": {"email": f"{user}@example.com"}}))
    ok(stack.post("/v1/track", {"user_id": user, "event": f"{user} done"}, stack.write_key))
    return survey


def test_a_mail_asks_a_scanner_votes_nothing_and_a_person_answers_on_the_page(stack: Stack, catcher: Catcher) -> None:
    survey = asked(stack, "e2e-asked", actions={"detractor": {"add_tags": ["unhappy"]}})
    (mail,) = catcher.await_mail("e2e-asked@example.com")
    part = mail.get_body(("html",))
    assert part is not None
    links = [urlsplit(each) for each in re.findall(r'href="([^"]*/s/[^"]*)"', str(part.get_content()))]
    assert len(links) == 11
    for link in links:
        status, text = fetch(stack, "GET", f"{link.path}?{link.query}")
        assert (status, "How likely?" in text) == (200, True)
    wait_until(lambda: figures(stack, survey) == (1, 0, 0), 15)
    status, text = fetch(stack, "POST", links[0].path, {"score": "3", "comment": "Grüße & <b>"})
    assert (status, "Thank you" in text) == (200, True)
    wait_until(lambda: figures(stack, survey) == (1, 1, -100), 15)
    (response,) = ok(stack.get(f"/v1/surveys/{survey}/responses"))["data"]
    assert (response["score"], response["comment"]) == (3, "Grüße & <b>")
    profile = f"/v1/contacts/{response['contact_id']}"
    wait_until(lambda: ok(stack.get(profile))["tags"] == ["unhappy"], 15)
    assert ok(stack.get(profile))["last_nps_score"] == 3


def test_twenty_who_answer_one_token_at_once_make_one_response(stack: Stack) -> None:
    survey = asked(stack, "e2e-widget", channels=["widget"])

    def due() -> list[Any]:
        offered = ok(stack.get("/v1/decide?user_id=e2e-widget", stack.write_key))["surveys"]
        return [each for each in offered if each["survey_id"] == survey]

    wait_until(lambda: len(due()) == 1, 15)
    (offer,) = due()

    def answer(n: int) -> int:
        body = {"token": offer["token"], "score": n % 11}
        return int(stack.post(f"/v1/surveys/{survey}/responses", body, stack.write_key).status)

    with ThreadPoolExecutor(CALLERS) as pool:
        statuses = Counter(pool.map(answer, range(CALLERS)))
    assert statuses == {201: 1, 200: CALLERS - 1}
    (response,) = ok(stack.get(f"/v1/surveys/{survey}/responses"))["data"]
    score = {"promoter": 100, "passive": 0, "detractor": -100}[response["category"]]
    wait_until(lambda: figures(stack, survey) == (1, 1, score), 15)
    assert due() == []
