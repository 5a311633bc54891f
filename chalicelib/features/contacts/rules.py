"""Who an event belongs to. Pure: it works on what was read, and tells which claims must hold when it is written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from chalicelib.core import ids
from chalicelib.features.contacts.model import Contact, IdentityKind, normal_email


class Identity(NamedTuple):
    """One name of a person; points to at most one contact."""

    kind: IdentityKind
    value: str


@dataclass(frozen=True, slots=True)
class Names:
    """The identities that one event or request came with; each may be missing."""

    user: str | None = None
    anonymous: str | None = None
    email: str | None = None

    def identities(self) -> list[Identity]:
        named = (("user", self.user), ("anonymous", self.anonymous), ("email", self.email))
        return [Identity(kind, value) for kind, value in named if value is not None]  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Resolved:
    """Whose an event is; `is_named` where the contact got its user id by it."""

    contact: Contact
    is_new: bool
    is_named: bool


class Directory:
    """Which contact each identity points to, as it was read and as it was decided since.

    An identity that points to a contact which is gone is free; `stale` remembers the pointer, for the condition
    under which it is overwritten.
    """

    def __init__(self, pointers: Mapping[Identity, str], people: Iterable[Contact]) -> None:
        self.people = {contact.id: contact for contact in people if contact.status == "active"}
        self._owners = {identity: owner for identity, owner in pointers.items() if owner in self.people}
        self._stale = {identity: owner for identity, owner in pointers.items() if owner not in self.people}
        self._pending: dict[str, dict[Identity, bool]] = {}

    def owner(self, identity: Identity) -> str | None:
        """The contact that holds this identity."""
        return self._owners.get(identity)

    def resolve(self, names: Names, received_at: int, *, trusts_email: bool = False) -> "Resolved":
        """The contact that the names lead to, a new one where they lead nowhere.

        The user id decides where it is known. Where it is not, it goes to the contact of the anonymous id, or of the
        address, if that one has no user id yet: so a visitor or an imported address becomes the user. Contacts that
        have done something are never found by an address alone, except where the caller is trusted with it.
        """
        by_email = self._find("email", names.email)
        if by_email and not trusts_email and (by_email.external_id or by_email.last_seen_at is not None):
            by_email = None
        found = self._find("user", names.user)
        if found is None:
            candidates = (self._find("anonymous", names.anonymous), by_email)
            found = next((one for one in candidates if one and (names.user is None or one.external_id is None)), None)
        contact = found or self._create(received_at)
        is_named = names.user is not None and contact.external_id is None
        if is_named and names.user is not None:
            contact.external_id = names.user
            self.claim(contact, Identity("user", names.user))
        if names.anonymous is not None:
            self.claim(contact, Identity("anonymous", names.anonymous))
        return Resolved(contact, is_new=found is None, is_named=is_named)

    def stale(self, identity: Identity) -> str | None:
        """The contact, gone by now, that the identity was found to point to."""
        return self._stale.get(identity)

    def claim(self, contact: Contact, identity: Identity) -> bool:
        """Make the identity the contact's where nobody else holds it; False where somebody does."""
        owner = self._owners.get(identity)
        if owner is None:
            self._owners[identity] = contact.id
            self._note(contact, identity, held=True)
        return owner in (None, contact.id)

    def settle_email(self, contact: Contact) -> str | None:
        """Bring the contact's email in line with its trait; returns the contact that holds the address instead.

        The second claimant of an address keeps its trait and gets no email.
        """
        wanted = normal_email(contact.traits.get("email"))
        if wanted == contact.email:
            return None
        if contact.email is not None:
            before = Identity("email", contact.email)
            self._owners.pop(before, None)
            self._note(contact, before, held=False)
        contact.email = None
        if wanted is None:
            return None
        identity = Identity("email", wanted)
        if not self.claim(contact, identity):
            return self._owners[identity]
        contact.email = wanted
        return None

    def pending(self, contact: Contact) -> dict[Identity, bool]:
        """Claims (True) and releases (False) decided for the contact and not yet part of a transaction."""
        return self._pending.setdefault(contact.id, {})

    def take_pending(self, contact: Contact) -> dict[Identity, bool]:
        """The same, for the transaction that will hold them."""
        return self._pending.pop(contact.id, {})

    def _note(self, contact: Contact, identity: Identity, *, held: bool) -> None:
        pending = self._pending.setdefault(contact.id, {})
        if pending.get(identity, held) != held:
            # Claimed and released again before either was written: the table already says so.
            del pending[identity]
        else:
            pending[identity] = held

    def _find(self, kind: IdentityKind, value: str | None) -> Contact | None:
        owner = None if value is None else self._owners.get(Identity(kind, value))
        return self.people[owner] if owner else None

    def _create(self, received_at: int) -> Contact:
        contact = Contact(id=ids.new_id("cntct"), created_at=received_at, updated_at=received_at)
        self.people[contact.id] = contact
        return contact
