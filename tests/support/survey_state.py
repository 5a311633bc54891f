"""What is there of surveys in a project, so that two projects can be compared."""

from collections import Counter
from typing import Any

from chalicelib.features.surveys import service as surveys
from tests.support.survey_world import SurveyWorld

_QUIET = ("updated_at", "survey_id", "by_day")


def state(world: SurveyWorld) -> dict[str, Any]:
    """All that is there of surveys, without ids and moments; figures are what a recount gives."""
    known = {row["id"]: row["name"] for row in world.get("/v1/surveys", limit="100")["data"]}
    people = {row["id"]: row for row in world.get("/v1/contacts", limit="100")["data"]}
    named = {ident: row["external_id"] for ident, row in people.items()}
    found: dict[str, Any] = {"sends": [], "responses": [], "figures": []}
    sent: Counter[tuple[str, str]] = Counter()
    for survey, name in known.items():
        sends, responses = world.rows(survey), world.rows(survey, "responses")
        sent.update((row["contact_id"], survey) for row in sends if row["sent_at"] is not None)
        found["sends"] += [(name, named[row["contact_id"]], *_of_send(row)) for row in sends]
        found["responses"] += [(name, named[row["contact_id"]], *_of_response(row)) for row in responses]
        found["figures"].append(recounted(world.figures(survey), sends, responses))
    for kind in ("sends", "responses"):
        found[kind].sort(key=str)
    found["people"] = {named[ident]: _of_person(world, row, known, sent) for ident, row in people.items()}
    found["mails"] = sorted((each.to, str(each.message["Subject"])) for each in world.office.taken)
    rows = [row for row in world.table.rows.values() if row.get("step_id") in ("ask", "reminder", "referral")]
    found["messages"] = sorted((row["step_id"], row["status"]) for row in rows)
    kinds = Counter(row.get("kind") for row in world.table.rows.values() if row["SK"].startswith("TIMER#"))
    found["timers"] = {kind: kinds[kind] for kind in (surveys.DUE, surveys.SWEEP)}
    found["held"] = sum("#HELD#" in key.pk for key in world.table.rows)
    return found


def recounted(figures: dict[str, Any], sends: list[Any], responses: list[Any]) -> dict[str, Any]:
    """The figures, which are those of the rows."""
    scores = [row["score"] for row in responses]
    assert figures["total_sent"] == sum(row["sent_at"] is not None for row in sends)
    assert figures["total_responses"] == len(responses) == len({row["id"] for row in responses})
    assert sum(row["state"] == "answered" for row in sends) == len(responses)
    assert figures["breakdown"] == {
        "promoters": sum(each >= 9 for each in scores),
        "passives": sum(each in (7, 8) for each in scores),
        "detractors": sum(each <= 6 for each in scores),
    }
    assert figures["average_score"] == (round(sum(scores) / len(scores), 1) if scores else None)
    for name, total in (("sent", "total_sent"), ("responses", "total_responses")):
        assert sum(each[name] for each in figures["by_day"]) == figures[total]
    return {name: value for name, value in figures.items() if name not in _QUIET}


def _of_send(row: dict[str, Any]) -> tuple[Any, ...]:
    told_of = ("state", "reason", "cause", "channels", "not_reminded")
    return (*(row[name] for name in told_of), row["sent_at"] is not None, row["reminded_at"] is not None)


def _of_response(row: dict[str, Any]) -> tuple[Any, ...]:
    followed = sorted((each["effect"], each["outcome"], each["category"]) for each in row["effects"])
    return row["score"], row["comment"], row["category"], followed


def _of_person(
    world: SurveyWorld, row: dict[str, Any], known: dict[str, str], sent: Counter[tuple[str, str]]
) -> dict[str, Any]:
    key = surveys.surveyed_key(world.tenant, row["id"])
    surveyed = surveys.surveyed(row["id"], world.table.rows.get(key))
    assert surveyed.counts == {survey: sent[row["id"], survey] for survey in surveyed.counts}
    assert {survey for ident, survey in sent if ident == row["id"]} <= surveyed.counts.keys()
    rows = [(survey, each) for survey in known for each in world.rows(survey, state="waiting")]
    waiting = {survey for survey, each in rows if each["contact_id"] == row["id"]}
    assert surveyed.waiting.keys() == waiting
    events_of = world.get(f"/v1/contacts/{row['id']}/events", limit="100")["data"]
    notes = [each for each in events_of if each["event"].startswith("$survey")]
    told_of = ("effect", "outcome", "category", "score", "channels", "no_mail")
    profile = world.get(f"/v1/contacts/{row['id']}")
    return {
        "profile": (sorted(profile["tags"]), profile["last_nps_score"], profile["marketing_paused_until"] is not None),
        "counts": {known[survey]: n for survey, n in surveyed.counts.items()},
        "offered": len(surveyed.offered),
        "notes": sorted(str([each["event"], *(each["properties"].get(name) for name in told_of)]) for each in notes),
        "segments": len(world.get(f"/v1/contacts/{row['id']}/segments")["data"]),
    }
