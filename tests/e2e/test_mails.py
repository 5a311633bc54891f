"""Campaigns on the local stack: mails over SMTP, what the mail service tells of them over SNS, links over HTTP."""

from __future__ import annotations

import re
import time
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import html5lib
import pytest

from tests.support.mail_catcher import Catcher
from tests.support.stack import Stack, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

MJML = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>Grüße, {{ contact.name }}! {{ event.plan }}</mj-text>"
    "<mj-button href='https://acme.test/start?a=1&amp;b=2'>Start</mj-button></mj-column></mj-section></mj-body></mjml>"
)
BOUNCES, COMPLAINS = "bounce@simulator.amazonses.com", "complaint@simulator.amazonses.com"


def ok(answer: Any) -> Any:
    assert answer.status in (200, 201, 202), answer
    return answer.body


def campaign(stack: Stack, event: str, key: str | None = None, **fields: Any) -> str:
    """The id of a sequence that the event starts, after its activation."""
    ok(stack.request("PATCH", "/v1/settings", b'{"default_from_email": "hello@acme.test"}', key))
    template = ok(stack.post("/v1/templates", {"name": event, "subject": "Grüße 👋", "mjml": MJML}, key))["id"]
    body = {"name": event, "type": "lifecycle", "trigger": {"event": event}, "steps": [{"template_id": template}]}
    made: str = ok(stack.post("/v1/campaigns", body | fields, key))["id"]
    ok(stack.post(f"/v1/campaigns/{made}/activate", {}, key))
    return made


def happened(stack: Stack, user: str, event: str, address: str) -> None:
    """A contact with that address, who does something."""
    ok(stack.post("/v1/contacts", {"external_id": user, "traits": {"email": address, "name": "Ada"}}))
    body = {"user_id": user, "event": event, "properties": {"plan": "growth"}}
    ok(stack.post("/v1/track", body, stack.write_key))


def figures(stack: Stack, campaign_id: str) -> dict[str, Any]:
    stats = ok(stack.get(f"/v1/campaigns/{campaign_id}/stats"))["stats"]
    return {name: value for name, value in stats.items() if value and not name.endswith("_rate")}


def page(mail: EmailMessage) -> str:
    """The HTML part of a mail."""
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def test_a_mail_arrives_over_smtp_as_valid_mime_and_html_and_its_delivery_is_told(
    stack: Stack, catcher: Catcher
) -> None:
    made = campaign(stack, "smtp_signed_up")
    happened(stack, "smtp", "smtp_signed_up", "smtp@example.com")
    (mail,) = catcher.await_mail("smtp@example.com")
    assert mail.defects == []
    assert mail["Subject"] == "Grüße 👋"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    html5lib.HTMLParser(strict=True).parse(page(mail))
    assert "Grüße, Ada! growth" in page(mail)
    text = mail.get_body(("plain",))
    assert text is not None
    assert "Grüße, Ada! growth" in text.get_content()
    wait_until(lambda: figures(stack, made) == {"sent": 1, "delivered": 1}, within_s=20, pause_s=0.2)


def test_bounces_and_complaints_come_back_and_nothing_more_is_sent_to_them(stack: Stack, catcher: Catcher) -> None:
    made = campaign(stack, "feedback_signed_up", reentry=True)
    happened(stack, "bounces", "feedback_signed_up", BOUNCES)
    happened(stack, "complains", "feedback_signed_up", COMPLAINS)
    told = {"sent": 2, "delivered": 1, "bounced": 1, "complained": 1}
    wait_until(lambda: figures(stack, made) == told, within_s=20, pause_s=0.2)
    for user in ("bounces", "complains"):
        ok(stack.post("/v1/track", {"user_id": user, "event": "feedback_signed_up"}, stack.write_key))
    wait_until(lambda: figures(stack, made).get("skipped") == {"bounced": 1, "complained": 1}, within_s=20, pause_s=0.2)
    assert [len(catcher.to(address)) for address in (BOUNCES, COMPLAINS)] == [1, 1]


def test_the_links_of_a_mail_lead_over_http_to_clicks_opens_and_the_end_of_mail(stack: Stack, catcher: Catcher) -> None:
    made = campaign(stack, "links_signed_up", reentry=True)
    happened(stack, "links", "links_signed_up", "links@example.com")
    (mail,) = catcher.await_mail("links@example.com")
    wait_until(lambda: figures(stack, made).get("delivered") == 1, within_s=20, pause_s=0.2)
    (click,) = re.findall(r'href="(http://127[^"]*/c/[^"]*)"', page(mail))
    (pixel,) = re.findall(r'src="(http://127[^"]*/o/[^"]*)"', page(mail))
    browser = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}
    seen = stack.request("GET", urlsplit(pixel).path, key="none", headers=browser)
    assert (seen.status, seen.headers["content-type"]) == (200, "image/gif")
    moved = stack.request("GET", urlsplit(click).path, key="none", headers=browser)
    assert (moved.status, moved.headers["location"]) == (302, "https://acme.test/start?a=1&b=2")
    wait_until(
        lambda: figures(stack, made) == {"sent": 1, "delivered": 1, "opened": 1, "clicked": 1}, within_s=20, pause_s=0.2
    )
    leave = urlsplit(mail["List-Unsubscribe"].strip("<>")).path
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    gone = stack.request("POST", leave, b"List-Unsubscribe=One-Click", key="none", headers=form)
    assert gone.status == 200
    ok(stack.post("/v1/track", {"user_id": "links", "event": "links_signed_up"}, stack.write_key))
    wait_until(lambda: figures(stack, made).get("skipped") == {"unsubscribed": 1}, within_s=20, pause_s=0.2)
    assert len(catcher.to("links@example.com")) == 1


def test_a_broadcast_stops_within_five_seconds_of_its_pause_and_survives_a_killed_pump(
    stack: Stack, catcher: Catcher
) -> None:
    count = 60
    addresses = [f"news{n}@example.com" for n in range(count)]
    contacts = [
        {"type": "identify", "user_id": f"news{n}", "traits": {"email": address, "reads": "news"}}
        for n, address in enumerate(addresses)
    ]
    ok(stack.post("/v1/batch", {"batch": contacts}, stack.write_key))
    stack.await_settled()
    rules = {"operator": "AND", "conditions": [{"field": "traits.reads", "op": "eq", "value": "news"}]}
    segment = ok(stack.post("/v1/segments", {"name": "News", "rules": rules}))["id"]

    def is_built() -> bool:
        found = ok(stack.get(f"/v1/segments/{segment}"))
        return bool((found["status"], found["contact_count"]) == ("ready", count))

    wait_until(is_built, within_s=120, pause_s=0.5)
    template = ok(stack.post("/v1/templates", {"name": "News", "subject": "News", "mjml": MJML}))["id"]
    body = {"name": "News", "type": "broadcast", "segment_id": segment, "rate_per_second": 5}
    made = ok(stack.post("/v1/campaigns", body | {"steps": [{"template_id": template}]}))["id"]
    assert ok(stack.get(f"/v1/campaigns/{made}/preview"))["recipients"] == count
    ok(stack.post(f"/v1/campaigns/{made}/activate", {}))

    def arrived() -> int:
        return sum(len(catcher.to(address)) for address in addresses)

    wait_until(lambda: arrived() >= count // 4, within_s=60, pause_s=0.1)
    ok(stack.post(f"/v1/campaigns/{made}/pause", {}))
    # The stack is live: its clock is the real one. Mails have five seconds to end, and five more show it.
    time.sleep(5)
    stopped_at = arrived()
    time.sleep(5)
    assert arrived() == stopped_at < count
    ok(stack.post(f"/v1/campaigns/{made}/activate", {}))
    wait_until(lambda: arrived() > stopped_at, within_s=60, pause_s=0.1)
    stack.kill_pump()

    def is_done() -> bool:
        return bool(ok(stack.get(f"/v1/campaigns/{made}"))["status"] == "completed")

    wait_until(is_done, within_s=120, pause_s=0.5)
    counts = [len(catcher.to(address)) for address in addresses]
    assert max(counts) == 1
    unconfirmed = figures(stack, made).get("unconfirmed", 0)
    assert counts.count(0) <= unconfirmed <= 4
