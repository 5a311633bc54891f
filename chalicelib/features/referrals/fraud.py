"""What speaks against a conversion: named reasons with scores, of which each has a plain test. Pure.

The scores add up; a program holds what reaches its `review_score` (50 by default) until a person has decided.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from chalicelib.core import clock
from chalicelib.features.referrals.model import Reason

SAME_PERSON: Final = Reason("same_person", 100)
"""Both have one phone number, or one device was both."""

EMAIL_VARIANT: Final = Reason("email_variant", 60)
"""One mailbox under two spellings: a label after a plus sign, or dots where they count for nothing."""

DISPOSABLE_DOMAIN: Final = Reason("disposable_domain", 50)
MANY_FROM_ONE_IP: Final = Reason("many_from_one_ip", 60)
MANY_FROM_ONE_AGENT: Final = Reason("many_from_one_user_agent", 15)
"""Recorded, and no more, haste beside it included: half the world has one browser."""

FASTER_THAN_HUMAN: Final = Reason("faster_than_human", 30)
"""From being unknown to having converted in less time than a form takes."""

MERGED_WITH_REFERRER: Final = Reason("merged_with_referrer", 100)
DUPLICATE_PERSON: Final = Reason("duplicate_person", 100)
"""The person, then known as two, had converted before."""

FIRST_MAIL_BOUNCED: Final = Reason("first_mail_bounced", 50)

HUMAN_TAKES: Final = 3 * clock.SECOND
"""Milliseconds."""

WATCHED_FOR: Final = clock.DAY
"""Milliseconds within which conversions from one address are counted."""

_IP_MAX = 64
_AGENT_MAX = 256
"""Characters: what an event says of where it came from is anybody's, and many of them are kept in one row."""

_DOTLESS = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}
"""Domains whose mailboxes are the same with and without dots, and their one name."""

_PHONE_DIGITS_MIN = 7


class Source(NamedTuple):
    """From where somebody came: the address, and the program by its name for itself."""

    ip: str | None = None
    agent: str | None = None


NOWHERE: Final = Source()
"""Nothing was said of it."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one side: addresses as `normal_email` gives them, and the names of its devices."""

    emails: frozenset[str] = frozenset()
    external_ids: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a conversion is judged by. `earlier` counts conversions of the same referrer, by what they have in common
    with this one, in the time WATCHED_FOR before it. `took` is ms from when the referred contact was first known of."""

    referrer: Known
    referred: Known
    earlier: Mapping[str, int] = field(default_factory=dict)
    per_source: int = 10
    took: int | None = None
    has_bounced: bool = False


def came_from(context: Mapping[str, Any]) -> Source:
    """What an event's context says of where it came from."""
    ip, agent = context.get("ip"), context.get("userAgent") or context.get("user_agent")
    return Source(
        ip if isinstance(ip, str) and 0 < len(ip) <= _IP_MAX else None,
        agent[:_AGENT_MAX] if isinstance(agent, str) and agent else None,
    )


def is_self(referrer: Known, referred: Known) -> bool:
    """True where both have an address or an external id in common: such a conversion is refused."""
    return bool(referrer.emails & referred.emails or referrer.external_ids & referred.external_ids)


def reasons(evidence: Evidence) -> tuple[Reason, ...]:
    """All that speaks against it, in a fixed order."""
    ours, theirs = evidence.referrer, evidence.referred
    found = {
        SAME_PERSON: _is_one(ours, theirs),
        EMAIL_VARIANT: bool({canonical(each) for each in ours.emails} & {canonical(each) for each in theirs.emails}),
        DISPOSABLE_DOMAIN: any(is_disposable(each) for each in theirs.emails),
        MANY_FROM_ONE_IP: evidence.earlier.get("ip", 0) >= evidence.per_source,
        MANY_FROM_ONE_AGENT: evidence.earlier.get("agent", 0) >= evidence.per_source,
        FASTER_THAN_HUMAN: evidence.took is not None and 0 <= evidence.took < HUMAN_TAKES,
        FIRST_MAIL_BOUNCED: evidence.has_bounced,
    }
    return tuple(reason for reason, holds in found.items() if holds)


def canonical(address: str) -> str:
    """The mailbox behind an address: without a label after a plus sign, and without dots where they count for nothing.

    A local part that is a label alone stays as it is.
    """
    local, _, domain = address.rpartition("@")
    local = local.partition("+")[0] or local
    if domain in _DOTLESS:
        return f"{local.replace('.', '') or local}@{_DOTLESS[domain]}"
    return f"{local}@{domain}"


def is_disposable(address: str) -> bool:
    """True where the domain, or one that it is below, gives addresses away for minutes."""
    # The list is long, and loaded where a conversion is judged only.
    from disposable_email_domains import blocklist

    labels = address.rpartition("@")[2].split(".")
    return any(".".join(labels[n:]) in blocklist for n in range(len(labels) - 1))


def phone(value: object) -> str | None:
    """The digits of a telephone number, `00` before them as `+`; None where it can't be one."""
    digits = "".join(each for each in value if each.isascii() and each.isdigit()) if isinstance(value, str) else ""
    digits = digits.removeprefix("00")
    return digits if len(digits) >= _PHONE_DIGITS_MIN else None


def _is_one(ours: Known, theirs: Known) -> bool:
    return bool(ours.devices & theirs.devices) or (ours.phone is not None and ours.phone == theirs.phone)
