"""The names by which people are told apart, and what is decided of them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from chalicelib.features.contacts.model import Contact, IdentityKind, Stamp


class Identity(NamedTuple):
    """One name of a person; points to at most one contact."""

    kind: IdentityKind
    value: str


class Pointer(NamedTuple):
    """Where an identity points: to a contact, or to one that was merged into it since.

    An anonymous id also has the earliest claim to it: when it was first sent with a user id, and with which.
    """

    contact: str
    claim: Stamp | None = None
    user: str | None = None


class Claim(NamedTuple):
    """What is to be written of an identity, over what the table is known to say of it; `pointer` None gives it up."""

    pointer: Pointer | None
    over: Pointer | None


@dataclass(frozen=True, slots=True)
class Names:
    """The identities that one event or request came with; each may be missing."""

    user: str | None = None
    anonymous: str | None = None
    email: str | None = None
    previous: str | None = None

    def identities(self) -> list[Identity]:
        """All rows that tell who this is. A previous id may be a user id and an anonymous id."""
        named: list[tuple[IdentityKind, str | None]] = [
            ("user", self.user),
            ("anonymous", self.anonymous),
            ("email", self.email),
            ("user", self.previous),
            ("anonymous", self.previous),
        ]
        return [Identity(kind, value) for kind, value in named if value is not None]

    @staticmethod
    def told(ids: Iterable[tuple[str | None, str | None]]) -> list[Identity]:
        """The identities of events that came with these user and anonymous ids."""
        return [name for user, visitor in ids for name in Names(user=user, anonymous=visitor).identities()]

    def anonymous_ids(self) -> list[str]:
        """The anonymous ids that this claims for its user id."""
        return list(dict.fromkeys(each for each in (self.anonymous, self.previous) if each is not None))


@dataclass(slots=True)
class Resolved:
    """Whose an event is, and under which part of the contact it counts.

    `is_named` where the contact got a user id by it. `joined` are contacts that are merged into it now, `lost` are
    those that an anonymous id has left for it, by id, with the fields that this changed. `changed` and `overflow` tell
    of what both did to the contact, `tags_before` has its tags before. `refused` is a previous id for which the contact
    has no room.
    """

    contact: Contact
    part: str
    is_new: bool = False
    is_named: bool = False
    joined: list[Contact] = field(default_factory=list)
    lost: dict[str, Contact] = field(default_factory=dict)
    lost_fields: dict[str, set[str]] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    overflow: list[str] = field(default_factory=list)
    tags_before: list[str] = field(default_factory=list)
    is_regrouped: bool = False
    refused: str | None = None

    @property
    def is_judged_anew(self) -> bool:
        """True where other parts stand beside each other than before, so that all that they said was judged again."""
        return bool(self.joined or self.lost or self.is_regrouped)


class Clash(NamedTuple):
    """A contact that wants an address which somebody else holds.

    `is_earlier` where its claim is the earlier one: then the address is to be awarded to it.
    """

    address: str
    held_by: str | None
    is_earlier: bool


@dataclass(frozen=True, slots=True)
class JoinedBy:
    """What has joined two contacts: `alias`, `identify` or `merge`, when, and whether that was told of the past."""

    kind: str
    moment: int
    historical: bool = False
