"""One history of surveys, told to both the product and the model, and compared."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from chalicelib.core.clock import iso, parse_instant
from tests.support import pipeline, survey_recount
from tests.support.survey_oracle import DAY, Mail, Oracle, Person, Send, Survey
from tests.support.survey_world import SurveyWorld

RULES: dict[str, dict[str, Any]] = {
    "plan": {"field": "traits.plan", "op": "eq", "value": "trial"},
    "use": {"field": "events.use", "op": "count_gte", "value": 1, "window": "7d"},
    "vip": {"field": "tags", "op": "contains", "value": "vip"},
}
_REMINDER = "Reminder: "
_DAYS = 400
"""As many as figures are told of at once."""

_SHOWN = 25
"""As many sends as are told with an explanation."""

_SUBJECTS = {"custom": "A few questions from Acme"}


class Play:
    """The product and the model side by side. `log` has all that happened: when, to whom, and what."""

    def __init__(self, world: SurveyWorld, surveys: list[Survey], *, quiet: bool = False) -> None:
        self.world = world
        self.model = Oracle(world.now, surveys, (21 * 3_600_000, 8 * 3_600_000) if quiet else None)
        self.start = world.now
        self.log: list[tuple[int, frozenset[str], str]] = []
        self.segments = {name: world.segment(rule, name=name) for name, rule in RULES.items()}
        if quiet:
            world.ok(world.client.patch("/v1/settings", {"quiet_hours": {"start": "21:00", "end": "08:00"}}))
        self.ids = {each.name: world.ok(world.client.post("/v1/surveys", self._body(each)))["id"] for each in surveys}
        self.tokens: dict[tuple[str, str, int], str] = {}
        self.read: set[str] = set()
        self.reasons: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()

    def _body(self, survey: Survey) -> dict[str, Any]:
        trigger: dict[str, Any] = {"delay": f"{survey.delay // 1_000}s", "include_existing": survey.existing}
        if survey.event is not None:
            trigger["event"] = survey.event
        if survey.segment is not None:
            trigger["segment_id"] = self.segments[survey.segment]
        body: dict[str, Any] = {
            "name": survey.name,
            "type": survey.kind,
            "trigger": trigger,
            "frequency_cap": {"max_surveys_per_contact": survey.most, "cooldown_days": survey.cooldown},
            "channels": list(survey.channels),
        }
        if survey.kind == "custom":
            body["questions"] = [{"id": "ease", "type": "rating", "text": "Easy?"}]
        else:
            body["question"] = survey.name
        if survey.remind_after is not None:
            body["remind_after"] = f"{survey.remind_after // 1_000}s"
        if survey.repeat is not None:
            body["repeat"] = f"{survey.repeat // DAY}d"
        actions: dict[str, dict[str, Any]] = {}
        for attitude, tag in survey.tags.items():
            actions.setdefault(attitude, {})["add_tags"] = [tag]
        for attitude, days in survey.pauses.items():
            actions.setdefault(attitude, {})["pause_marketing_days"] = days
        return body | {"actions": actions}

    # What happens.

    def note(self, text: str, *people: Person | None) -> None:
        names = frozenset(each.name for each in people if each is not None)
        self.log.append((self.model.now, names, text))

    def joins(self, name: str, email: str | None, plan: str) -> None:
        ident = self.world.contact(name, email=email, plan=plan)
        self.world.settle()
        self.model.joins(name, ident, email, plan)
        self.note(f"joins {email} {plan}", self.model.people[name])

    def changes(self, person: Person, body: dict[str, Any], model: Callable[[], None]) -> None:
        self.world.ok(self.world.client.patch(f"/v1/contacts/{person.id}", body))
        self.world.settle()
        self.note(f"is changed: {body}", person)
        model()

    def takes_plan(self, person: Person, plan: str) -> None:
        self.changes(person, {"traits": {"plan": plan}}, lambda: self.model.takes_plan(person, plan))

    def is_tagged(self, person: Person) -> None:
        self.changes(person, {"add_tags": ["vip"]}, lambda: self.model.is_tagged(person, {"vip"}))

    def is_untagged(self, person: Person) -> None:
        self.changes(person, {"remove_tags": ["vip"]}, lambda: self.model.is_untagged(person, "vip"))

    def unsubscribes(self, person: Person, *, yes: bool) -> None:
        def model() -> None:
            person.unsubscribed = yes

        self.changes(person, {"unsubscribed": yes}, model)

    def does(self, name: str, event: str, age: int = 0, *, imported: bool = False) -> None:
        person = self.model.who(name)
        if person is None:
            return
        raw = {"user_id": name, "event": event, "timestamp": iso(self.model.now - age)}
        accepted = pipeline.accepted(raw, "track", self.model.now, historical=imported)
        pipeline.work(pipeline.messages(self.world.tenant, [accepted]))
        self.world.settle()
        self.note(f"does {event} (as {name}), {age} ms ago{', imported' if imported else ''}", person)
        self.model.does(person, event, age, imported=imported)

    def merges(self, target: Person, source: Person) -> None:
        path = f"/v1/contacts/{target.id}/merge"
        self.world.ok(self.world.client.post(path, {"source_contact_id": source.id}))
        self.world.settle()
        self.note(f"{target.name} absorbs {source.name}", target, source)
        self.model.merges(target, source)

    def is_deleted(self, person: Person) -> None:
        self.world.ok(self.world.client.delete(f"/v1/contacts/{person.id}"))
        self.world.settle()
        self.note("is deleted", person)
        self.model.is_deleted(person)

    def moves(self, survey: Survey, verb: str) -> None:
        self.world.do(self.ids[survey.name], verb)
        self.note(f"survey {survey.name}: {verb}")
        {"activate": self.model.activates, "pause": self.model.pauses, "archive": self.model.archives}[verb](survey)

    def caps(self, survey: Survey, most: int | None) -> None:
        body = {"frequency_cap": {"max_surveys_per_contact": most}}
        self.world.ok(self.world.client.patch(f"/v1/surveys/{self.ids[survey.name]}", body))
        self.world.settle()
        self.note(f"survey {survey.name}: most {most}")
        survey.most = most

    def rules_change(self, plan: str) -> None:
        rules = {"operator": "AND", "conditions": [RULES["plan"] | {"value": plan}]}
        self.world.ok(self.world.client.patch(f"/v1/segments/{self.segments['plan']}", {"rules": rules}))
        self.world.settle()
        self.note(f"segment plan: eq {plan}")
        self.model.rules_change(plan)

    def answers(self, whose: Person, send: Send, score: int) -> None:
        """By the token of the mail that was sent."""
        person = None if whose.gone else whose
        body = {"token": self._token(send)} | self._said(send.survey, score)
        path = f"/v1/surveys/{self.ids[send.survey.name]}/responses"
        status = self.world.client.post(path, body, key=self.world.write_key).status
        self.world.settle()
        self.note(f"answers {send.survey.name} of {send.sent_at} with {score} by token: {status}", whose)
        self.statuses[status] += 1
        self._agree(status, self.model.answers(person, send, score), send.survey, whose)

    def answers_unasked(self, person: Person, survey: Survey, score: int) -> None:
        body = {"contact_id": person.id} | self._said(survey, score)
        status = self.world.client.post(f"/v1/surveys/{self.ids[survey.name]}/responses", body).status
        self.world.settle()
        self.note(f"answers {survey.name} with {score} by id: {status}", person)
        self.statuses[status] += 1
        self._agree(status, self.model.answers_unasked(person, survey, score), survey, person)

    def passes(self, time: int) -> None:
        self.world.advance(time)
        self.model.passes(time)
        assert self.model.now == self.world.now

    def _said(self, survey: Survey, score: int) -> dict[str, Any]:
        return {"answers": {"ease": score}} if survey.kind == "custom" else {"score": score}

    def _agree(self, got: Any, expected: Any, survey: Survey, person: Person | None) -> None:
        assert got == expected, self.story(f"{survey.name}: expected {expected}, got {got}", person)

    def _token(self, send: Send) -> str:
        self._read_mails()
        assert send.to is not None
        assert send.sent_at is not None
        return self.tokens[send.to, send.survey.name, send.sent_at]

    def _read_mails(self) -> None:
        """The tokens of the mails that have come since this was done the last time."""
        query = {"limit": "100"}
        while True:
            page = self.world.get("/v1/test_mailbox", **query)
            fresh = [mail for mail in page["data"] if mail["id"] not in self.read]
            for mail in fresh:
                self.read.add(mail["id"])
                to, survey, kind, at = self._mail(mail)
                if kind == "ask":
                    self.tokens[to, survey, at] = self.world.token(mail)
            if len(fresh) < len(page["data"]) or not page["has_more"]:
                return
            query["cursor"] = page["next_cursor"]

    # What both say of it.

    def story(self, what: str, *people: Person | None) -> str:
        """A difference, and all that happened to those whom it is about, and to the surveys."""
        names = {
            name for name in self.model.people if (who := self.model.people[name]) in people or _last(who) in people
        }
        told = [
            f"  {at} {', '.join(sorted(who)) or '-'} {text}" for at, who, text in self.log if not who or who & names
        ]
        return "\n".join([what, f"now {self.model.now}; {', '.join(sorted(names))}:", *told])

    def agrees(self) -> None:
        """Everything is as the model has it."""
        mails = Counter(self._mail(each) for each in self.world.mailbox())
        expected = Counter(self.model.mails)
        for mail in [*(mails - expected), *(expected - mails)]:
            whom = [each for each in self.model.people.values() if each.email == mail[0]]
            raise AssertionError(
                self.story(f"mail {mail}: expected {expected[mail]}, got {mails[mail]}", *map(_last, whom))
            )
        for survey in self.model.surveys:
            self._sends_agree(survey)
            self._figures_agree(survey)
        for person in self.model.living():
            self._profile_agrees(person)
            for survey in self.model.surveys:
                self._explanation_agrees(survey, person)

    def _mail(self, mail: dict[str, Any]) -> Mail:
        said = mail["subject"].removeprefix(_REMINDER)
        (survey,) = (each.name for each in self.model.surveys if said == _SUBJECTS.get(each.kind, each.name))
        kind = "ask" if said == mail["subject"] else "reminder"
        return mail["to"], survey, kind, parse_instant(mail["sent_at"])

    def _sends_agree(self, survey: Survey) -> None:
        by_id = {each.id: each for each in self.model.living()}
        rows = self.world.rows(self.ids[survey.name])
        self._agree([row for row in rows if row["contact_id"] not in by_id], [], survey, None)
        for person in by_id.values():
            own = sorted(person.of(survey), key=lambda each: each.order)
            expected = [survey_recount.line(self.model, person, each) for each in own]
            theirs = sorted((row for row in rows if by_id[row["contact_id"]] is person), key=lambda row: str(row["id"]))
            got = [_send_line(person, row) for row in theirs]
            self._agree(_in_order(got), _in_order(expected), survey, person)
            self.states.update(str(each["state"]) for each in expected)
        answered = Counter(
            (by_id[row["contact_id"]].name, _score(row), row["category"], parse_instant(row["responded_at"]))
            for row in self.world.rows(self.ids[survey.name], "responses")
        )
        self._agree(answered, survey_recount.responses(self.model, survey), survey, None)

    def _figures_agree(self, survey: Survey) -> None:
        expected = survey_recount.figures(self.model, survey)
        path, today = f"/v1/surveys/{self.ids[survey.name]}/stats", self.model.now // DAY
        by_day: list[dict[str, Any]] = []
        for first in range(self.start // DAY, today + 1, _DAYS):
            last = min(first + _DAYS - 1, today)
            got = self.world.get(path, **{"from": iso(first * DAY)[:10], "to": iso(last * DAY)[:10]})
            by_day += got["by_day"]
        got["by_day"] = [{"day": parse_instant(day.pop("date")) // DAY} | day for day in by_day]
        ratings = [(each["responses"], each["average"]) for each in got["questions"]]
        got["ease"] = ratings[0] if ratings else None
        self._agree({name: got[name] for name in expected}, expected, survey, None)

    def _profile_agrees(self, person: Person) -> None:
        profile = self.world.get(f"/v1/contacts/{person.id}")
        until = profile["marketing_paused_until"]
        got = {name: profile[name] for name in ("last_nps_score", "last_csat_score")} | {
            "paused": 0 if until is None else parse_instant(until),
            "tags": set(profile["tags"]),
            "unsubscribed": profile["unsubscribed_at"] is not None,
            "email": profile["email"],
        }
        expected = survey_recount.last_scores(person) | {
            "paused": person.paused_until,
            "tags": person.tags,
            "unsubscribed": person.unsubscribed,
            "email": person.email,
        }
        assert got == expected, self.story(f"profile: expected {expected}, got {got}", person)

    def _explanation_agrees(self, survey: Survey, person: Person) -> None:
        told = self.world.explain(self.ids[survey.name], person.id)
        expected = survey_recount.explained(self.model, survey, person)
        got = {name: _ms(told[name]) if name in _MOMENTS else told[name] for name in expected}
        self._agree(got, expected, survey, person)
        shown = Counter((each["state"], each["reason"]) for each in told["sends"])
        own = Counter((each.shown(self.model.now), each.reason) for each in person.of(survey))
        assert shown == own or (shown <= own and shown.total() == _SHOWN), self.story("what explain lists", person)
        self.reasons[str(expected["reason"])] += 1


_MOMENTS = ("until", "last_sent_at", "cooldown_until")


def _send_line(person: Person, row: dict[str, Any]) -> dict[str, Any]:
    names = ("state", "reason", "cause", "channels", "not_reminded")
    moments = ("due_at", "sent_at", "answered_at", "reminded_at")
    return {"contact": person.name} | {name: row[name] for name in names} | {name: _ms(row[name]) for name in moments}


def _in_order(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By what caused them, where that is known: of many who enter a segment by its rules, none is the first."""
    ranks = {id(line): n for n, line in enumerate(lines) if line["cause"] != "segment"}
    return sorted(lines, key=lambda line: (ranks.get(id(line), len(lines)), repr(sorted(line.items()))))


def _score(row: dict[str, Any]) -> int:
    score: int = row["answers"]["ease"] if row["score"] is None else row["score"]
    return score


def _last(person: Person) -> Person:
    while person.into is not None:
        person = person.into
    return person


def _ms(moment: str | None) -> int | None:
    return None if moment is None else parse_instant(moment)
