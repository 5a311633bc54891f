"""Who an event belongs to. Pure: it works on what was read, and tells which claims must hold when it is written."""

from collections.abc import Iterable, Mapping

from chalicelib.core import ids
from chalicelib.features.contacts import fold, kinship, verdict
from chalicelib.features.contacts.model import (
    MAX_ALIASES,
    Alias,
    Contact,
    IdentityKind,
    Part,
    Stamp,
    anonymous_part,
    normal_email,
)
from chalicelib.features.contacts.names import Claim, Clash, Identity, Names, Pointer, Resolved


class Directory:
    """Which contact each identity points to, as it was read and as it was decided since.

    An identity that points to a contact which is gone is free. One that points to a merged contact leads on.
    """

    def __init__(
        self, pointers: Mapping[Identity, Pointer], people: Iterable[Contact], read: Iterable[Identity]
    ) -> None:
        """`people` has all contacts that the pointers lead to, merged ones too; `read` all identities looked up."""
        everybody = {contact.id: contact for contact in people}
        self.people = {contact.id: contact for contact in everybody.values() if contact.status == "active"}
        self._said_before = {contact.id: contact.traits.get("email") for contact in self.people.values()}
        self._leads = {contact.id: contact.merged_into for contact in everybody.values() if contact.merged_into}
        self._known = set(read)
        self._pointers = dict(pointers)
        self._written = dict(pointers)
        self._pending: dict[str, dict[Identity, Claim]] = {}
        self._contested: set[str] = set()

    def home(self, kind: IdentityKind, value: str | None) -> Contact | None:
        """The active contact that an identity leads to."""
        pointer = None if value is None else self._pointers.get(Identity(kind, value))
        return None if pointer is None else self._follow(pointer.contact)

    def holder(self, address: str) -> Contact | None:
        """The contact whose email that address is."""
        found = self.home("email", address)
        return found if found is not None and found.email == address else None

    def involves_several(self, names: Names, stamp: Stamp) -> bool:
        """True where an event with these names changes more than one contact, or how one is judged that was merged."""
        base = self._base(names, trusts_email=False)
        if self._imported(base, names) is not None:
            return True
        if names.user is None:
            return False
        if self.home("user", names.previous) not in (None, base):
            return True
        if base is not None and base.merges and self._regroups(base, names, stamp):
            return True
        others = [(each, self.home("anonymous", each)) for each in names.anonymous_ids()]
        return any(other not in (None, base) and self._yields(each, other, stamp) for each, other in others if other)

    def must_wait(self, names: Names) -> bool:
        """True where these names claim an anonymous id that the contact has lost to one which is deleted by now, and
        whose events are still being taken out of the contact's own."""
        base = self._base(names, trusts_email=False)
        claimed = names.anonymous_ids() if base is not None else []
        return any(
            base is not None and each in base.ceding and self.home("anonymous", each) is None for each in claimed
        )

    def resolve(self, names: Names, stamp: Stamp, received_at: int, *, trusts_email: bool = False) -> Resolved:
        """The contact that the names lead to, a new one where they lead nowhere.

        The user id decides where it is known. Where it is not, it goes to the contact of its previous id, or of the
        anonymous id or of the address, if that one has no user id yet: so a visitor or an imported address becomes the
        user. Contacts that have done something are never found by an address alone, except where the caller is trusted
        with it. Then the anonymous ids that came with the user id are claimed for it: a visitor who is nobody's joins
        the contact, and one who is somebody's does where this claim is the earlier.
        """
        found = self._base(names, trusts_email=trusts_email)
        contact = found or self._create(received_at)
        imported = None if trusts_email else self._imported(found, names)
        if names.user is None:
            resolved = Resolved(contact, "", found is None, tags_before=list(contact.tags))
            if imported is not None:
                self._take_in(resolved, imported)
                self._judge_anew(resolved, frozenset(contact.traits))
            resolved.part = self._visitor(contact, names)
            return resolved
        is_named = names.user not in contact.users
        if is_named:
            contact.users[names.user] = self._core_for(contact, names)
            contact.external_id = verdict.external_id(contact)
            self._claim(contact, Identity("user", names.user), Pointer(contact.id))
        else:
            self._lead_on(contact, Identity("user", names.user))
        resolved = Resolved(
            contact, contact.users[names.user], found is None, is_named=is_named, tags_before=list(contact.tags)
        )
        keys_before = frozenset(contact.traits)
        resolved.is_regrouped = bool(contact.merges) and self._regroups(contact, names, stamp)
        if imported is not None:
            self._take_in(resolved, imported)
        self._alias(resolved, names, stamp)
        for anonymous_id in names.anonymous_ids():
            if anonymous_id != resolved.refused or anonymous_id == names.anonymous:
                self._claim_anonymous(resolved, names.user, anonymous_id, stamp)
        if resolved.is_judged_anew:
            self._judge_anew(resolved, keys_before)
        resolved.part = contact.users[names.user]
        return resolved

    @staticmethod
    def _judge_anew(resolved: Resolved, first: frozenset[str]) -> None:
        resolved.lost_fields = {each.id: fold.settle(each)[0] for each in resolved.lost.values()}
        changed, overflow = fold.settle(resolved.contact, first)
        resolved.changed |= changed
        resolved.overflow += overflow

    def join(self, target: Contact, source: Contact) -> None:
        """Note that the source is part of the target now."""
        del self.people[source.id]
        self._leads[source.id] = target.id
        for identity, claim in self._pending.pop(source.id, {}).items():
            self._pending.setdefault(target.id, {})[identity] = claim

    def settle_email(self, contact: Contact) -> Clash | None:
        """Bring the contact's email in line with its trait; returns a clash where somebody else holds the address.

        The second claimant of an address keeps its trait and gets no email.
        """
        wanted = normal_email(contact.traits.get("email"))
        held, contact.email = contact.email, None
        if held is not None and held != wanted:
            self._release(contact, held)
        if wanted is None:
            return None
        identity, holder = Identity("email", wanted), self.home("email", wanted)
        if holder is contact:
            if held != wanted or self._pointers[identity].contact != contact.id:
                # It was read before the contact, and may have been awarded to another one in between; or it came with a
                # contact that is part of this one now: whoever gives an address up knows only himself.
                self._claim(contact, identity, Pointer(contact.id))
            contact.email = wanted
            return None
        if (holder is not None and holder.email == wanted) or identity not in self._known:
            claim = verdict.claims_email(contact, wanted)
            held_since = verdict.claims_email(holder, wanted) if holder is not None else None
            is_earlier = claim is not None and (held_since is None or claim < held_since)
            if is_earlier or normal_email(self._said_before.get(contact.id)) != wanted:
                # The holder may give it up before this is written, when nobody knows yet who else wants it.
                self._contested.add(contact.id)
            return Clash(wanted, holder.id if holder is not None else None, is_earlier)
        self._claim(contact, identity, Pointer(contact.id))
        contact.email = wanted
        return None

    def settle_emails(self, resolved: Resolved) -> list[tuple[Contact, Clash]]:
        """Bring the emails of all contacts that an event changed in line with their traits."""
        held = [source.email for source in resolved.joined if source.email is not None]
        for source in resolved.joined:
            source.email = None
        settled = [(contact, self.settle_email(contact)) for contact in (resolved.contact, *resolved.lost.values())]
        for address in held:
            if resolved.contact.email != address:
                self._release(resolved.contact, address)
        for contact, _ in settled:
            self._pass_on(contact)
        return [(contact, clash) for contact, clash in settled if clash is not None]

    def hand_over(self, address: str, holder: Contact | None, winner: Contact) -> Clash | None:
        """Let an address go to the winner; returns the clash of the one that has held it."""
        identity = Identity("email", address)
        over = self._written.get(identity)
        self._pending.setdefault(winner.id, {})[identity] = Claim(Pointer(winner.id), over)
        winner.email = address
        if holder is None:
            return None
        holder.email = None
        return Clash(address, winner.id, is_earlier=False)

    def pending(self, contact: Contact) -> dict[Identity, Claim]:
        """What was decided of identities for the contact and is not yet part of a transaction."""
        return self._pending.setdefault(contact.id, {})

    def take_pending(self, contact: Contact) -> tuple[dict[Identity, Claim], bool]:
        """The same, for the transaction that will hold it, and whether its addresses are to be awarded anew then."""
        claims = self._pending.pop(contact.id, {})
        self._written |= {identity: claim.pointer for identity, claim in claims.items() if claim.pointer is not None}
        is_contested = contact.id in self._contested
        self._contested.discard(contact.id)
        return claims, is_contested

    def _base(self, names: Names, *, trusts_email: bool) -> Contact | None:
        """The contact that is there already, and that the names belong to first of all."""
        user = self.home("user", names.user)
        if user is not None:
            return user
        previous = self.home("user", names.previous) if names.user else None
        if previous is not None and kinship.has_room_for(previous, None):
            return previous
        by_email = self.home("email", names.email)
        if by_email and not trusts_email and not _is_bare_import(by_email):
            by_email = None
        candidates = [*(self.home("anonymous", each) for each in names.anonymous_ids()), by_email]
        return next((one for one in candidates if one and (names.user is None or not one.users)), None)

    def _imported(self, base: Contact | None, names: Names) -> Contact | None:
        """An imported address that nobody else has, where the contact which says it is there already."""
        imported = self.home("email", names.email)
        is_other = base is not None and imported is not None and imported is not base
        return imported if is_other and imported is not None and _is_bare_import(imported) else None

    def _take_in(self, resolved: Resolved, imported: Contact) -> None:
        self._absorb(resolved, imported)
        kinship.unite_cores(resolved.contact, resolved.contact.id, imported.id)

    def _core_for(self, contact: Contact, names: Names) -> str:
        """The core that a user id new to the contact belongs to: that of its previous id, or of the visitor."""
        if names.previous in contact.users:
            return contact.users[names.previous or ""]
        parts = [contact.parts.get(anonymous_part(each)) for each in names.anonymous_ids()]
        return next((part.of for part in parts if part is not None), contact.id)

    def _visitor(self, contact: Contact, names: Names) -> str:
        """The part for what is said under an anonymous id alone; the own core where there is no such id."""
        if names.anonymous is None:
            return contact.id
        identity = Identity("anonymous", names.anonymous)
        if self.home("anonymous", names.anonymous) is not contact:
            self._claim(contact, identity, Pointer(contact.id))
        elif anonymous_part(names.anonymous) not in contact.parts:
            # It was read before the contact, and may have left it in between. A part tells that it has not, as it
            # leaves together with the anonymous id; where there is none, what was read must hold when this is written.
            self._claim(contact, identity, self._pointers[identity])
        self._lead_on(contact, identity)
        core = contact.users.get(self._pointers[identity].user or "", contact.id)
        return kinship.part_of(contact, names.anonymous, core)

    def _lead_on(self, contact: Contact, identity: Identity) -> None:
        """Let an identity that was found along a chain of merges point to its end, so that the chain is walked once."""
        pointer = self._pointers[identity]
        if pointer.contact != contact.id:
            self._claim(contact, identity, pointer._replace(contact=contact.id))

    def _alias(self, resolved: Resolved, names: Names, stamp: Stamp) -> None:
        contact, user, previous = resolved.contact, names.user, names.previous
        if user is None or previous is None:
            return
        other = self.home("user", previous)
        if other is contact:
            other = None
        is_new = other is not None or previous not in contact.users
        if is_new and not kinship.has_room_for(contact, other):
            resolved.refused = previous
            return
        if other is not None:
            self._absorb(resolved, other)
        if previous not in contact.users:
            contact.users[previous] = contact.users[user]
            self._claim(contact, Identity("user", previous), Pointer(contact.id))
        kinship.unite_cores(contact, contact.users[user], contact.users[previous])
        if previous != user:
            edge = Alias(stamp, previous, user)
            contact.aliases = sorted({*contact.aliases, edge})[-MAX_ALIASES:]
        before, contact.external_id = contact.external_id, verdict.external_id(contact)
        resolved.changed |= {"external_id"} if contact.external_id != before else set()

    def _claim_anonymous(self, resolved: Resolved, user: str, anonymous_id: str, stamp: Stamp) -> None:
        contact = resolved.contact
        identity = Identity("anonymous", anonymous_id)
        other = self.home("anonymous", anonymous_id)
        if other is not None and not self._yields(anonymous_id, other, stamp):
            if other is contact:
                self._lead_on(contact, identity)
            return
        if other is not None and other is not contact:
            if other.users:
                resolved.lost[other.id] = other
                kinship.take_out(other, contact, anonymous_id, contact.users[user], ids.new_ulid())
                # What has left may have been what claimed an address first.
                self._contested |= {contact.id, other.id}
            else:
                core = (
                    other.parts[anonymous_part(anonymous_id)].of
                    if anonymous_part(anonymous_id) in other.parts
                    else other.id
                )
                self._absorb(resolved, other)
                kinship.unite_cores(contact, contact.users[user], core)
        part = contact.parts.get(anonymous_part(anonymous_id))
        if part is not None and part.of != contact.users[user]:
            part.of = contact.users[user]
        self._claim(contact, identity, Pointer(contact.id, stamp, user))

    def _regroups(self, contact: Contact, names: Names, stamp: Stamp) -> bool:
        """True where what was said under these names comes to another core of the same contact."""
        core = contact.users.get(names.user or "")
        if core is None:
            return False
        if contact.users.get(names.previous or "", core) != core:
            return True
        parts = [(each, contact.parts.get(anonymous_part(each))) for each in names.anonymous_ids()]
        return any(part.of != core and self._yields(each, contact, stamp) for each, part in parts if part is not None)

    def _yields(self, anonymous_id: str, contact: Contact, stamp: Stamp) -> bool:
        """True where a claim at that time takes the anonymous id: it is nobody's, or was claimed later."""
        pointer = self._pointers[Identity("anonymous", anonymous_id)]
        if pointer.claim is not None:
            return stamp < pointer.claim
        if not contact.users:
            return True
        # A visitor whom the Management API made part of a contact was claimed for it then.
        part = contact.parts.get(anonymous_part(anonymous_id), Part(of=contact.id))
        merged = [merge.stamp for merge in contact.merges if part.of in (merge.target, merge.source)]
        return not merged or stamp < min(merged)

    def _absorb(self, resolved: Resolved, other: Contact) -> None:
        resolved.overflow += [f"tags.{tag}" for tag in kinship.absorb(resolved.contact, other, other.id)]
        self.join(resolved.contact, other)
        resolved.joined.append(other)

    def _claim(self, contact: Contact, identity: Identity, pointer: Pointer) -> None:
        self._pointers[identity] = pointer
        pending = self._pending.setdefault(contact.id, {})
        before = pending.get(identity)
        if before is not None and before.pointer is None and before.over is not None and before.over[0] == pointer[0]:
            # Given up and claimed again before either was written: the table already says so.
            del pending[identity]
            self._written[identity] = pointer
            return
        is_given_up = before is not None and before.pointer is None
        pending[identity] = Claim(pointer, before.over if before and is_given_up else self._written.get(identity))

    def _release(self, contact: Contact, address: str) -> None:
        identity = Identity("email", address)
        self._pointers.pop(identity, None)
        self._contested.add(contact.id)
        pending = self._pending.setdefault(contact.id, {})
        before = pending.pop(identity, None)
        if before is None or before.over is not None:
            pending[identity] = Claim(None, self._written.pop(identity, None) or Pointer(contact.id))

    def _pass_on(self, contact: Contact) -> None:
        """What the contact gives up and another one takes in the same transaction is written once."""
        for identity, given_up in list(self._pending.get(contact.id, {}).items()):
            for other, claims in self._pending.items():
                if given_up.pointer is None and other != contact.id and identity in claims:
                    claims[identity] = claims[identity]._replace(over=given_up.over)
                    del self._pending[contact.id][identity]

    def _follow(self, contact_id: str) -> Contact | None:
        seen = set()
        while contact_id in self._leads and contact_id not in seen:
            seen.add(contact_id)
            contact_id = self._leads[contact_id]
        return self.people.get(contact_id)

    def _create(self, received_at: int) -> Contact:
        contact = Contact(id=ids.new_id("cntct"), created_at=received_at, updated_at=received_at)
        self.people[contact.id] = contact
        return contact


def _is_bare_import(contact: Contact) -> bool:
    """True where all that is known of a contact was imported under its address: it has no id and has done nothing."""
    return not contact.users and contact.last_seen_at is None
