"""Random histories of surveys: what happens next is drawn, and told to the product and the model."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from tests.support.survey_oracle import DAY, HOUR, OPEN, WINDOW, Person, Send, Survey
from tests.support.survey_play import Play
from tests.support.survey_world import SurveyWorld

MINUTE = 60_000
SECOND = 1_000
BOTH, MAIL, WIDGET = ("email", "widget"), ("email",), ("widget",)
SURVEYS = [
    Survey(
        "expired",
        event="expired",
        delay=HOUR + 7 * SECOND,
        most=2,
        cooldown=3,
        remind_after=2 * DAY + 9 * HOUR + 11 * SECOND,
        tags={"promoter": "vip", "detractor": "sad"},
        pauses={"detractor": 9},
    ),
    Survey(
        "used",
        "csat",
        event="use",
        segment="use",
        delay=6 * DAY + 13 * HOUR + 17 * SECOND,
        most=3,
        cooldown=2,
        channels=MAIL,
        pauses={"promoter": 3, "passive": 5},
        tags={"passive": "vip"},
    ),
    Survey(
        "trial",
        segment="plan",
        existing=True,
        delay=2 * DAY + 23 * SECOND,
        most=2,
        cooldown=1,
        channels=MAIL,
        remind_after=DAY + 7 * HOUR + 29 * SECOND,
    ),
    Survey(
        "again",
        segment="use",
        delay=DAY + 5 * HOUR + 47 * SECOND,
        repeat=11 * DAY,
        most=None,
        cooldown=11,
        channels=MAIL,
        remind_after=4 * DAY + 31 * SECOND,
    ),
    Survey("vip", "csat", segment="vip", delay=37 * SECOND, most=None, channels=WIDGET),
    Survey(
        "churn",
        "custom",
        event="expired",
        segment="use",
        delay=3 * DAY + 41 * SECOND,
        most=None,
        channels=BOTH,
        remind_after=7 * DAY + 43 * SECOND,
    ),
]
"""What differs by a millisecond at the most differs by its delay: of equal moments the order is not promised."""

Edge = tuple[int, Callable[[], None]]
"""A moment, and what is other then than it was one millisecond before."""

WHAT = {
    "join": 4,
    "expire": 8,
    "use": 8,
    "past": 2,
    "plan": 5,
    "tag": 2,
    "untag": 2,
    "leave": 3,
    "come back": 3,
    "delete": 0.6,
    "merge": 3,
    "answer": 9,
    "answer unasked": 3,
    "pause": 1.2,
    "go on": 4,
    "cap": 0.7,
    "rules": 0.3,
    "edge": 8,
    "pass": 12,
}


def drawn(rng: random.Random, *, quiet: bool) -> list[Survey]:
    """The surveys, with other caps and channels each time."""
    surveys = [replace(each, tags=dict(each.tags), pauses=dict(each.pauses)) for each in SURVEYS]
    for survey in surveys:
        if survey.repeat is None:
            survey.most = rng.choice([1, 2, 3, None])
            survey.cooldown = rng.choice([1, 2, 3, 5] if survey.name == "expired" else [0, 1, 2, 3, 5])
            if survey.name in ("expired", "trial"):
                survey.channels = rng.choice([MAIL, BOTH])
        if quiet:
            # What quiet hours have held goes out at one moment, in no promised order.
            survey.cooldown = 0
    return surveys


class Chance:
    """Draws what happens next, and lets it happen. `pace` is the most that passes at once."""

    def __init__(self, seed: int, world: SurveyWorld, people: int, *, quiet: bool = False, pace: int = 3 * DAY) -> None:
        self.rng = random.Random(seed)
        self.quiet, self.most, self.pace = quiet, people, pace
        self.play = Play(world, drawn(self.rng, quiet=quiet), quiet=quiet)
        self.model = self.play.model
        late = self.rng.sample(self.model.surveys, 2)
        for survey in self.model.surveys:
            if survey not in late:
                self.play.moves(survey, "activate")
        for _ in range(people * 2 // 3):
            self.join()
        self.play.agrees()
        for survey in late:
            self.pass_by(self.rng.randrange(1, HOUR))
            self.play.moves(survey, "activate")

    def run(self, actions: int, compare_each: int) -> None:
        """So many things happen; the two are compared now and then, and at the end."""
        ends = [(actions // 2, "waiting"), (actions * 4 // 5, "sent")]
        for n in range(1, actions + 1):
            (what,) = self.rng.choices(list(WHAT), list(WHAT.values()))
            self.act(what)
            if ends and n >= ends[0][0] and (survey := self.busiest(ends[0][1])) is not None:
                self.play.moves(survey, "archive")
                ends.pop(0)
            if n == actions // 3:
                self.move("active", "pause")
                self.play.agrees()
            self.pass_by(self.rng.randrange(1, 10 * MINUTE))
            if n % compare_each == 0:
                self.play.agrees()
        for survey in self.model.surveys:
            if survey.status == "paused":
                self.play.moves(survey, "activate")
                self.pass_by(self.rng.randrange(1, SECOND))
        for _ in range(3):
            self.go_to(self.expired(), OPEN)
        self.pass_by(20 * DAY)
        self.play.agrees()

    def busiest(self, state: str) -> Survey | None:
        """The survey by which most is still to be done to sends of that state, if it is enough to see it end."""
        sends = [each for person in self.model.living() for each in person.sends if each.due is not None]
        found = Counter(each.survey.name for each in sends if each.state == state and each.survey.status != "archived")
        ((name, count),) = found.most_common(1) or [("", 0)]
        return next((each for each in self.model.surveys if each.name == name and count > self.most // 100), None)

    def pass_by(self, time: int) -> None:
        self.play.passes(time)

    def act(self, what: str) -> None:
        acts: dict[str, Callable[[], None]] = {
            "join": self.join,
            "expire": lambda: self.play.does(self.name(), "expired", self.age()),
            "use": lambda: self.play.does(self.name(), "use", self.age()),
            "past": self.past,
            "plan": self.plan,
            "tag": lambda: self.play.is_tagged(self.person()),
            "untag": lambda: self.play.is_untagged(self.person()),
            "leave": lambda: self.play.unsubscribes(self.person(), yes=True),
            "come back": lambda: self.play.unsubscribes(self.person(), yes=False),
            "delete": self.delete,
            "merge": self.merge,
            "answer": self.answer,
            "answer unasked": self.answer_unasked,
            "pause": lambda: self.move("active", "pause"),
            "go on": lambda: self.move("paused", "activate"),
            "cap": self.cap,
            "rules": self.rules,
            "edge": self.edge,
            "pass": self.long,
        }
        acts[what]()

    def name(self) -> str:
        return self.rng.choice(list(self.model.people))

    def person(self) -> Person:
        """Somebody who is there, rather of those who are about to be asked or reminded."""
        living = self.model.living()
        soon = [each for each in living if any(send.due is not None for send in each.sends)]
        return self.rng.choice(soon if soon and self.rng.random() < 0.7 else living)

    def age(self) -> int:
        """How old an event is at its receipt that still starts something."""
        return self.rng.choice([0, 0, 0, self.rng.randrange(DAY), DAY])

    def join(self) -> None:
        n = len(self.model.people)
        if n >= self.most:
            return
        address: str | None = f"p{n}@example.com"
        if n % 9 == 4:
            address = None
        elif n % 9 == 7 and not self.quiet:
            address = f"{'bounce' if n % 2 else 'complaint'}+{n}@simulator.amazonses.com"
        self.play.joins(f"p{n}", address, self.rng.choice(["trial", "pro"]))

    def past(self) -> None:
        """An event that starts nothing: too old by a millisecond or more, or imported."""
        event, imported = self.rng.choice(["use", "expired"]), self.rng.random() < 0.4
        age = (
            self.rng.randrange(9 * DAY)
            if imported
            else self.rng.choice([DAY + 1, DAY + self.rng.randrange(1, 8 * DAY)])
        )
        self.play.does(self.name(), event, age, imported=imported)

    def plan(self) -> None:
        person = self.person()
        self.play.takes_plan(person, "pro" if person.plan == "trial" else "trial")

    def delete(self) -> None:
        if len(self.model.living()) > self.most // 3:
            self.play.is_deleted(self.person())

    def merge(self) -> None:
        """Rather of two who both wait of one survey, of whose sends one stays; if it may be, until the same moment."""
        living = self.model.living()
        if len(living) > self.most // 2:
            together = self.rng.choice([self.waiting(at_once=True) or self.waiting(), self.waiting(), []])
            target, source = self.rng.sample(self.rng.choice(together) if together else living, 2)
            self.play.merges(target, source)

    def waiting(self, *, at_once: bool = False) -> list[list[Person]]:
        """Those, two or more, who wait of the same survey, of a send that is due at the same moment."""
        found: dict[tuple[str, int | None], list[Person]] = {}
        for person in self.model.living():
            for survey in self.model.surveys:
                if (send := person.waiting(survey)) is not None:
                    found.setdefault((survey.name, send.due if at_once else None), []).append(person)
        return [each for each in found.values() if len(each) > 1]

    def answer(self) -> None:
        """By a token, which may be that of somebody who was merged or deleted, or be answered, or have expired."""
        sends = [
            (person, send) for person in self.model.people.values() for send in person.sends if send.to is not None
        ]
        fresh = [each for each in sends if each[1].is_open(self.model.now)]
        if sends:
            person, send = self.rng.choice(fresh if fresh and self.rng.random() < 0.7 else sends)
            self.give(person, send)

    def give(self, person: Person, send: Send) -> None:
        self.play.answers(person, send, self.score(send.survey))

    def score(self, survey: Survey) -> int:
        return self.rng.randrange(11) if survey.kind == "nps" else self.rng.randrange(1, 6)

    def answer_unasked(self) -> None:
        survey, person = self.rng.choice(self.model.surveys), self.person()
        fits = [each for each in self.model.fitting(person, survey) if each.cause == "segment"]
        # Of many who enter a segment at once, by its rules, none is the first: which send is newer, none says.
        if len({(each.sent_at, each.answered_at) for each in fits}) == len(fits):
            self.play.answers_unasked(person, survey, self.score(survey))

    def move(self, status: str, verb: str) -> None:
        found = [each for each in self.model.surveys if each.status == status]
        if found:
            self.play.moves(self.rng.choice(found), verb)

    def cap(self) -> None:
        survey = self.rng.choice([each for each in self.model.surveys if each.status != "archived"])
        self.play.caps(survey, self.rng.choice([1, 2, 3, None]))

    def rules(self) -> None:
        self.play.rules_change("pro" if self.model.plan == "trial" else "trial")

    def long(self) -> None:
        self.pass_by(self.rng.randrange(HOUR, self.pace))

    def edge(self) -> None:
        """Something at the very millisecond at which it is other than it was one before, or at the one before."""
        self.go_to(self.rng.choice([self.cooled, self.elapsed, self.settled, self.expired])(), self.pace)

    def go_to(self, edges: list[Edge], within: int) -> None:
        coming = [each for each in edges if 1 < each[0] - self.model.now < within]
        if coming:
            moment, act = self.rng.choice(coming)
            self.pass_by(moment - self.model.now - self.rng.choice([0, 1]))
            act()

    def cooled(self) -> list[Edge]:
        """An event by which somebody is asked when the cooldown ends."""
        survey = self.model.surveys[0]
        return [
            (last + survey.cooldown * DAY - survey.delay, self.doing(person, "expired"))
            for person in self.model.living()
            if (last := person.last_sent()) is not None
        ]

    def elapsed(self) -> list[Edge]:
        """An event by which somebody is asked when time alone makes it leave the segment."""
        survey = self.model.surveys[5]
        return [
            (max(person.uses) + WINDOW - survey.delay, self.doing(person, "expired"))
            for person in self.model.living()
            if person.uses
        ]

    def settled(self) -> list[Edge]:
        """A correction when it is not taken any more."""
        return [
            (send.answered_at + DAY, self.giving(person, send))
            for person, send in self.mailed()
            if send.answered_at is not None
        ]

    def expired(self) -> list[Edge]:
        """An answer when it is not taken any more."""
        return [
            (send.sent_at + OPEN, self.giving(person, send))
            for person, send in self.mailed()
            if send.sent_at is not None and send.state == "sent"
        ]

    def mailed(self) -> list[tuple[Person, Send]]:
        return [(person, send) for person in self.model.living() for send in person.sends if send.to is not None]

    def doing(self, person: Person, event: str) -> Callable[[], None]:
        return lambda: self.play.does(person.name, event)

    def giving(self, person: Person, send: Send) -> Callable[[], None]:
        return lambda: self.give(person, send)
