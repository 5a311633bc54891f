"""Who is asked what, when, by what, and why not, said plainly and of its own: one loop over the moments, no tables.

Three segments: `plan` by a trait, `use` by an event of the last seven days, `vip` by a tag.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

HOUR = 3_600_000
DAY = 24 * HOUR
WINDOW = 7 * DAY
"""How long the event `use` keeps somebody in the segment of that name."""

OPEN = 90 * DAY
Order = tuple[int, str]
Mail = tuple[str, str, str, int]
"""To, survey, kind, moment."""


@dataclass(slots=True)
class Survey:
    """`delay`, `remind_after` and `repeat` in ms, `cooldown` in days; `tags` and `pauses` (days) by attitude."""

    name: str
    kind: str = "nps"
    event: str | None = None
    segment: str | None = None
    delay: int = 0
    existing: bool = False
    most: int | None = 1
    cooldown: int = 0
    channels: tuple[str, ...] = ("email", "widget")
    remind_after: int | None = None
    repeat: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    pauses: dict[str, int] = field(default_factory=dict)
    status: str = "draft"
    was_active: bool = False
    sweep_at: int | None = None


@dataclass(slots=True, eq=False)
class Send:
    """`order` is that of its cause, and of whom it was made for. `due` is of what is still to come."""

    survey: Survey
    order: Order
    cause: str
    due: int | None
    state: str = "waiting"
    reason: str | None = None
    by: tuple[str, ...] = ()
    to: str | None = None
    sent_at: int | None = None
    answered_at: int | None = None
    score: int | None = None
    reminded_at: int | None = None
    not_reminded: str | None = None
    effects: set[tuple[str, str]] = field(default_factory=set)

    def is_open(self, now: int) -> bool:
        return self.state == "sent" and self.sent_at is not None and now < self.sent_at + OPEN

    def shown(self, now: int) -> str:
        return "expired" if self.state == "sent" and not self.is_open(now) else self.state


@dataclass(slots=True, eq=False)
class Person:
    name: str
    id: str
    email: str | None
    plan: str
    tags: set[str] = field(default_factory=set)
    uses: list[int] = field(default_factory=list)
    unsubscribed: bool = False
    paused_until: int = 0
    gone: bool = False
    into: "Person | None" = None
    sends: list[Send] = field(default_factory=list)

    def of(self, survey: Survey) -> list[Send]:
        return [each for each in self.sends if each.survey is survey]

    def waiting(self, survey: Survey) -> Send | None:
        return next((each for each in self.of(survey) if each.state == "waiting"), None)

    def count(self, survey: Survey) -> int:
        return sum(each.sent_at is not None for each in self.of(survey))

    def last_sent(self) -> int | None:
        return max((each.sent_at for each in self.sends if each.sent_at is not None), default=None)


def category(kind: str, score: int) -> str | None:
    """What a score says."""
    if kind == "nps":
        return "promoter" if score >= 9 else "detractor" if score <= 6 else "passive"
    if kind == "csat":
        return "satisfied" if score >= 4 else "neutral" if score == 3 else "dissatisfied"
    return None


ATTITUDES = {"satisfied": "promoter", "neutral": "passive", "dissatisfied": "detractor"}


@dataclass(slots=True)
class Oracle:
    """`plan` is that of the segment of that name; `quiet` are ms of the day (UTC), from and until."""

    now: int
    surveys: list[Survey]
    quiet: tuple[int, int] | None = None
    plan: str = "trial"
    people: dict[str, Person] = field(default_factory=dict)
    mails: list[Mail] = field(default_factory=list)
    dead: dict[str, str] = field(default_factory=dict)
    causes: int = 0

    def who(self, name: str) -> Person | None:
        """Who that is by now; None if it was deleted."""
        person = self.people[name]
        while person.into is not None:
            person = person.into
        return None if person.gone else person

    def living(self) -> list[Person]:
        return [each for each in self.people.values() if each.into is None and not each.gone]

    def inside(self, person: Person, segment: str | None) -> bool:
        if segment == "plan":
            return person.plan == self.plan
        if segment == "use":
            return any(at <= self.now < at + WINDOW for at in person.uses)
        return segment is None or segment in person.tags

    # What happens.

    def joins(self, name: str, ident: str, email: str | None, plan: str) -> None:
        person = self.people[name] = Person(name, ident, email, plan)
        self._entered(person, set(), "all")

    def takes_plan(self, person: Person, plan: str) -> None:
        before = self._segments(person)
        person.plan = plan
        self._entered(person, before, "all")

    def is_tagged(self, person: Person, tags: set[str]) -> None:
        before = self._segments(person)
        person.tags |= tags
        self._entered(person, before, "all")

    def is_untagged(self, person: Person, tag: str) -> None:
        person.tags.discard(tag)

    def rules_change(self, plan: str) -> None:
        before = {each.name: self._segments(each) for each in self.living()}
        self.plan = plan
        for each in self.living():
            self._entered(each, before[each.name], "rules")

    def does(self, person: Person, event: str, age: int, *, imported: bool) -> None:
        """An event of so long ago is received; one that was imported, or is older than a day, starts nothing."""
        starts = not imported and age <= DAY
        before = self._segments(person)
        if event == "use":
            person.uses.append(self.now - age)
        if starts:
            order = self._cause(person)
            for survey in self.surveys:
                if survey.event == event:
                    self._begin(survey, person, "event", order)
        self._entered(person, before, "all" if starts else "none")

    def merges(self, target: Person, source: Person) -> None:
        before = self._segments(target)
        source.into = target
        target.email = target.email or source.email
        target.tags |= source.tags
        target.uses += source.uses
        target.unsubscribed |= source.unsubscribed
        target.paused_until = max(target.paused_until, source.paused_until)
        target.sends, source.sends = target.sends + source.sends, []
        for survey in self.surveys:
            both = sorted(
                (each for each in target.of(survey) if each.state == "waiting"),
                key=lambda each: (each.due or 0, each.order),
            )
            for each in both[1:]:
                each.state, each.reason, each.due = "skipped", "merged", None
        self._entered(target, before, "merge")

    def is_deleted(self, person: Person) -> None:
        person.gone = True

    def activates(self, survey: Survey) -> None:
        survey.status = "active"
        if not survey.was_active and (survey.repeat is not None or survey.existing):
            self._sweep(survey)
            survey.sweep_at = None if survey.repeat is None else self.now + survey.repeat
        survey.was_active = True
        self._catch_up()

    def pauses(self, survey: Survey) -> None:
        survey.status = "paused"

    def archives(self, survey: Survey) -> None:
        survey.status, survey.sweep_at = "archived", None
        self._catch_up()

    def answers(self, person: Person | None, send: Send, score: int) -> int:
        """By a token; returns the status."""
        if person is None:
            return 404
        if send.answered_at is None:
            if not send.is_open(self.now):
                return 409
            self._first(person, send, score)
            return 201
        if self.now >= send.answered_at + DAY:
            return 409
        if score != send.score:
            send.score = score
            self._effects(person, send)
        return 200

    def fitting(self, person: Person, survey: Survey) -> list[Send]:
        """The sends of which the newest is answered by the contact's id: those that are open, or can be corrected."""
        own = person.of(survey)
        return [each for each in own if each.is_open(self.now)] or [
            each for each in own if each.answered_at is not None and self.now < each.answered_at + DAY
        ]

    def answers_unasked(self, person: Person, survey: Survey, score: int) -> int:
        """By the contact's id."""
        if survey.status not in ("active", "paused"):
            return 409
        if fits := self.fitting(person, survey):
            newest = max(fits, key=lambda each: (each.sent_at or 0, each.answered_at or 0, each.order))
            return self.answers(person, newest, score)
        send = Send(survey, self._cause(person), "api", None, state="sent", sent_at=self.now)
        person.sends.append(send)
        self._first(person, send, score)
        return 201

    def passes(self, time: int) -> None:
        """Let time pass, moment by moment at which something is due."""
        end = self.now + time
        while (following := min((at for at, _, _ in self._coming()), default=end + 1)) <= end:
            self.now = max(self.now, following)
            self._catch_up()
        self.now = end

    # What follows.

    def _segments(self, person: Person) -> set[str]:
        return {each for each in ("plan", "use", "vip") if self.inside(person, each)}

    def _cause(self, person: Person) -> Order:
        self.causes += 1
        return self.causes, person.id

    def _entered(self, person: Person, before: set[str], how: str) -> None:
        for segment in sorted(self._segments(person) - before):
            order = self._cause(person)
            for survey in self.surveys:
                is_entered = survey.segment == segment and survey.event is None and survey.repeat is None
                is_asked = how in ("all", "merge") or (how == "rules" and survey.existing)
                if is_entered and is_asked and not (how == "merge" and person.count(survey)):
                    self._begin(survey, person, "segment", order)
        self._catch_up()

    def _begin(self, survey: Survey, person: Person, cause: str, order: Order) -> None:
        is_full = survey.most is not None and person.count(survey) >= survey.most
        if survey.status != "active" or is_full or person.waiting(survey) is not None:
            return
        if self.inside(person, survey.segment):
            person.sends.append(Send(survey, order, cause, self.now + survey.delay))

    def _sweep(self, survey: Survey) -> None:
        self.causes += 1
        for person in self.living():
            self._begin(survey, person, "sweep", (self.causes, person.id))

    def _coming(self) -> Iterator[tuple[int, Survey, tuple[Person, Send] | None]]:
        """All that is to be done at its moment, or was held back by nothing any more."""
        for survey in self.surveys:
            if survey.sweep_at is not None:
                yield survey.sweep_at, survey, None
        for person in self.living():
            for send in person.sends:
                if send.due is not None and send.survey.status != "paused":
                    yield send.due, send.survey, (person, send)

    def _catch_up(self) -> None:
        while due := [each for each in self._coming() if each[0] <= self.now]:
            _, survey, whom = min(due, key=lambda each: each[0])
            if whom is None:
                survey.sweep_at = self.now + (survey.repeat or 0)
                self._sweep(survey)
            elif whom[1].state == "waiting":
                self._ask(*whom)
            else:
                self._remind(*whom)

    def _ask(self, person: Person, send: Send) -> None:
        survey = send.survey
        reason = self.why_not(survey, person)
        if reason is None and self._is_held(send, "email" in survey.channels and self.obstacle(person) is None):
            return
        send.due = None
        if reason is not None:
            send.state, send.reason = "skipped", reason
            return
        obstacle = self.obstacle(person)
        send.by = tuple(each for each in survey.channels if each != "email" or obstacle is None)
        send.state, send.sent_at = "sent", self.now
        if "email" in send.by:
            send.to = person.email
            self._mail(person, survey, "ask")
            send.due = None if survey.remind_after is None else self.now + survey.remind_after

    def why_not(self, survey: Survey, person: Person) -> str | None:
        """Why somebody is not asked now."""
        if survey.status != "active":
            return survey.status
        if not self.inside(person, survey.segment):
            return "left_segment"
        if survey.most is not None and person.count(survey) >= survey.most:
            return "max_surveys"
        last = person.last_sent()
        if last is not None and self.now < last + survey.cooldown * DAY:
            return "cooldown"
        return None if "widget" in survey.channels else self.obstacle(person)

    def obstacle(self, person: Person) -> str | None:
        if person.unsubscribed:
            return "unsubscribed"
        if person.email is None:
            return "no_email"
        if person.email in self.dead:
            return self.dead[person.email]
        return "paused_marketing" if self.now < person.paused_until else None

    def _is_held(self, send: Send, by_mail: bool) -> bool:
        """True where quiet hours hold the mail."""
        if self.quiet is None or not by_mail:
            return False
        start, end = self.quiet
        time = self.now % DAY
        if start <= time:
            send.due = self.now - time + DAY + end
        elif time < end:
            send.due = self.now - time + end
        return start <= time or time < end

    def _remind(self, person: Person, send: Send) -> None:
        if not send.is_open(self.now):
            send.due = None
            return
        reason = "archived" if send.survey.status == "archived" else self.obstacle(person)
        if reason is None and self._is_held(send, by_mail=True):
            return
        send.due = None
        if reason is not None:
            send.not_reminded = reason
        else:
            send.reminded_at = self.now
            self._mail(person, send.survey, "reminder")

    def _mail(self, person: Person, survey: Survey, kind: str) -> None:
        address = person.email or ""
        self.mails.append((address, survey.name, kind, self.now))
        for simulated, outcome in (("bounce+", "bounced"), ("complaint+", "complained")):
            if address.startswith(simulated):
                self.dead[address] = outcome

    def _first(self, person: Person, send: Send, score: int) -> None:
        send.state, send.answered_at, send.score, send.due = "answered", self.now, score, None
        self._effects(person, send)

    def _effects(self, person: Person, send: Send) -> None:
        said = category(send.survey.kind, send.score or 0)
        attitude = ATTITUDES.get(said or "", said or "")
        tag, days = send.survey.tags.get(attitude), send.survey.pauses.get(attitude)
        if days is not None and ("pause", attitude) not in send.effects:
            send.effects.add(("pause", attitude))
            person.paused_until = max(person.paused_until, self.now + days * DAY)
        if tag is not None and ("tag", attitude) not in send.effects:
            send.effects.add(("tag", attitude))
            self.is_tagged(person, {tag})
