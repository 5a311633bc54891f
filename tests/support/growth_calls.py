"""Every call to the endpoints of referrals, surveys and waitlists, with the status that each must have."""

from typing import Any, Protocol

from tests.support.client import Client


class Call(Protocol):
    """Calls, checks the status, and returns the body."""

    def __call__(self, method: str, path: str, expected: int, body: Any = None) -> Any: ...


def referrals(call: Call, contact: str) -> None:
    """Those of referrals; `contact` is to be one that refers."""
    programs = "/v1/referrals/programs"
    tiers, prize = [{"referrals": 1, "bonus": 5}], {"type": "discount", "amount": 1.5, "currency": "EUR"}
    program = call("POST", programs, 201, {"name": "P", "reward_amount": 2, "referee_reward": prize, "tiers": tiers})
    call("POST", programs, 422, {"name": "P", "tiers": [{"referrals": 0}]})
    call("GET", f"{programs}?limit=1", 200)
    call("GET", f"{programs}/{program['id']}", 200)
    call("PATCH", f"{programs}/{program['id']}", 200, {"reward_issuing": "manual"})
    code = call("POST", "/v1/referrals/links", 201, {"program_id": program["id"], "contact_id": contact})["code"]
    call("POST", "/v1/referrals/links", 200, {"program_id": program["id"], "contact_id": contact})
    call("GET", f"{programs}/{program['id']}/links", 200)
    call("GET", f"/v1/referrals/links/{code}", 200)
    friend = call("POST", "/v1/contacts", 201, {"email": "a@mailinator.com"})["id"]
    done = {"link_code": code, "referred_contact_id": friend, "metadata": {"value": 49.0}}
    held = call("POST", "/v1/referrals/conversions", 201, done)["id"]
    call("POST", "/v1/referrals/conversions", 200, done)
    call("POST", "/v1/referrals/conversions", 422, done | {"referred_contact_id": contact})
    call("GET", f"/v1/referrals/links/{code}/conversions", 200)
    call("GET", "/v1/referrals/conversions?status=review", 200)
    call("POST", f"/v1/referrals/conversions/{held}/approve", 200)
    call("POST", f"/v1/referrals/conversions/{held}/reject", 409)
    reward = call("GET", "/v1/referrals/rewards?kind=referee", 200)["data"][0]["id"]
    call("POST", f"/v1/referrals/rewards/{reward}/issue", 200)
    call("GET", f"/v1/referrals/leaderboard?program_id={program['id']}", 200)
    call("POST", f"/v1/referrals/conversions/{held}/reverse", 200)
    other = call("POST", "/v1/contacts", 201, {"email": "b@mailinator.com"})["id"]
    held = call("POST", "/v1/referrals/conversions", 201, done | {"referred_contact_id": other})["id"]
    call("POST", f"/v1/referrals/conversions/{held}/reject", 200)
    call("DELETE", f"{programs}/{program['id']}", 200)


def surveys(call: Call, client: Client) -> None:
    """Those of surveys; answers are taken at the ingest API, by `client`."""
    root = "/v1/surveys"
    contact = call("POST", "/v1/contacts", 201, {"email": "s@example.com"})["id"]
    asks = {"name": "S", "type": "nps", "question": "?", "trigger": {"event": "never"}, "status": "draft"}
    parts = {"questions": [{"type": "single_choice", "text": "?", "options": ["A", "B"]}], "type": "custom"}
    call("POST", root, 422, {"name": "S", "type": "nps"})
    for body, answer in (
        (asks, {"score": 9}),
        ({"name": "S", **parts}, {"answers": {"q1": "B"}}),
    ):
        one = f"{root}/{call('POST', root, 201, body)['id']}"
        call("PATCH", one, 200, {"trigger": {"delay": "2h"}, "remind_after": "3d"})
        call("GET", one, 200)
        call("POST", f"{one}/activate", 200)
        call("POST", f"{one}/activate", 409)
        assert client.post(f"{one}/responses", {"contact_id": contact} | answer).status == 201
        call("GET", f"{one}/sends", 200)
        call("GET", f"{one}/responses?limit=1", 200)
        call("GET", f"{one}/stats", 200)
        call("GET", f"{one}/explain?contact_id={contact}", 200)
        call("POST", f"{one}/pause", 200)
        call("POST", f"{one}/archive", 200)
    call("GET", f"{root}?limit=1&type=custom", 200)


def analytics(call: Call) -> None:
    """Those of analytics, where nothing has happened yet."""
    root = "/v1/analytics"
    for body in (
        {"type": "event_count", "group_by": "traits.plan"},
        {"type": "unique_contacts", "event": "e", "interval": "week"},
        {"type": "funnel", "steps": [{"event": "a"}, {"event": "b"}], "window": "7d"},
        {"type": "cohort_retention", "entry_event": "a", "return_event": "b", "interval": "month"},
    ):
        call("POST", f"{root}/query", 200, body)
    call("POST", f"{root}/query", 422, {"type": "funnel"})
    call("GET", f"{root}/overview", 200)
    steps = {"steps": [{"event": "a", "filters": {"traits.plan": ["x", 1]}}, {"event": "b"}], "window": "7d"}
    funnel = call("POST", f"{root}/funnels", 201, {"name": "F", **steps})["id"]
    call("GET", f"{root}/funnels?limit=1", 200)
    call("GET", f"{root}/funnels/{funnel}?from=2026-02-01", 200)
    call("PATCH", f"{root}/funnels/{funnel}", 200, {"window": "1d"})
    call("POST", f"{root}/funnels/{funnel}/segment", 201, {"step": 1, "outcome": "dropped"})
    call("POST", f"{root}/funnels/{funnel}/segment", 422, {"step": 2, "outcome": "dropped"})
    call("DELETE", f"{root}/funnels/{funnel}", 200)
    body = {"name": "C", "entry_event": "a", "return_event": "b", "interval": "week"}
    cohort = call("POST", f"{root}/cohorts", 201, body)["id"]
    call("GET", f"{root}/cohorts?limit=1", 200)
    call("GET", f"{root}/cohorts/{cohort}", 200)
    call("PATCH", f"{root}/cohorts/{cohort}", 200, {"periods": 3})
    call("DELETE", f"{root}/cohorts/{cohort}", 200)


def waitlists(call: Call, template: str) -> None:
    """Those of waitlists; `template` makes the invitations."""
    list_of = "/v1/waitlists"
    queue = call("POST", list_of, 201, {"name": "W", "slug": "w", "invite_email_template_id": template})["id"]
    call("POST", list_of, 409, {"name": "W", "slug": "w"})
    call("GET", f"{list_of}?limit=1", 200)
    call("GET", f"{list_of}/{queue}", 200)
    call("PATCH", f"{list_of}/{queue}", 200, {"referral_boost": 5, "invite_email_template_id": None})
    entry = call("POST", f"{list_of}/{queue}/entries", 201, {"email": "w1@example.com"})["id"]
    call("POST", f"{list_of}/{queue}/entries", 200, {"email": "w1@example.com"})
    call("POST", f"{list_of}/{queue}/entries", 201, {"email": "w2@example.com"})
    call("GET", f"{list_of}/{queue}/entries?limit=1", 200)
    call("POST", f"{list_of}/{queue}/entries/{entry}/approve", 200)
    call("POST", f"{list_of}/{queue}/entries/approve-batch", 200, {"count": 5, "order": "joined_at"})
    call("GET", f"{list_of}/{queue}/entries?status=approved", 200)
    call("DELETE", f"{list_of}/{queue}/entries/{entry}", 200)
    call("DELETE", f"{list_of}/{queue}", 200)
