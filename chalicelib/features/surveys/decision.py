"""Whether somebody is asked, and by what. Pure: sends that are due and explanations all ask this."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from chalicelib.core import clock
from chalicelib.features.surveys.model import Channel, Reason, Send, Survey, Surveyed


@dataclass(frozen=True, slots=True)
class NotYet:
    """It is due later, or nothing is left to be done."""


@dataclass(frozen=True, slots=True)
class Paused:
    """It waits until the survey goes on."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The mail may be sent at `until`, and is judged again then."""

    until: int


@dataclass(frozen=True, slots=True)
class Skip:
    """It is not sent, and why not."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Ask:
    """It is sent now, by these channels; `no_mail` is why email is not among those it was to go by."""

    by: tuple[Channel, ...]
    no_mail: Reason | None = None


Decision = NotYet | Paused | Hold | Skip | Ask


class Facts(NamedTuple):
    """What decides besides the survey: whether the contact is in the trigger's segment, where it names one; what it was
    sent; why it gets no mail; and the first moment that is not in quiet hours."""

    is_member: Callable[[], bool]
    surveyed: Surveyed
    obstacle: Reason | None
    quiet_until: int


class Bound(NamedTuple):
    """A cap that keeps a contact from being asked, and until when; None where that is for good."""

    reason: Reason
    until: int | None


def bound(survey: Survey, surveyed: Surveyed, now: int) -> Bound | None:
    """The cap that holds at `now`. The cooldown ends at exactly the last send and so many days."""
    if survey.cap.most is not None and surveyed.count(survey.id) >= survey.cap.most:
        return Bound("max_surveys", None)
    if surveyed.last_sent_at is not None:
        ends = surveyed.last_sent_at + survey.cap.cooldown_days * clock.DAY
        if now < ends:
            return Bound("cooldown", ends)
    return None


def may_wait(survey: Survey, surveyed: Surveyed) -> bool:
    """True where a cause makes a send: none waits yet, and there is room for one more."""
    most = survey.cap.most
    return survey.id not in surveyed.waiting and (most is None or surveyed.count(survey.id) < most)


def decide(survey: Survey | None, send: Send, facts: Facts, now: int) -> Decision:
    """What becomes of a send that waits."""
    if send.state != "waiting" or (send.due_at is not None and send.due_at > now):
        return NotYet()
    if survey is None or survey.status == "archived":
        return Skip("archived")
    if survey.status != "active":
        return Paused()
    if not facts.is_member():
        return Skip("left_segment")
    cap = bound(survey, facts.surveyed, now)
    if cap is not None:
        return Skip(cap.reason)
    return by_channels(survey, facts.obstacle, facts.quiet_until, now)


def by_channels(survey: Survey, obstacle: Reason | None, quiet_until: int, now: int) -> Decision:
    """By which channels a send goes that nothing else keeps back."""
    wants_mail = "email" in survey.channels
    if wants_mail and obstacle is None and quiet_until > now:
        return Hold(quiet_until)
    by = tuple(each for each in survey.channels if each != "email" or obstacle is None)
    if not by and obstacle is not None:
        return Skip(obstacle)
    return Ask(by, obstacle if wants_mail else None)


def remind(survey: Survey | None, send: Send, obstacle: Reason | None, quiet_until: int, now: int) -> Decision:
    """What becomes of the reminder of a send: Ask where it is to be mailed."""
    is_settled = send.reminder is not None or send.reminded_at is not None or send.not_reminded is not None
    if is_settled or not send.is_open(now) or (send.due_at is not None and send.due_at > now):
        return NotYet()
    return by_mail(survey, obstacle, quiet_until, now)


def by_mail(survey: Survey | None, obstacle: Reason | None, quiet_until: int, now: int) -> Decision:
    """What becomes of a mail to a contact that was asked already: Ask where it goes."""
    if survey is None or survey.status == "archived":
        return Skip("archived")
    if survey.status != "active":
        return Paused()
    if obstacle is not None:
        return Skip(obstacle)
    return Hold(quiet_until) if quiet_until > now else Ask(("email",))
