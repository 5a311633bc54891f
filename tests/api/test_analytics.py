"""Analytics through the API: what is asked, how it is told, what is defined."""

from typing import Any
from xml.etree import ElementTree

import pytest

from chalicelib.core import clock
from chalicelib.core.clock import DAY, HOUR, iso
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform.keys import Tenant
from tests.support import lake, pipeline
from tests.support.client import Client

FUNNEL = {
    "name": "Activation",
    "steps": [{"event": "signed_up"}, {"event": "paid", "filters": {"properties.plan": ["growth", "scale"]}}],
    "window": "7d",
}
COHORT = {"name": "Weekly", "entry_event": "signed_up", "return_event": "visited", "interval": "week"}


@pytest.fixture(autouse=True)
def fresh(table: str) -> None:
    lake.forget()


@pytest.fixture
def tenant(project: CreatedProject) -> Tenant:
    return Tenant(project.project_id)


def happened(tenant: Tenant, user: str, event: str, ago: int, **properties: Any) -> None:
    """An event so many ms ago."""
    now = clock.system_ms()
    raw = {"userId": user, "event": event, "timestamp": iso(now - ago), "properties": properties}
    pipeline.record(tenant, [pipeline.accepted(raw, "track", now)])


@pytest.fixture
def told(tenant: Tenant, client: Client) -> None:
    """Three who signed up, of whom one paid, and came back."""
    client.patch("/v1/settings", {"timezone": "Asia/Kolkata"})
    for user, plan in (("a", "growth"), ("b", "free"), ("c", "growth")):
        client.post("/v1/contacts", {"external_id": user, "traits": {"plan": plan}})
        happened(tenant, user, "signed_up", 3 * DAY, source="=ads" if user == "a" else "organic")
    happened(tenant, "a", "paid", 3 * DAY - 2 * HOUR, plan="growth")
    happened(tenant, "b", "paid", 3 * DAY - 2 * HOUR, plan="free")
    happened(tenant, "a", "visited", HOUR)
    pipeline.drain()
    lake.project_all()


def ok(answer: Any) -> Any:
    assert answer.status in (200, 201), answer.text
    return answer.json


@pytest.mark.usefixtures("told")
def test_counts_are_of_thirty_days_and_of_each(client: Client) -> None:
    answer = ok(client.post("/v1/analytics/query", {"type": "event_count", "event": "signed_up"}))
    assert len(answer["data"]) == 30
    assert (answer["total"], sum(bucket["count"] for bucket in answer["data"])) == (3, 3)
    assert answer["data"][-1]["date"] == clock.local_day(clock.system_ms(), "Asia/Kolkata")
    assert answer["as_of"].endswith("Z")


@pytest.mark.usefixtures("told")
def test_groups_and_filters(client: Client) -> None:
    asked = {"type": "unique_contacts", "event": "signed_up", "interval": "month", "group_by": "traits.plan"}
    answer = ok(client.post("/v1/analytics/query", asked))
    assert {name: n for bucket in answer["data"] for name, n in bucket["groups"].items()} == {"growth": 2, "free": 1}
    only = asked | {"filters": {"properties.source": "organic", "traits.plan": ["growth"]}}
    assert ok(client.post("/v1/analytics/query", only))["total"] == 1


@pytest.mark.usefixtures("told")
def test_a_funnel_tells_who_got_how_far(client: Client) -> None:
    made = ok(client.post("/v1/analytics/funnels", FUNNEL))
    answer = ok(client.get(f"/v1/analytics/funnels/{made['id']}"))
    first, second = answer["steps"]
    assert (first["count"], first["still_open"], first["conversion_rate"]) == (3, 2, 1.0)
    assert (second["count"], second["conversion_rate"], second["median_time_to_convert"]) == (
        1,
        0.3333,
        pytest.approx(7200, abs=60),
    )
    assert second["filters"] == FUNNEL["steps"][1]["filters"]  # type: ignore[index]
    body = {"type": "funnel", "steps": FUNNEL["steps"], "window": "7d"}
    assert [step["count"] for step in ok(client.post("/v1/analytics/query", body))["steps"]] == [3, 1]
    none = ok(client.get(f"/v1/analytics/funnels/{made['id']}", query={"to": "2020-01-01"}))
    assert [step["count"] for step in none["steps"]] == [0, 0]
    assert none["steps"][0]["conversion_rate"] is None


@pytest.mark.usefixtures("told")
def test_a_cohort_tells_who_came_back(client: Client) -> None:
    made = ok(client.post("/v1/analytics/cohorts", COHORT))
    assert made["periods"] == 8
    answer = ok(client.get(f"/v1/analytics/cohorts/{made['id']}"))
    assert len(answer["data"]) == 9
    assert sum(row["size"] for row in answer["data"]) == 3
    assert all(row["retention"][0]["count"] == row["size"] for row in answer["data"])


@pytest.mark.parametrize(("path", "body"), [("funnels", FUNNEL), ("cohorts", COHORT)])
def test_definitions_are_made_listed_changed_and_deleted(client: Client, path: str, body: dict[str, Any]) -> None:
    root = f"/v1/analytics/{path}"
    made = [ok(client.post(root, body | {"name": f"n{n}"})) for n in range(3)]
    assert all(name in made[0] for name in body)
    page = ok(client.get(root, query={"limit": 2}))
    assert [row["name"] for row in page["data"]] == ["n2", "n1"]
    rest = ok(client.get(root, query={"limit": 2, "cursor": page["next_cursor"]}))
    assert ([row["name"] for row in rest["data"]], rest["has_more"]) == (["n0"], False)
    changed = ok(client.patch(f"{root}/{made[0]['id']}", {"name": "other"}))
    assert changed | {"name": "n0", "updated_at": ""} == made[0] | {"updated_at": ""}
    assert client.delete(f"{root}/{made[0]['id']}").json == {"id": made[0]["id"], "deleted": True}
    for method in ("GET", "DELETE"):
        assert client.request(method, f"{root}/{made[0]['id']}").status == 404
    assert client.patch(f"{root}/{made[0]['id']}", {"name": "x"}).status == 404
    assert client.get(root, query={"cursor": "foreign"}).status == 400


def test_the_same_key_makes_one_funnel(client: Client) -> None:
    both = [client.post("/v1/analytics/funnels", FUNNEL, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert both[0].json == both[1].json
    assert len(ok(client.get("/v1/analytics/funnels"))["data"]) == 1


@pytest.mark.usefixtures("told")
def test_tables_are_csv_that_no_spreadsheet_runs(client: Client) -> None:
    asked = {"type": "event_count", "event": "signed_up", "interval": "month", "group_by": "properties.source"}
    answer = client.post("/v1/analytics/query", asked, query={"format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    heading, *rows = answer.text.split("\r\n")
    assert set(heading.split(",")) == {"date", "'=ads", "organic"}
    assert len(rows) >= 2
    made = ok(client.post("/v1/analytics/funnels", FUNNEL))
    table = client.get(f"/v1/analytics/funnels/{made['id']}", query={"format": "csv"}).text.split("\r\n")
    assert table[1].startswith("1,signed_up,3,1.0,1.0,,2")
    cohort = ok(client.post("/v1/analytics/cohorts", COHORT))
    grid = client.get(f"/v1/analytics/cohorts/{cohort['id']}", query={"format": "csv"}).text.split("\r\n")
    assert grid[0].startswith("cohort,size,period_0,period_1")


@pytest.mark.usefixtures("told")
def test_charts_are_svg_that_runs_nothing(client: Client) -> None:
    odd = FUNNEL | {"name": "<script>alert(1)</script>", "steps": [{"event": "<b>&\"'"}, {"event": "x" * 200}]}
    made = ok(client.post("/v1/analytics/funnels", odd))
    cohort = ok(client.post("/v1/analytics/cohorts", COHORT | {"name": "]]> &amp;"}))
    answers = [
        client.get(f"/v1/analytics/funnels/{made['id']}", query={"format": "svg"}),
        client.get(f"/v1/analytics/cohorts/{cohort['id']}", query={"format": "svg"}),
        client.post("/v1/analytics/query", {"type": "event_count", "interval": "hour"}, query={"format": "svg"}),
        client.post("/v1/analytics/query", {"type": "event_count", "group_by": "traits.plan"}, query={"format": "svg"}),
    ]
    for answer in answers:
        assert answer.headers["content-type"].startswith("image/svg+xml")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        tree = ElementTree.fromstring(answer.text)  # noqa: S314 - our own text
        assert tree.tag.endswith("svg")
        assert not [each for each in tree.iter() if each.tag.endswith("script")]


def test_the_overview_counts_what_there_is(client: Client, tenant: Tenant, told: None) -> None:
    happened(tenant, "c", "visited", 40 * DAY)
    survey = ok(client.post("/v1/surveys", {"name": "S", "type": "nps", "question": "?", "channels": ["widget"]}))
    client.post(f"/v1/surveys/{survey['id']}/activate")
    contacts = {row["external_id"]: row["id"] for row in ok(client.get("/v1/contacts"))["data"]}
    for user, score in (("a", 10), ("b", 9), ("c", 3)):
        ok(client.post(f"/v1/surveys/{survey['id']}/responses", {"contact_id": contacts[user], "score": score}))
    program = ok(client.post("/v1/referrals/programs", {"name": "P", "reward_amount": 1}))
    code = ok(client.post("/v1/referrals/links", {"program_id": program["id"], "contact_id": contacts["a"]}))["code"]
    ok(client.post("/v1/referrals/conversions", {"link_code": code, "referred_contact_id": contacts["b"]}))
    pipeline.drain()
    lake.project_all()
    overview = ok(client.get("/v1/analytics/overview"))
    assert overview["as_of"]
    assert {name: value for name, value in overview.items() if name != "as_of"} == {
        "total_contacts": 3,
        "contacts_30d": 3,
        "events_today": overview["events_today"],
        "events_avg_daily": overview["events_avg_daily"],
        "active_campaigns": 0,
        "nps_score": 33,
        "referral_conversion_rate": 1.0,
    }
    assert overview["events_today"] + round(30 * overview["events_avg_daily"]) == 6


def test_the_overview_of_nothing(client: Client) -> None:
    overview = ok(client.get("/v1/analytics/overview"))
    assert (overview["total_contacts"], overview["contacts_30d"], overview["events_avg_daily"]) == (0, 0, 0)
    assert (overview["nps_score"], overview["referral_conversion_rate"]) == (None, None)


@pytest.mark.usefixtures("told")
def test_a_segment_of_a_funnel_has_those_who_stopped_there(client: Client) -> None:
    made = ok(client.post("/v1/analytics/funnels", FUNNEL | {"window": "1d"}))
    root = f"/v1/analytics/funnels/{made['id']}/segment"
    dropped = ok(client.post(root, {"step": 1, "outcome": "dropped"}))
    converted = ok(client.post(root, {"step": 2, "outcome": "converted"}))
    assert (dropped["contact_count"], converted["contact_count"]) == (2, 1)
    assert dropped["name"] == "Activation: dropped at step 1 (signed_up)"
    assert client.post(root, {"step": 2, "outcome": "dropped"}).fields == ["step"]
    assert client.post(root, {"step": 3, "outcome": "converted"}).fields == ["step"]


def test_a_deleted_contact_is_gone_from_the_next_answer(client: Client, tenant: Tenant, told: None) -> None:
    asked = {"type": "unique_contacts", "event": "signed_up"}
    assert ok(client.post("/v1/analytics/query", asked))["total"] == 3
    contact = ok(client.get("/v1/contacts", query={"external_id": "a"}))["data"][0]["id"]
    assert client.delete(f"/v1/contacts/{contact}").status == 200
    assert ok(client.post("/v1/analytics/query", asked))["total"] == 2


def test_whoever_reads_analytics_needs_no_more_and_others_may_not(client: Client) -> None:
    key = ok(client.post("/v1/settings/keys", {"name": "k", "scopes": ["analytics:read"]}))["key"]
    reader = Client(key)
    assert reader.post("/v1/analytics/query", {"type": "event_count"}).status == 200
    made = ok(reader.post("/v1/analytics/funnels", FUNNEL))
    denied = reader.post(f"/v1/analytics/funnels/{made['id']}/segment", {"step": 1, "outcome": "dropped"})
    assert (denied.status, denied.json["error"]["code"]) == (403, "insufficient_scope")
    other = Client(ok(client.post("/v1/settings/keys", {"name": "k", "scopes": ["contacts:read"]}))["key"])
    assert other.get("/v1/analytics/overview").status == 403
