"""What the product says of a history of surveys beside what the model says, and what happened where they differ."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from chalicelib.core.clock import iso
from tests.support.survey_history import Play
from tests.support.survey_judge import THANKS
from tests.support.survey_people import DAY, Ask, Form, Person

PLURALS = {"promoter": "promoters", "passive": "passives", "detractor": "detractors"}
CATEGORIES = {"nps": list(PLURALS), "csat": ["satisfied", "neutral", "dissatisfied"], "custom": []}

DAYS_SHOWN = 400
OFFERED = 20
SHOWN = 25
"""The newest sends that an explanation shows."""


def agrees(play: Play, *, explained: int = 1_000) -> None:
    """Everything is as the model says; so many people are explained to for each survey."""
    _mails(play)
    by_id = {ident: play.model.people[name] for name, ident in play.ids.items()}
    for form in play.model.forms:
        _sends(play, form, by_id)
        _stats(play, form)
        there = play.model.there()
        for person in play.rng.sample(there, min(explained, len(there))):
            _explained(play, form, person)
    for person in play.model.there():
        _profile(play, person)
    _gone(play)


def _differ(play: Play, what: str, person: Person | None, expected: object, got: object) -> str:
    told = f"\n{what}{'' if person is None else f' of {person.name}'} at {iso(play.model.now)}"
    said = f"{told}\n  expected {expected}\n       got {got}"
    if person is None:
        return said
    parts = [each for each in play.model.people.values() if each is person or _leads_to(each, person)]
    story = sorted({line for each in parts for line in each.story})
    asks = [f"    {_ask(each, play.model.now)}" for each in person.asks]
    lines = [f"    {iso(moment)} {line}" for moment, line in story]
    return "\n".join([said, f"  {person.address} {person.plan} {sorted(person.seen)}", *lines, "  was asked", *asks])


def _leads_to(one: Person, other: Person) -> bool:
    while one.into is not None:
        one = one.into
    return one is other


def _mails(play: Play) -> None:
    got = Counter((mail["to"], mail["subject"], mail["sent_at"]) for mail in play.world.mailbox())
    expected = Counter((to, subject, iso(at)) for to, subject, at in play.model.mails)
    more, missing = got - expected, expected - got
    if more or missing:
        (address, _, _) = min([*more, *missing], key=lambda each: each[2])
        person = next((each for each in play.model.people.values() if each.address == address), None)
        while person is not None and person.into is not None:
            person = person.into
        raise AssertionError(_differ(play, f"mails to {address}", person, sorted(missing), sorted(more)))


def _ask(ask: Ask, now: int) -> tuple[Any, ...]:
    """What is shown of a send."""
    moments = (ask.made, ask.due if ask.state == "waiting" else None, ask.at, ask.answered_at, ask.reminded_at)
    shown = (ask.form.name, ask.cause, ask.shown(now), ask.reason, "+".join(_by(ask)), ask.not_reminded)
    return (*shown, *(None if each is None else iso(each) for each in moments))


def _by(ask: Ask) -> Iterable[str]:
    return () if ask.cause == "api" else ask.by


def _send(row: dict[str, Any], form: Form) -> tuple[Any, ...]:
    shown = (form.name, row["cause"], row["state"], row["reason"], "+".join(row["channels"]), row["not_reminded"])
    return (*shown, *(row[name] for name in ("created_at", "due_at", "sent_at", "answered_at", "reminded_at")))


def _sends(play: Play, form: Form, by_id: dict[str, Person]) -> None:
    survey, now = play.surveys[form.name], play.model.now
    rows: dict[str, list[tuple[Any, ...]]] = {}
    answers: dict[str, list[tuple[Any, ...]]] = {}
    for row in play.world.rows(survey):
        rows.setdefault(by_id[row["contact_id"]].name, []).append(_send(row, form))
    for row in play.world.rows(survey, "responses"):
        told: tuple[Any, ...] = tuple(
            str(row[name]) for name in ("responded_at", "updated_at", "score", "comment", "category")
        )
        told += (sorted(row["answers"].items()),)
        answers.setdefault(by_id[row["contact_id"]].name, []).append(told)
    for person in play.model.people.values():
        own = [each for each in person.asks if each.form is form]
        expected = sorted((_ask(each, now) for each in own), key=str)
        got = sorted(rows.get(person.name, []), key=str)
        assert got == expected, _differ(play, f"sends of {form.name}", person, expected, got)
        given = sorted(_answer(each) for each in own if each.answer is not None)
        heard = sorted(answers.get(person.name, []))
        assert heard == given, _differ(play, f"responses to {form.name}", person, given, heard)


def _answer(ask: Ask) -> tuple[Any, ...]:
    answer = ask.answer
    assert answer is not None
    said = (answer.score, answer.comment, answer.category(ask.form.kind))
    return (iso(answer.at), iso(answer.updated), *(str(each) for each in said), sorted(answer.answers.items()))


def _all(play: Play, form: Form) -> list[Ask]:
    return [ask for person in play.model.there() for ask in person.asks if ask.form is form and ask.at is not None]


def _stats(play: Play, form: Form) -> None:
    """The figures, which are those of a recount of what was asked and answered, in all and by day."""
    asked = _all(play, form)
    now = play.model.now
    # As many days as one answer tells of, and those before.
    pages = [_page(play, form, now - n * DAYS_SHOWN * DAY) for n in range((now - play.start) // (DAYS_SHOWN * DAY) + 2)]
    told = pages[0]
    expected = _figures(form, asked, [ask for ask in asked if ask.answer is not None])
    got = {name: told[name] for name in expected}
    assert got == expected, _differ(play, f"figures of {form.name}", None, expected, got)
    days = {iso(ask.at or 0)[:10] for ask in asked} | {iso(ask.answer.at)[:10] for ask in asked if ask.answer}
    by_day = {}
    for day in sorted(days):
        sent = [ask for ask in asked if iso(ask.at or 0)[:10] == day]
        figures = _figures(form, sent, [ask for ask in asked if ask.answer and iso(ask.answer.at)[:10] == day])
        by_day[day] = (
            figures["total_sent"],
            figures["total_responses"],
            figures["breakdown"],
            figures["average_score"],
        )
    shown = {
        row["date"]: (row["sent"], row["responses"], row["breakdown"], row["average_score"])
        for page in pages
        for row in page["by_day"]
    }
    assert shown == by_day, _differ(play, f"figures by day of {form.name}", None, by_day, shown)
    if form.kind == "custom":
        questions = {row["id"]: (row["responses"], row["average"], row["options"]) for row in told["questions"]}
        assert questions == _questions(asked), _differ(play, "questions", None, _questions(asked), questions)


def _page(play: Play, form: Form, last: int) -> Any:
    days = {"from": iso(last - (DAYS_SHOWN - 1) * DAY)[:10], "to": iso(last)[:10]}
    return play.world.get(f"/v1/surveys/{play.surveys[form.name]}/stats", **days)


def _figures(form: Form, asked: list[Ask], answered: list[Ask]) -> dict[str, Any]:
    answers = [ask.answer for ask in answered if ask.answer is not None]
    categories = Counter(each.category(form.kind) for each in answers)
    scores = [each.score for each in answers if each.score is not None]
    best, worst = categories["promoter"] + categories["satisfied"], categories["detractor"]
    score = round(100 * (best - worst) / len(answers)) if answers else 0
    return {
        "total_sent": len(asked),
        "total_responses": len(answers),
        "response_rate": round(len(answers) / len(asked), 3) if asked else 0,
        "nps_score": score if form.kind == "nps" else None,
        "csat_score": score if form.kind == "csat" else None,
        "breakdown": {PLURALS.get(each, each): categories[each] for each in CATEGORIES[form.kind]},
        "average_score": round(sum(scores) / len(scores), 1) if scores else None,
    }


def _questions(asked: list[Ask]) -> dict[str, tuple[Any, ...]]:
    given = [ask.answer.answers for ask in asked if ask.answer is not None]
    ratings = [each["q1"] for each in given]
    colours = Counter(each["q2"] for each in given if "q2" in each)
    average = round(sum(ratings) / len(ratings), 1) if ratings else None
    options = {colour: colours[colour] for colour in ("red", "blue")}
    return {"q1": (len(ratings), average, {}), "q2": (colours.total(), None, options)}


def expected_reason(play: Play, form: Form, person: Person) -> tuple[bool, str | None, int | None]:
    """Whether the person may be asked now, why not, and until when: in the order in which a send that is due is."""
    model, last = play.model, person.last_asked()
    reason = model.bound(form, person)
    if reason is not None:
        return False, reason, (last or 0) + form.cooldown if reason == "cooldown" else None
    obstacle = None if "widget" in form.channels else model.obstacle(person)
    if obstacle is not None:
        return False, obstacle, person.paused_until if obstacle == "paused_marketing" else None
    waiting = person.waiting(form)
    return True, None if waiting is None else "waiting", None if waiting is None else waiting.due


def _explained(play: Play, form: Form, person: Person) -> None:
    model, last = play.model, person.last_asked()
    may_be, reason, until = expected_reason(play, form, person)
    cools = None if last is None or last + form.cooldown <= model.now else last + form.cooldown
    waiting = person.waiting(form)
    why = [(ask.shown(model.now), ask.reason) for ask in person.asks if ask.form is form]
    expected = {
        "may_be_asked": may_be,
        "reason": reason,
        "until": None if until is None else iso(until),
        "in_segment": None if form.segment is None else model.is_member(person, form.segment),
        "sends_counted": person.count(form),
        "max_surveys_per_contact": form.most,
        "last_sent_at": None if last is None else iso(last),
        "cooldown_until": None if cools is None else iso(cools),
        "waiting": None if waiting is None else iso(waiting.due),
        "why": Counter(why) if len(why) <= SHOWN else SHOWN,
    }
    told = play.world.explain(play.surveys[form.name], play.ids[person.name])
    told["waiting"] = None if told["waiting"] is None else told["waiting"]["due_at"]
    told["why"] = (
        Counter((row["state"], row["reason"]) for row in told["sends"]) if len(why) <= SHOWN else len(told["sends"])
    )
    got = {name: told[name] for name in expected}
    differing = {name for name in expected if expected[name] != got[name]}
    assert not differing, _differ(
        play, f"{form.name} explained", person, [(n, expected[n]) for n in differing], [(n, got[n]) for n in differing]
    )
    play.happened[f"explained {reason}"] += 1


def _profile(play: Play, person: Person) -> None:
    """What surveys leave with a contact, and what widgets show it."""
    shown = play.world.get(f"/v1/contacts/{play.ids[person.name]}")
    paused = iso(person.paused_until) if person.paused_until else None
    expected = (person.last_score("nps"), person.last_score("csat"), sorted(person.tags), paused)
    got = tuple(shown[name] for name in ("last_nps_score", "last_csat_score", "tags", "marketing_paused_until"))
    assert got == expected, _differ(play, "profile", person, expected, got)
    offered = play.world.ok(
        play.world.client.get("/v1/decide", query={"user_id": person.name}, key=play.world.write_key)
    )["surveys"]
    due = Counter(
        play.surveys[ask.form.name]
        for ask in person.asks
        if ask.is_open(play.model.now)
        and "widget" in ask.by
        and ask.form.status == "active"
        and "widget" in ask.form.channels
    )
    told = Counter(each["survey_id"] for each in offered)
    # Of those that went by widgets the newest 20 are offered, answered or not.
    is_whole = sum("widget" in ask.by for ask in person.asks) <= OFFERED
    assert told == due if is_whole else told <= due, _differ(play, "decide", person, due, told)


def _gone(play: Play) -> None:
    """Whoever was deleted, or is part of somebody else, is explained to nobody."""
    gone = [each for each in play.model.people.values() if each.gone or each.into is not None]
    for person in gone[:20]:
        survey = play.surveys[play.model.forms[0].name]
        path = f"/v1/surveys/{survey}/explain"
        assert play.world.client.get(path, query={"contact_id": play.ids[person.name]}).status == 404


def tally(play: Play) -> dict[str, Counter[str]]:
    """What was compared, by kind: whoever says that all agree is to know that all occurred."""
    asks = [ask for person in play.model.there() for ask in person.asks]
    kinds = {THANKS: "campaign"}
    return {
        "sends": Counter(ask.reason or ask.shown(play.model.now) for ask in asks),
        "causes": Counter(ask.cause for ask in asks),
        "channels": Counter("+".join(ask.by) for ask in asks if ask.at is not None),
        "reminders": Counter(ask.not_reminded or "sent" for ask in asks if ask.not_reminded or ask.reminded_at),
        "mails": Counter(
            "reminder" if subject.startswith("Reminder") else kinds.get(subject, "ask")
            for _, subject, _ in play.model.mails
        ),
        "happened": play.happened,
    }
