"""A contact and what can be said of it without asking anybody. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import idna

from chalicelib.core.lineage import Lineage, Source
from chalicelib.core.scoring import State

MAX_TRAIT_BYTES = 64 * 1024
MAX_CONTACT_BYTES = MAX_TRAIT_BYTES + 12 * 1024
"""Bytes of JSON of a contact in a list: its traits, and the rest, touches not included."""

MAX_TRAIT_KEYS = 500

BY_NO_SETTINGS = 0
"""What a contact is scored by whose scores lack events, and are to be made anew."""
MAX_TAGS = 40
MAX_TAG_BYTES = 128
MAX_GROUPS = 100
MAX_USERS = 100
MAX_ALIASES = 100

_MAX_EMAIL_BYTES = 254
_MAX_LOCAL_BYTES = 64
_ANONYMOUS = "a:"

Status = Literal["active", "deleted", "purging", "purged", "merged"]
"""To a contact that is being purged nothing moves any more; of a purged one a row may stay as long as others move
events out of its partition."""

IdentityKind = Literal["user", "anonymous", "email"]
Preference = Literal["prefer_target", "prefer_source", "newest"]


@dataclass(frozen=True, slots=True, order=True)
class Stamp:
    """When a value was set, ordered as the contract decides between two values of one key.

    The later `moment` (ms) wins; between equal ones the server's own moments come after those that callers gave;
    between two of the callers' the greater `message_id`; then the later `receipt` (a ULID made at the door).
    """

    moment: int
    server_made: bool
    message_id: str
    receipt: str


@dataclass(frozen=True, slots=True)
class Group:
    """An organisation that a contact belongs to; `joined_at` in ms."""

    id: str
    joined_at: int


class Answered(NamedTuple):
    """The score that a contact gave last in surveys of one type: when (ms), in which response, and what it was."""

    moment: int
    response_id: str
    score: int


@dataclass(slots=True)
class Person:
    """A contact as its readers see it. Moments in ms. `answered` has its last scores by the type of the survey; until
    `marketing_paused_until` it gets no marketing mail."""

    id: str
    created_at: int
    updated_at: int
    external_id: str | None = None
    email: str | None = None
    traits: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    last_seen_at: int | None = None
    unsubscribed_at: int | None = None
    answered: dict[str, Answered] = field(default_factory=dict)
    marketing_paused_until: int | None = None

    def last_score(self, kind: str) -> int | None:
        """The score that it gave last in a survey of that type."""
        return self.answered[kind].score if kind in self.answered else None


class Said(NamedTuple):
    """A value that was said of a key, and when; None removes the key."""

    stamp: Stamp
    value: Any


class Alias(NamedTuple):
    """One user id was said to have been another one before."""

    stamp: Stamp
    previous: str
    user: str


class Merge(NamedTuple):
    """Two contacts became one by the Management API; both are told by the names of their cores."""

    stamp: Stamp
    preference: Preference
    target: str
    source: str


@dataclass(slots=True)
class Part:
    """What was said under one name; joined with another part it is all that was said under both.

    A core, named by the contact that it began as, holds what was said under that contact's user ids and by the
    Management API, and never leaves its contact. A part named `a:<anonymous id>` holds what was said under an anonymous
    id alone; it belongs to the core `of`, and leaves with the anonymous id. `says` has the winner of each key within
    the part. `floors` has the keys that the Management API has set, with the receipt before which nothing counts any
    more. `emails` has the addresses that were said, with the first time each was. `groups` and `seen` are moments
    in ms.
    """

    of: str
    says: dict[str, Said] = field(default_factory=dict)
    floors: dict[str, str] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    emails: dict[str, Stamp] = field(default_factory=dict)
    seen: int | None = None


def anonymous_part(anonymous_id: str) -> str:
    """The name of the part that holds what was said under an anonymous id alone."""
    return f"{_ANONYMOUS}{anonymous_id}"


def anonymous_id_of(part: str) -> str | None:
    """The anonymous id that a part is named by; None for a core."""
    return part.removeprefix(_ANONYMOUS) if part.startswith(_ANONYMOUS) else None


@dataclass(slots=True)
class Contact(Person):
    """A contact with what it takes to change it. `version` counts writes.

    `users` has its user ids with the core of each. `stands` has what stands of each key, removals too; that and what a
    Person shows of it (traits, groups, external id, last_seen_at) follow from the parts by `verdict`. `clashes` are the
    addresses of which its timeline tells that somebody else holds them. `scores` has the points of its events by score,
    and `scored_by` the change of the scoring settings by which they were given, None before the first event.
    """

    parts: dict[str, Part] = field(default_factory=dict)
    stands: dict[str, Said] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    aliases: list[Alias] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    clashes: list[str] = field(default_factory=list)
    scores: dict[str, State] = field(default_factory=dict)
    scored_by: int | None = None
    status: Status = "active"
    merged_into: str | None = None
    version: int = 0
    absorbing: tuple[Source, ...] = ()
    ceding: dict[str, str] = field(default_factory=dict)

    @property
    def lineage(self) -> Lineage:
        """Where the rows of its timeline lie."""
        return Lineage(self.id, self.absorbing, self.ceding)


def normal_email(value: object) -> str | None:
    """An address trimmed, in lower case, its domain in IDNA form; None where `value` is no address.

    Syntax only: one `@`, a local part, and a domain of at least two labels (RFC 5321 lengths).
    """
    if not isinstance(value, str):
        return None
    local, at, domain = value.strip().lower().rpartition("@")
    if not at or not local or "@" in local or any(character.isspace() or character < " " for character in local):
        return None
    try:
        # A dot at the end names the same domain (RFC 1034).
        ascii_domain = idna.encode(domain.removesuffix("."), uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return None
    address = f"{local}@{ascii_domain}"
    is_long = len(local.encode()) > _MAX_LOCAL_BYTES or len(address.encode()) > _MAX_EMAIL_BYTES
    return None if is_long or "." not in ascii_domain or ascii_domain.endswith(".") else address


def normal_tags(tags: Iterable[str]) -> list[str]:
    """Tags without repeats, in the order in which they first come."""
    return list(dict.fromkeys(tags))
