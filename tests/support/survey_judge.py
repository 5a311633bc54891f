"""Who is asked by surveys, when and by what, and who not and why: said plainly and of its own.

One loop over the moments, lists of people and of what each was asked, no tables, no workers, no queues.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.survey_people import CORRECTABLE, DAY, HOUR, WINDOW, Answer, Ask, Form, Person

THANKS = "Thanks"
"""The subject of the campaign that answers start."""

REFUSED, CREATED, CORRECTED = 409, 201, 200


@dataclass(slots=True)
class Oracle:
    """`mails` are (address, subject, moment). `quiet` are the hours of the day (UTC) from which and until which no mail
    is sent; `plans` those that make somebody a member of `trial`."""

    now: int
    quiet: tuple[int, int] | None = None
    people: dict[str, Person] = field(default_factory=dict)
    forms: list[Form] = field(default_factory=list)
    plans: set[str] = field(default_factory=lambda: {"trial"})
    has_sender: bool = True
    mails: list[tuple[str, str, int]] = field(default_factory=list)
    dead: dict[str, str] = field(default_factory=dict)
    made: int = 0

    def who(self, name: str) -> Person | None:
        """Whoever that person is part of by now; None where it was deleted."""
        person = self.people[name]
        while person.into is not None:
            person = person.into
        return None if person.gone else person

    def there(self) -> list[Person]:
        return [each for each in self.people.values() if each.into is None and not each.gone]

    def comes(self, person: Person) -> None:
        self.people[person.name] = person
        self._follow(person, "all")

    def does(
        self, person: Person, event: str, at: int | None = None, tier: str | None = None, *, imported: bool = False
    ) -> None:
        """An event that is received now and happened `at`; what is older than a day, or imported, starts nothing."""
        moment = self.now if at is None else at
        is_past = imported or moment < self.now - DAY
        if event == "login":
            person.logins.append(moment)
        for form in self.forms:
            is_of = form.event == event and form.tier in (None, tier)
            if is_of and not is_past and (form.segment is None or self.is_member(person, form.segment)):
                self._cause(form, person, "event")
        self._follow(person, "none" if is_past else "all")

    def changes(self, person: Person, *, plan: str | None = None, address: str | None = None) -> None:
        person.plan = plan or person.plan
        person.address = address or person.address
        self._follow(person, "all")

    def loses_tag(self, person: Person) -> None:
        person.tags.discard("fan")
        self._follow(person, "all")

    def is_deleted(self, person: Person) -> None:
        person.gone, person.asks = True, []

    def plans_are(self, plans: set[str]) -> None:
        """The rules of `trial` are changed."""
        self.plans = plans
        for person in self.there():
            self._follow(person, "existing")

    def merges(self, one: Person, other: Person) -> None:
        other.into, other.seen = one, set()
        one.unsubscribed |= other.unsubscribed
        one.tags |= other.tags
        one.logins += other.logins
        one.paused_until = max(one.paused_until, other.paused_until)
        one.started |= other.started
        one.plan, one.address = one.plan or other.plan, one.address or other.address
        one.asks, other.asks = [*one.asks, *other.asks], []
        for form in self.forms:
            both = [each for each in one.asks if each.form is form and each.state == "waiting"]
            for later in sorted(both, key=lambda each: (each.due, each.number))[1:]:
                later.state, later.reason = "skipped", "merged"
        self._follow(one, "merge")

    def activates(self, form: Form) -> None:
        form.status = "active"
        is_first, form.activated = not form.activated, True
        if is_first and form.repeat is not None:
            form.sweep_at = self.now + form.repeat
        if is_first and (form.repeat is not None or form.existing):
            self._sweep(form)
        self._act()

    def pauses(self, form: Form) -> None:
        form.status = "paused"

    def archives(self, form: Form) -> None:
        form.status, form.sweep_at = "archived", None
        self._act()

    def passes(self, time: int) -> None:
        """Let time pass, moment by moment at which something is due or somebody's membership may change."""
        end = self.now + time
        while (moment := min((each for each in self._moments() if each > self.now), default=end + 1)) <= end:
            self.now = moment
            for form in self.forms:
                if form.sweep_at == moment and form.repeat is not None:
                    form.sweep_at = moment + form.repeat
                    self._sweep(form)
            for person in self.there():
                if any(each + WINDOW == moment for each in person.logins):
                    self._follow(person, "all")
            self._act()
        self.now = end

    def _moments(self) -> Iterator[int]:
        yield from (each.sweep_at for each in self.forms if each.sweep_at is not None)
        for person in self.there():
            yield from (each + WINDOW for each in person.logins)
            for ask in person.asks:
                if ask.state == "waiting":
                    yield ask.due
                elif ask.state == "sent" and ask.remind_at is not None:
                    yield ask.remind_at

    def is_member(self, person: Person, segment: str) -> bool:
        return segment in person.segments(self.now, self.plans)

    def _sweep(self, form: Form) -> None:
        for person in self.there():
            if self.is_member(person, str(form.segment)):
                self._cause(form, person, "sweep")

    def _follow(self, person: Person, starts: str) -> None:
        """See which segments the person has entered, let that ask, and do what is due."""
        before, person.seen = person.seen, person.segments(self.now, self.plans)
        entered = person.seen - before
        for form in self.forms:
            takes = starts in ("all", "merge") or (starts == "existing" and form.existing)
            is_new = starts != "merge" or person.count(form) == 0
            if form.event is None and form.repeat is None and form.segment in entered and takes and is_new:
                self._cause(form, person, "segment")
        self._act()

    def _cause(self, form: Form, person: Person, cause: str) -> None:
        if form.status != "active" or form.country not in (None, person.country):
            return
        has_room = form.most is None or person.count(form) < form.most
        if has_room and person.waiting(form) is None:
            person.asks.append(self._new(form, person, cause, self.now + form.delay))

    def _new(self, form: Form, person: Person, cause: str, due: int) -> Ask:
        self.made += 1
        return Ask(self.made, form, person.name, cause, self.now, due)

    def _act(self) -> None:
        """Do all that is due now, what was made first first."""
        waiting = [(ask.number, ask, who) for who in self.there() for ask in who.asks if ask.state == "waiting"]
        for _, ask, person in sorted(waiting, key=lambda each: each[0]):
            if ask.due <= self.now:
                self._judge(ask, person)
        for person in self.there():
            for ask in person.asks:
                if ask.wants_reminder() and ask.is_open(self.now) and (ask.remind_at or 0) <= self.now:
                    self._remind(ask, person)

    def _judge(self, ask: Ask, person: Person) -> None:
        form = ask.form
        if form.status == "paused":
            return
        reason = self.bound(form, person)
        obstacle = self.obstacle(person)
        if reason is None and "widget" not in form.channels:
            reason = obstacle
        if reason is not None:
            ask.state, ask.reason = "skipped", reason
            return
        by_mail = "email" in form.channels and obstacle is None
        if by_mail and self._quiet_until() > self.now:
            ask.due = self._quiet_until()
            return
        ask.state, ask.at = "sent", self.now
        ask.by = tuple(each for each in form.channels if each != "email" or by_mail)
        if by_mail:
            self._mails(person, form.name)
            ask.remind_at = None if form.remind is None else self.now + form.remind

    def bound(self, form: Form, person: Person) -> str | None:
        """What else than the mail keeps the person from being asked."""
        if form.status != "active":
            return form.status
        if form.segment is not None and not self.is_member(person, form.segment):
            return "left_segment"
        if form.most is not None and person.count(form) >= form.most:
            return "max_surveys"
        last = person.last_asked()
        return "cooldown" if last is not None and self.now < last + form.cooldown else None

    def obstacle(self, person: Person) -> str | None:
        """Why the person gets no mail of a survey."""
        if person.unsubscribed:
            return "unsubscribed"
        if person.address is None:
            return "no_email"
        if person.address in self.dead:
            return self.dead[person.address]
        if self.now < person.paused_until:
            return "paused_marketing"
        return None if self.has_sender else "no_sender"

    def _remind(self, ask: Ask, person: Person) -> None:
        if ask.form.status == "paused":
            return
        obstacle = "archived" if ask.form.status == "archived" else self.obstacle(person)
        if obstacle is not None:
            ask.not_reminded = obstacle
        elif self._quiet_until() > self.now:
            ask.remind_at = self._quiet_until()
        else:
            ask.reminded_at = self.now
            self._mails(person, f"Reminder: {ask.form.name}")

    def _mails(self, person: Person, subject: str) -> None:
        address = str(person.address)
        self.mails.append((address, subject, self.now))
        if address.startswith(("bounce", "complaint")):
            self.dead[address] = "bounced" if address.startswith("bounce") else "complained"

    def _quiet_until(self) -> int:
        if self.quiet is None:
            return self.now
        start, end = self.quiet
        hour = self.now // HOUR % 24
        is_quiet = start <= hour < end if start < end else hour >= start or hour < end
        return (self.now // HOUR + (end - hour) % 24) * HOUR if is_quiet else self.now

    def answered_for(self, form: Form, person: Person) -> Ask | None:
        """What an answer that only names the contact is about: its newest open send, else what it has just answered."""
        own = [each for each in person.asks if each.form is form]
        still = [each for each in own if each.is_open(self.now)]
        just = [each for each in own if each.answered_at is not None and self.now < each.answered_at + CORRECTABLE]
        return max(still or just, key=lambda each: (each.at or 0, each.answered_at or 0, each.number), default=None)

    def answers_for(self, form: Form, person: Person, said: dict[str, Any]) -> int:
        """An answer that names the contact alone; returns the status."""
        if form.status not in ("active", "paused"):
            return REFUSED
        ask = self.answered_for(form, person)
        if ask is None:
            ask = self._new(form, person, "api", self.now)
            ask.state, ask.at = "sent", self.now
            person.asks.append(ask)
        return self.answers(ask, person, said)

    def answers(self, ask: Ask, person: Person, said: dict[str, Any]) -> int:
        """An answer to what somebody was asked; returns the status."""
        known = ask.answer
        if known is None:
            if not ask.is_open(self.now):
                return REFUSED
            self.made += 1
            given = said.get("score"), said.get("comment"), dict(said.get("answers", {}))
            known = Answer(self.made, self.now, self.now, *given)
            ask.state, ask.answered_at, ask.answer = "answered", self.now, known
            done = CREATED
        else:
            if self.now >= known.at + CORRECTABLE:
                return REFUSED
            before = (known.score, known.comment, dict(known.answers))
            known.score = said.get("score", known.score)
            known.comment = said.get("comment", known.comment)
            known.answers |= said.get("answers", {})
            if before != (known.score, known.comment, known.answers):
                known.updated = self.now
            done = CORRECTED
        self._effects(ask, known, person)
        self._follow(person, "all")
        return done

    def _effects(self, ask: Ask, answer: Answer, person: Person) -> None:
        """Each once for an answer, by what it says first and after each correction."""
        attitude = answer.attitude(ask.form.kind)
        action = ask.form.actions.get(attitude or "")
        if action is None or attitude is None or attitude in answer.followed:
            return
        answer.followed.add(attitude)
        if action.pause is not None:
            person.paused_until = max(person.paused_until, self.now + action.pause)
        if action.campaign and not person.started:
            person.started = True
            # What an answer has started is not held back by the pause of marketing.
            if self.obstacle(person) in (None, "paused_marketing") and self.has_sender:
                self._mails(person, THANKS)
        if action.tag is not None:
            person.tags.add(action.tag)
