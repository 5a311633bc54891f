"""What a model of surveys knows: people, surveys, who was asked, and what was answered. Moments and times in ms."""

from dataclasses import dataclass, field
from typing import Any

HOUR = 3_600_000
DAY = 24 * HOUR
WINDOW = 7 * DAY
"""For how long a login makes somebody active."""

ANSWERABLE = 90 * DAY
CORRECTABLE = DAY


@dataclass(eq=False, slots=True)
class Action:
    tag: str | None = None
    campaign: bool = False
    pause: int | None = None


@dataclass(eq=False, slots=True)
class Form:
    """A survey. `tier` is what its filter wants of the event, and `country` what it wants of the contact."""

    name: str
    kind: str
    event: str | None = None
    segment: str | None = None
    tier: str | None = None
    country: str | None = None
    delay: int = 0
    existing: bool = False
    most: int | None = 1
    cooldown: int = 0
    channels: tuple[str, ...] = ("email", "widget")
    remind: int | None = None
    repeat: int | None = None
    actions: dict[str, Action] = field(default_factory=dict)
    status: str = "draft"
    activated: bool = False
    sweep_at: int | None = None


@dataclass(eq=False, slots=True)
class Ask:
    """One survey for one contact. `first` is who it was made for, before any merge."""

    number: int
    form: Form
    first: str
    cause: str
    made: int
    due: int
    state: str = "waiting"
    reason: str | None = None
    by: tuple[str, ...] = ()
    at: int | None = None
    answered_at: int | None = None
    remind_at: int | None = None
    reminded_at: int | None = None
    not_reminded: str | None = None
    answer: "Answer | None" = None

    def is_open(self, now: int) -> bool:
        return self.state == "sent" and self.at is not None and now < self.at + ANSWERABLE

    def shown(self, now: int) -> str:
        return "expired" if self.state == "sent" and not self.is_open(now) else self.state

    def wants_reminder(self) -> bool:
        return self.remind_at is not None and self.reminded_at is None and self.not_reminded is None


@dataclass(eq=False, slots=True)
class Answer:
    number: int
    at: int
    updated: int
    score: int | None
    comment: str | None
    answers: dict[str, Any]
    followed: set[str] = field(default_factory=set)

    def category(self, kind: str) -> str | None:
        score = self.score
        if score is None:
            return None
        if kind == "nps":
            return "detractor" if score <= 6 else "passive" if score <= 8 else "promoter"
        return "dissatisfied" if score <= 2 else "neutral" if score == 3 else "satisfied"

    def attitude(self, kind: str) -> str | None:
        of_csat = {"satisfied": "promoter", "neutral": "passive", "dissatisfied": "detractor"}
        category = self.category(kind)
        return None if category is None else of_csat.get(category, category)


@dataclass(eq=False, slots=True)
class Person:
    """`seen` are the segments that it is known to be in; `story` is what happened to it, for whoever reads a fault."""

    name: str
    address: str | None
    plan: str | None
    country: str
    unsubscribed: bool = False
    gone: bool = False
    into: "Person | None" = None
    tags: set[str] = field(default_factory=set)
    logins: list[int] = field(default_factory=list)
    paused_until: int = 0
    started: bool = False
    seen: set[str] = field(default_factory=set)
    asks: list[Ask] = field(default_factory=list)
    story: list[tuple[int, str]] = field(default_factory=list)

    def is_active(self, now: int) -> bool:
        return any(now - WINDOW < at <= now for at in self.logins)

    def is_lapsed(self, now: int) -> bool:
        """Was here once, and is not any more."""
        return any(at <= now for at in self.logins) and not self.is_active(now)

    def last_score(self, kind: str) -> int | None:
        given = [each.answer for each in self.asks if each.answer is not None and each.form.kind == kind]
        return max(given, key=lambda each: (each.at, each.number)).score if given else None

    def segments(self, now: int, plans: set[str]) -> set[str]:
        """All that it is in, by what is known of it now."""
        score = self.last_score("nps")
        holds = {
            "trial": self.plan in plans,
            "active": self.is_active(now),
            "lapsed": self.is_lapsed(now),
            "fans": "fan" in self.tags,
            "unhappy": score is not None and score <= 6,
        }
        return {name for name, is_in in holds.items() if is_in}

    def count(self, form: Form) -> int:
        return sum(each.form is form and each.at is not None for each in self.asks)

    def last_asked(self) -> int | None:
        """When it was sent any survey last."""
        return max((each.at for each in self.asks if each.at is not None), default=None)

    def waiting(self, form: Form) -> Ask | None:
        return next((each for each in self.asks if each.form is form and each.state == "waiting"), None)
