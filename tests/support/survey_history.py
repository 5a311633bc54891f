"""One random history of surveys, told both to the product and to a model that knows nothing of it."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from chalicelib.core.clock import SECOND, iso
from chalicelib.platform import survey_tokens
from chalicelib.platform.survey_tokens import Token
from tests.support import pipeline
from tests.support.survey_forms import PLANS, QUESTIONS, RULES, drawn
from tests.support.survey_judge import THANKS, Oracle
from tests.support.survey_people import ANSWERABLE, CORRECTABLE, DAY, HOUR, WINDOW, Action, Ask, Form, Person
from tests.support.survey_world import SurveyWorld

WHAT = {
    "closes": 12,
    "closed": 3,
    "logs in": 10,
    "logged in": 2,
    "imported": 1,
    "imports": 2,
    "changes plan": 3,
    "finds an address": 1,
    "leaves": 2,
    "comes back": 1,
    "loses the tag": 1,
    "is deleted": 1,
    "merges": 3,
    "answers": 8,
    "corrects": 3,
    "is answered for": 6,
    "survey moves": 3,
    "survey changes": 1,
    "rules change": 1,
    "sender": 1,
    "passes": 8,
    "comes to the point": 12,
}
ENDING = 3
"""How many surveys end in a history."""

FEWEST = 5
"""As many people remain, however many are deleted and merged."""


class Play:
    """`world` is the product, `model` what it is to do; `happened` counts what was done, and statuses of answers."""

    def __init__(self, world: SurveyWorld, seed: int, people: int, flavour: str = "plain") -> None:
        self.world, self.rng, self.flavour = world, random.Random(seed), flavour
        # Each run of a history begins at the same hour, whenever it is run.
        world.advance(DAY - world.now % DAY + 10 * HOUR)
        self.start = world.now
        self.model = Oracle(self.start, (22, 7) if flavour == "quiet" else None)
        self.happened: Counter[str] = Counter()
        self.ids: dict[str, str] = {}
        self.surveys: dict[str, str] = {}
        if self.model.quiet is not None:
            hours = {"start": "22:00", "end": "07:00"}
            world.ok(world.client.patch("/v1/settings", {"quiet_hours": hours, "timezone": "UTC"}))
        trial = {"field": "traits.plan", "op": "in", "value": sorted(self.model.plans)}
        rules = {"trial": [trial], **RULES}
        self.segments = {name: world.segment(*conditions, name=name) for name, conditions in rules.items()}
        self.campaign = world.lifecycle({"subject": THANKS}, trigger={"event": "nobody does this"})
        for _ in range(people):
            self.comes()
        self.model.forms = drawn(self.rng, quiet=flavour == "quiet", by_campaign=flavour == "plain")
        for form in self.model.forms:
            self.surveys[form.name] = world.ok(world.client.post("/v1/surveys", self.body(form)))["id"]
        for form in self.model.forms:
            if self.rng.random() < 0.8:
                self.moves(form, "activate")

    def body(self, form: Form) -> dict[str, Any]:
        """The definition of a survey."""
        conditions = [("event.properties.tier", form.tier), ("traits.country", form.country)]
        filters = [{"field": field, "op": "eq", "value": value} for field, value in conditions if value is not None]
        trigger = {
            "event": form.event,
            "segment_id": None if form.segment is None else self.segments[form.segment],
            "filters": {"operator": "AND", "conditions": filters} if filters else None,
            "include_existing": form.existing,
            "delay": f"{form.delay // SECOND}s",
        }
        actions = {name: self.action(each) for name, each in form.actions.items()}
        body: dict[str, Any] = {"type": form.kind, "actions": actions, "trigger": trigger}
        body |= dict.fromkeys(("name", "question", "subject"), form.name)
        body |= {"questions": QUESTIONS} if form.kind == "custom" else {}
        body |= {"repeat": None if form.repeat is None else f"{form.repeat // HOUR}h"}
        return body | self.changeable(form)

    def changeable(self, form: Form) -> dict[str, Any]:
        cap = {"max_surveys_per_contact": form.most, "cooldown_days": form.cooldown // DAY}
        remind = None if form.remind is None else f"{form.remind // HOUR}h"
        return {"frequency_cap": cap, "channels": list(form.channels), "remind_after": remind}

    def action(self, action: Action) -> dict[str, Any]:
        said = {
            "add_tags": [] if action.tag is None else [action.tag],
            "start_campaign_id": self.campaign if action.campaign else None,
            "pause_marketing_days": None if action.pause is None else action.pause // DAY,
        }
        return {name: value for name, value in said.items() if value}

    def comes(self) -> None:
        """One more person."""
        n = len(self.ids)
        name, kinds = f"c{n:03d}", {5: "bounce", 9: "complaint"}
        kind = kinds.get(n % 11)
        address = None if n % 11 == 3 else f"{kind}+{n}@simulator.amazonses.com" if kind else f"{name}@example.com"
        plan, country = self.rng.choice(("trial", "trial", "basic", "pro", None)), self.rng.choice(("de", "fr"))
        traits = {"country": country} | ({} if plan is None else {"plan": plan})
        self.ids[name] = self.world.contact(name, **traits, email=address)
        self.world.settle()
        self.model.comes(Person(name, address, plan, country))

    def act(self) -> None:
        """One thing happens."""
        (what,) = self.rng.choices(list(WHAT), list(WHAT.values()))
        general: dict[str, Callable[[], object]] = {
            "survey moves": self.some_survey_moves,
            "survey changes": self.some_survey_changes,
            "rules change": self.rules_change,
            "sender": self.sender_goes_or_comes,
            "passes": lambda: self.passes(self.rng.choice((1, HOUR, 7 * HOUR + 123, DAY, DAY + 1, 3 * DAY - 1))),
            "comes to the point": self.comes_to_the_point,
        }
        if what in general:
            general[what]()
            return
        # What happens to those who are on their way says more than what happens to anybody.
        there, chance = self.model.there(), self.rng.random()
        asked = [each for each in there if each.asks]
        waiting = [each for each in asked if any(ask.state == "waiting" for ask in each.asks)]
        of = waiting if chance < 0.4 and waiting else asked if chance < 0.7 and asked else there
        self.one(what, self.rng.choice(of))

    def one(self, what: str, person: Person) -> None:
        """Something happens to that person."""
        acts: dict[str, Callable[[Person], object]] = {
            "closes": lambda each: self.closes(each, 0),
            "closed": lambda each: self.closes(each, self.rng.choice((2 * HOUR, DAY, DAY + 1))),
            "logs in": lambda each: self.logs_in(each, 0),
            "logged in": lambda each: self.logs_in(each, self.rng.choice((2 * HOUR, DAY, DAY + 1, 6 * DAY))),
            "imported": lambda each: self.closes(each, 0, imported=True),
            "imports": lambda each: self.logs_in(each, self.rng.choice((0, HOUR, 8 * DAY)), imported=True),
            "changes plan": self.changes_plan,
            "finds an address": self.finds_an_address,
            "leaves": lambda each: self.unsubscribes(each, yes=True),
            "comes back": lambda each: self.unsubscribes(each, yes=False),
            "loses the tag": self.loses_the_tag,
            "is deleted": self.is_deleted,
            "merges": self.merges,
            "answers": lambda each: self.answers(each, lambda ask: ask.answer is None),
            "corrects": lambda each: self.answers(each, lambda ask: ask.answer is not None),
            "is answered for": self.is_answered_for,
        }
        acts[what](person)
        self.happened[what] += 1

    def note(self, person: Person, what: str) -> None:
        person.story.append((self.model.now, what))

    def closes(self, person: Person, ago: int, *, imported: bool = False) -> None:
        tier = self.rng.choice(("pro", "free"))
        self.happens(person, "closed", self.model.now - ago, tier, imported=imported)

    def logs_in(self, person: Person, ago: int, *, imported: bool = False) -> None:
        self.happens(person, "login", self.model.now - ago, imported=imported)

    def happens(self, person: Person, event: str, at: int, tier: str | None = None, *, imported: bool = False) -> None:
        """An event is received now that happened then."""
        self.note(person, f"{event} {tier or ''} {iso(at)}{' imported' if imported else ''}")
        raw = {"user_id": self.alias(person), "event": event, "timestamp": iso(at), "properties": {"tier": tier}}
        accepted = pipeline.accepted(raw, "track", self.world.now, historical=imported)
        pipeline.work(pipeline.messages(self.world.tenant, [accepted]))
        self.world.settle()
        self.model.does(person, event, at, tier, imported=imported)

    def alias(self, person: Person) -> str:
        """Any of the names that lead to the person by now."""
        return self.rng.choice([each for each in self.ids if self.model.who(each) is person])

    def patch(self, person: Person, body: dict[str, Any]) -> None:
        self.note(person, f"patched {body}")
        self.world.ok(self.world.client.patch(f"/v1/contacts/{self.ids[person.name]}", body))
        self.world.settle()

    def changes_plan(self, person: Person) -> None:
        plan = self.rng.choice(("trial", "basic", "pro"))
        self.patch(person, {"traits": {"plan": plan}})
        self.model.changes(person, plan=plan)

    def finds_an_address(self, person: Person) -> None:
        if person.address is None:
            address = f"{person.name}-new@example.com"
            self.patch(person, {"traits": {"email": address}})
            self.model.changes(person, address=address)

    def unsubscribes(self, person: Person, *, yes: bool) -> None:
        self.patch(person, {"unsubscribed": yes})
        person.unsubscribed = yes

    def loses_the_tag(self, person: Person) -> None:
        self.patch(person, {"remove_tags": ["fan"]})
        self.model.loses_tag(person)

    def is_deleted(self, person: Person) -> None:
        if len(self.model.there()) <= FEWEST:
            return
        self.note(person, "is deleted")
        self.world.ok(self.world.client.delete(f"/v1/contacts/{self.ids[person.name]}"))
        self.world.settle()
        self.model.is_deleted(person)

    def merges(self, person: Person) -> None:
        others = [each for each in self.model.there() if each is not person]
        alike = [
            each for each in others if any(each.waiting(form) and person.waiting(form) for form in self.model.forms)
        ]
        other = self.rng.choice(alike if alike and self.rng.random() < 0.7 else others)
        if len(others) > FEWEST:
            for each in (person, other):
                self.note(each, f"{other.name} becomes part of {person.name}")
            body = {"source_contact_id": self.ids[other.name]}
            self.world.ok(self.world.client.post(f"/v1/contacts/{self.ids[person.name]}/merge", body))
            self.world.settle()
            self.model.merges(person, other)

    def said(self, form: Form, *, again: bool) -> dict[str, Any]:
        """Some answer; one that is given again may leave things out."""
        said: dict[str, Any] = {}
        if form.kind == "custom":
            said["answers"] = {"q1": self.rng.randint(1, 5)} | self.rng.choice(({}, {"q2": "red"}, {"q2": "blue"}))
        else:
            said["score"] = self.rng.choice((0, 3, 6, 7, 8, 9, 10) if form.kind == "nps" else (1, 2, 3, 4, 5))
        if self.rng.random() < 0.4:
            said["comment"] = self.rng.choice(("Good", "Bad", None))
        if again and self.rng.random() < 0.3 and form.kind != "custom":
            said.pop("score")
        return said

    def answers(self, person: Person, wanted: Callable[[Ask], bool]) -> None:
        """By the token of something that the person was asked."""
        found = [ask for ask in person.asks if ask.at is not None and wanted(ask)]
        ask = self.rng.choice(found[-3:]) if found else None
        token = None if ask is None else self.token(person, ask)
        if ask is not None and token is not None:
            self.answers_by(token, person, ask)

    def answers_by(self, token: str, person: Person, ask: Ask) -> None:
        said = self.said(ask.form, again=ask.answer is not None)
        survey, key = self.surveys[ask.form.name], self.rng.choice((self.world.write_key, None))
        answer = self.world.client.post(f"/v1/surveys/{survey}/responses", said | {"token": token}, key=key)
        self.has_answered(
            person, f"answers {ask.form.name} {said}", answer.status, self.model.answers(ask, person, said)
        )

    def token(self, person: Person, ask: Ask) -> str | None:
        """As it was given to whoever was asked, who may be part of somebody else by now; None where both were asked in
        one moment."""
        survey = self.surveys[ask.form.name]
        sends = self.world.explain(survey, self.ids[person.name])["sends"]
        found = [each["id"] for each in sends if each["sent_at"] == iso(ask.at or 0)]
        return (
            survey_tokens.make(Token(self.world.tenant, self.ids[ask.first], survey, *found))
            if len(found) == 1
            else None
        )

    def is_answered_for(self, person: Person) -> None:
        """By the contact's id, asked or not."""
        waiting = [ask.form for ask in person.asks if ask.state == "waiting"]
        form = self.rng.choice(waiting if waiting and self.rng.random() < 0.4 else self.model.forms)
        known = self.model.answered_for(form, person)
        said = self.said(form, again=known is not None and known.answer is not None)
        body = said | {"contact_id": self.ids[person.name]}
        answer = self.world.client.post(f"/v1/surveys/{self.surveys[form.name]}/responses", body)
        expected = self.model.answers_for(form, person, said)
        self.has_answered(person, f"is answered for {form.name} {said}", answer.status, expected)

    def has_answered(self, person: Person, what: str, status: int, expected: int) -> None:
        self.note(person, f"{what}: {status}")
        assert status == expected, (what, person.story)
        self.happened[f"answer {status}"] += 1
        self.world.settle()

    def moves(self, form: Form, verb: str) -> None:
        self.world.do(self.surveys[form.name], verb)
        {"activate": self.model.activates, "pause": self.model.pauses, "archive": self.model.archives}[verb](form)
        self.happened[verb] += 1

    def some_survey_moves(self) -> None:
        """One that is paused goes on before long; at most three end, while something of them waits."""
        self.has_sender()
        forms, chance = self.model.forms, self.rng.random()
        still = [each for each in forms if each.status in ("draft", "paused")]
        going = [each for each in forms if each.status == "active"]
        busy = [each for each in going if any(person.waiting(each) for person in self.model.there())]
        if chance < 0.12 and busy and sum(each.status == "archived" for each in forms) < ENDING:
            self.moves(self.rng.choice(busy), "archive")
        elif still and (chance < 0.7 or not going):
            self.moves(self.rng.choice(still), "activate")
        elif going:
            self.moves(self.rng.choice(busy or going), "pause")

    def some_survey_changes(self) -> None:
        self.has_sender()
        form = self.rng.choice([each for each in self.model.forms if each.status != "archived"])
        form.most = self.rng.choice((1, 2, 3, None))
        form.channels = self.rng.choice((("email",), ("widget",), ("email", "widget")))
        form.remind = self.rng.choice((None, DAY, 3 * DAY)) if "email" in form.channels else None
        if self.flavour != "quiet":
            form.cooldown = self.rng.choice((0, DAY, 2 * DAY))
        self.world.ok(self.world.client.patch(f"/v1/surveys/{self.surveys[form.name]}", self.changeable(form)))
        self.world.settle()

    def rules_change(self) -> None:
        plans = PLANS[self.model.plans == PLANS[0]]
        rules = {"operator": "AND", "conditions": [{"field": "traits.plan", "op": "in", "value": sorted(plans)}]}
        self.world.ok(self.world.client.patch(f"/v1/segments/{self.segments['trial']}", {"rules": rules}))
        self.world.settle()
        self.model.plans_are(plans)

    def sender_goes_or_comes(self) -> None:
        if self.flavour == "senders":
            self.has_sender(yes=not self.model.has_sender)

    def has_sender(self, *, yes: bool = True) -> None:
        """Without one no survey is activated or changed."""
        if yes != self.model.has_sender:
            self.model.has_sender = yes
            sender = "hello@acme.test" if yes else None
            self.world.ok(self.world.client.patch("/v1/settings", {"default_from_email": sender}))

    def passes(self, time: int) -> None:
        self.world.advance(time)
        self.model.passes(time)
        assert self.model.now == self.world.now

    def comes_to_the_point(self) -> None:
        """Time passes until just before, at, or after a moment at which something ends, and then something happens."""
        coming = self.points()
        soon = [each for each in coming if each[0] <= self.model.now + 8 * DAY]
        if coming and (soon or self.rng.random() < 0.3):
            some = self.rng.choices(soon if soon and self.rng.random() < 0.97 else coming, k=4)
            moment, person, what = min(some, key=lambda each: each[0])
            self.passes(max(1, moment - self.model.now + self.rng.choice((-1, 0, 1))))
            if person in self.model.there():
                self.one(what, person)

    def points(self) -> list[tuple[int, Person, str]]:
        """Moments that something depends on, whose it is, and what may happen then to show it."""
        found = []
        for person in self.model.there():
            last = person.last_asked()
            found += [(last + form.cooldown, person, "closes") for form in self.model.forms if last is not None]
            found += [(each + WINDOW, person, "logs in") for each in person.logins]
            found += [(ask.due, person, "leaves") for ask in person.asks if ask.state == "waiting"]
            found += [(ask.at + ANSWERABLE, person, "answers") for ask in person.asks if ask.at is not None]
            found += [
                (ask.answer.at + CORRECTABLE, person, "corrects") for ask in person.asks if ask.answer is not None
            ]
            found.append((person.paused_until, person, "closes"))
        return [each for each in found if each[0] > self.model.now]
