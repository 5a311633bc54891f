"""Surveys, their sends to contacts, and responses. Pure; moments in ms on the project's clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple, get_args

from chalicelib.core import clock, ids

MAX_SURVEYS: Final = 1_000
MAX_ACTIVE: Final = 100
MAX_QUESTIONS: Final = 20
MAX_OPTIONS: Final = 20
MAX_COMMENT: Final = 5_000
"""Characters of a comment, and of the answer to an open question."""

MAX_ANSWERS_BYTES: Final = 48 * 1024
"""Of all answers to a custom survey as JSON: the table and the bus carry them whole."""

ANSWERABLE: Final = 90 * clock.DAY
"""For how long a send can be answered."""

CORRECTABLE: Final = clock.DAY
"""For how long after the first answer another one corrects it."""

MAX_SHOWN: Final = 20
"""Sends of a contact that widgets are offered at the most: the newest."""

Type = Literal["nps", "csat", "custom"]
Status = Literal["draft", "active", "paused", "archived"]
Channel = Literal["email", "widget"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
QuestionType = Literal["rating", "text", "single_choice", "multiple_choice"]
Category = Literal["promoter", "passive", "detractor", "satisfied", "neutral", "dissatisfied"]
Attitude = Literal["promoter", "passive", "detractor"]
"""What actions are named by."""

State = Literal["waiting", "sent", "answered", "skipped"]
Shown = Literal["waiting", "sent", "answered", "skipped", "expired"]
Mail = Literal["ask", "reminder", "referral"]
"""The mails of a survey; `ask` also stands for what falls due without one."""

EffectName = Literal["add_tags", "start_campaign", "referral_link", "referral_mail", "pause_marketing"]

Reason = Literal[
    "archived",
    "deleted",
    "merged",
    "left_segment",
    "max_surveys",
    "cooldown",
    "unsubscribed",
    "no_email",
    "bounced",
    "complained",
    "paused_marketing",
    "no_sender",
    "no_template",
    "render_failed",
]
"""Why somebody was not asked."""

_SCALES: Mapping[str, range] = {"nps": range(11), "csat": range(1, 6)}
RATINGS: Final = range(1, 6)
"""What a question of the type `rating` takes."""

_ATTITUDES: Mapping[Category, Attitude] = {
    "promoter": "promoter",
    "passive": "passive",
    "detractor": "detractor",
    "satisfied": "promoter",
    "neutral": "passive",
    "dissatisfied": "detractor",
}


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a custom survey. `options` are those of a choice."""

    id: str
    type: QuestionType
    text: str
    options: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class Trigger:
    """What a survey is sent by: the event, by a member of the segment where both stand; entering the segment where it
    stands alone. `filters` are rules as JSON, `delay` is in ms."""

    event: str | None = None
    segment_id: str | None = None
    filters: dict[str, Any] | None = None
    delay: int = 0
    include_existing: bool = False

    def takes(self, starts: str) -> bool:
        """True where entering the segment asks; `starts` says what that does: `none`, `including_existing`, `all`."""
        return starts == "all" or (starts == "including_existing" and self.include_existing)


@dataclass(frozen=True, slots=True)
class Cap:
    """How often a contact is asked: `most` sends of this survey, None for any number, and none within `cooldown_days`
    of the last send of any survey of the project."""

    most: int | None = 1
    cooldown_days: int = 0


@dataclass(frozen=True, slots=True)
class Action:
    """What follows an answer of one attitude."""

    add_tags: tuple[str, ...] = ()
    start_campaign_id: str | None = None
    referral_program_id: str | None = None
    pause_marketing_days: int | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """A survey's definition. `since` is the ULID made at its last activation: what came before sends nothing.

    `remind_after` and `repeat` are in ms. `next_sweep_at` is where the timer of a recurring one stands. `sweeping` is
    the sweep that has begun and not asked everybody yet, as its id and its moment: a pause does not end it.
    """

    id: str
    name: str
    type: Type
    status: Status
    created_at: int
    updated_at: int
    question: str | None = None
    follow_up: str | None = None
    questions: tuple[Question, ...] = ()
    trigger: Trigger = Trigger()
    cap: Cap = Cap()
    channels: tuple[Channel, ...] = CHANNELS
    remind_after: int | None = None
    repeat: int | None = None
    email_template_id: str | None = None
    subject: str | None = None
    actions: Mapping[Attitude, Action] = field(default_factory=dict)
    activated_at: int | None = None
    since: str | None = None
    next_sweep_at: int | None = None
    sweeping: tuple[str, int] | None = None
    version: int = 1

    @property
    def scale(self) -> range:
        """The scores that it takes; empty where its questions have their own."""
        return _SCALES.get(self.type, range(0))

    def takes(self, cause: "Cause") -> bool:
        """True where the cause makes sends: it has been active since before that was received, or that is its sweep."""
        if cause.kind == "sweep":
            return self.status == "active" and self.sweeping == (ids.ulid_of(cause.id), cause.moment)
        return self.status == "active" and self.since is not None and ids.ulid_of(cause.id) >= self.since

    def question_of(self, question_id: str) -> Question | None:
        return next((each for each in self.questions if each.id == question_id), None)


class Cause(NamedTuple):
    """What a survey was sent by: an event, the entering of a segment, a sweep of a recurring one, a mail that had its
    link, or a caller that had an answer. `name` is that of the event."""

    kind: Literal["event", "segment", "sweep", "link", "api"]
    id: str
    moment: int
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """One survey to one contact, once. `due_at` is where its timer stands, while something is still to come.

    `day` is that of `sent_at` in the project's zone as it was then. `by` are the channels it went by. `message` is the
    mail that was claimed for it, and `reminder` that of the reminder, as (contact, message) for which it was made;
    `not_reminded` is why there was none. A mail that was surely not sent is claimed again.
    """

    id: str
    contact_id: str
    survey_id: str
    cause: Cause
    created_at: int
    state: State = "waiting"
    reason: Reason | None = None
    due_at: int | None = None
    by: tuple[str, ...] = ()
    sent_at: int | None = None
    day: str | None = None
    answered_at: int | None = None
    message: tuple[str, str] | None = None
    reminder: tuple[str, str] | None = None
    reminded_at: int | None = None
    not_reminded: Reason | None = None
    version: int = 0

    @property
    def expires_at(self) -> int | None:
        """The moment from which it can't be answered any more."""
        return None if self.sent_at is None else self.sent_at + ANSWERABLE

    def is_open(self, now: int) -> bool:
        """True where it was sent, and can be answered, and was not."""
        return self.state == "sent" and self.expires_at is not None and now < self.expires_at

    def shown_as(self, now: int) -> Shown:
        """Its state as callers see it."""
        return "expired" if self.state == "sent" and not self.is_open(now) else self.state

    def sent(self, by: tuple[str, ...], now: int, day: str) -> "Send":
        return replace(self, state="sent", by=by, sent_at=now, day=day, due_at=None)

    def skipped(self, reason: Reason) -> "Send":
        return replace(self, state="skipped", reason=reason, due_at=None)

    def answered(self, now: int) -> "Send":
        return replace(self, state="answered", answered_at=now, due_at=None)

    def without_reminder(self, reason: Reason) -> "Send":
        return replace(self, not_reminded=reason, due_at=None)

    def message_of(self, mail: Mail) -> tuple[str, str] | None:
        """The claimed message of that mail, and for which contact it was made."""
        return self.reminder if mail == "reminder" else self.message

    def with_message(self, mail: Mail, message: tuple[str, str] | None) -> "Send":
        return replace(self, reminder=message) if mail == "reminder" else replace(self, message=message)


class Offered(NamedTuple):
    """A send that widgets are offered, until `expires_at`."""

    survey_id: str
    send_id: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What a contact was sent in all surveys: `waiting` has the send that is to come by survey, `counts` how many were
    sent of each, `offered` those that widgets are to show, by survey and send: one cause names sends of several."""

    contact_id: str
    waiting: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    last_sent_at: int | None = None
    offered: Mapping[str, Offered] = field(default_factory=dict)
    version: int = 0

    def count(self, survey_id: str) -> int:
        return self.counts.get(survey_id, 0)

    def waits(self, survey_id: str, send_id: str) -> "Surveyed":
        return replace(self, waiting={**self.waiting, survey_id: send_id})

    def waits_no_more(self, send: Send) -> "Surveyed":
        """Without that send among those to come."""
        left = {survey: each for survey, each in self.waiting.items() if (survey, each) != (send.survey_id, send.id)}
        return replace(self, waiting=left)

    def was_sent(self, send: Send, now: int) -> "Surveyed":
        """The same after that send was sent at `now`; widgets are offered it where it went by them."""
        offered = {each: told for each, told in self.offered.items() if told.expires_at > now}
        if "widget" in send.by:
            offered[f"{send.survey_id}#{send.id}"] = Offered(send.survey_id, send.id, now + ANSWERABLE)
        return replace(
            self.waits_no_more(send),
            counts={**self.counts, send.survey_id: self.count(send.survey_id) + 1},
            last_sent_at=max(now, self.last_sent_at or 0),
            offered=dict(list(offered.items())[-MAX_SHOWN:]),
        )

    def was_answered(self, send: Send) -> "Surveyed":
        gone = f"{send.survey_id}#{send.id}"
        return replace(self, offered={each: told for each, told in self.offered.items() if each != gone})

    def joined(self, other: "Surveyed") -> "Surveyed":
        """With what a contact was sent that is part of this one now; what waits is moved by itself."""
        surveys = dict.fromkeys([*self.counts, *other.counts])
        moments = [each for each in (self.last_sent_at, other.last_sent_at) if each is not None]
        offered = sorted({**other.offered, **self.offered}.items(), key=lambda each: (each[1].expires_at, each[0]))
        return replace(
            self,
            counts={each: self.count(each) + other.count(each) for each in surveys},
            last_sent_at=max(moments, default=None),
            offered=dict(offered[-MAX_SHOWN:]),
        )


class Effect(NamedTuple):
    """What an answer of that category has caused: `name` and what it was about, once for a response."""

    name: EffectName
    about: str
    category: str
    outcome: str
    at: int


@dataclass(frozen=True, slots=True)
class Response:
    """What a contact has answered to one send. `answers` are those of a custom survey, by question.

    `day` is that of `responded_at` in the project's zone as it was then; figures count by it. `told` are the categories
    of which webhooks were told, and `counted` what it adds to the figures. `mail` is the message with the referral
    link, as `Send.message`.
    """

    id: str
    contact_id: str
    survey_id: str
    send_id: str
    type: Type
    responded_at: int
    updated_at: int
    day: str
    score: int | None = None
    comment: str | None = None
    answers: Mapping[str, Any] = field(default_factory=dict)
    counted: Mapping[str, int] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()
    mail: tuple[str, str] | None = None
    version: int = 0

    @property
    def category(self) -> Category | None:
        return None if self.score is None else category_of(self.type, self.score)

    @property
    def correctable_until(self) -> int:
        return self.responded_at + CORRECTABLE

    def effect(self, name: EffectName, about: str | None = None) -> Effect | None:
        """What it has caused of that name, and about that where it is given."""
        found = (each for each in self.effects if each.name == name and about in (None, each.about))
        return next(found, None)

    @property
    def issued_link(self) -> Effect | None:
        """The referral link that it has issued first; a program that was not active has issued none."""
        found = (each for each in self.effects if each.name == "referral_link" and each.outcome == "issued")
        return next(found, None)

    def without(self, name: EffectName) -> "Response":
        return replace(self, effects=tuple(each for each in self.effects if each.name != name))


def category_of(kind: Type, score: int) -> Category | None:
    """What a score says (contract 7): NPS from 9 on a promoter, from 7 on passive; CSAT from 4 on satisfied."""
    if kind == "nps":
        return "promoter" if score >= 9 else "passive" if score >= 7 else "detractor"
    if kind == "csat":
        return "satisfied" if score >= 4 else "neutral" if score == 3 else "dissatisfied"
    return None


def attitude_of(category: Category) -> Attitude:
    """What actions call it."""
    return _ATTITUDES[category]


def is_after(one: Send, other: Send) -> bool:
    """True where of two sends of a survey that wait for one contact the other is the one that stays."""
    return (one.due_at or 0, one.id) > (other.due_at or 0, other.id)
