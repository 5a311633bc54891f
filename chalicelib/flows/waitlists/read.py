"""Entries as callers see them: with their addresses, places and links."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chalicelib.core.errors import NotFound
from chalicelib.features.codes import service as codes
from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.model import Project
from chalicelib.features.waitlists import service as waitlists
from chalicelib.features.waitlists.model import Entry, Status, Waitlist
from chalicelib.features.waitlists.schemas import (
    EntriesPage,
    EntryAnswer,
    HeldEntry,
    StatusAnswer,
    WaitlistAnswer,
    entry_shown,
    shown,
)
from chalicelib.platform import entry_tokens, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.token_text import BadToken


@dataclass(frozen=True, slots=True)
class Beside:
    """What is shown of entries beside their own rows: the addresses, by contact, and where codes are shared."""

    emails: Mapping[str, str | None]
    base: str | None

    def shown(self, entry: Entry, position: int | None) -> EntryAnswer:
        """One entry as callers see it."""
        link = codes.url(self.base, entry.codes[0])
        return entry_shown(entry, self.emails.get(entry.contact_id), position, link)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a page tells whoever has its address."""

    project: Project
    waitlist: Waitlist
    place: StatusAnswer


def beside(tenant: Tenant, entries: Iterable[Entry]) -> Beside:
    """The same of these entries; one read."""
    people = {contacts.key(tenant, each.contact_id) for each in entries}
    rows = table.batch_get([projects.key(tenant), *people])
    found = [contacts.read(rows[key]) for key in people if key in rows]
    emails = {each.id: each.email for each in found if each is not None and each.status == "active"}
    return Beside(emails, projects.read(tenant, rows.get(projects.key(tenant))).referral_base_url)


def entry(tenant: Tenant, known: Entry) -> EntryAnswer:
    """One entry with its position as it is now."""
    position = waitlists.position(tenant, known) if known.status == "waiting" else None
    return beside(tenant, [known]).shown(known, position)


def held(tenant: Tenant, contact_id: str) -> list[HeldEntry]:
    """The entries of a contact in all waitlists; those of a waitlist that is being deleted are left out."""
    found = []
    for waitlist_id, entry_id in waitlists.all_pointed(tenant, contact_id).items():
        known = waitlists.find_entry(tenant, waitlist_id, entry_id)
        if known is not None and waitlists.find(tenant, waitlist_id) is not None:
            found.append(HeldEntry(**entry(tenant, known).model_dump(), waitlist_id=waitlist_id))
    return found


def page(tenant: Tenant, waitlist: Waitlist, status: Status, limit: int, after: str | None) -> EntriesPage:
    """A page of entries. Raises BadRequest on a foreign cursor."""
    read = waitlists.waiting if status == "waiting" else waitlists.approved
    found = read(tenant, waitlist.id, limit, after)
    around = beside(tenant, found.rows)
    rows = [around.shown(each, found.first + n if status == "waiting" else None) for n, each in enumerate(found.rows)]
    return EntriesPage(
        data=rows, total_entries=found.total, has_more=found.following is not None, next_cursor=found.following
    )


def waitlist(tenant: Tenant, known: Waitlist) -> WaitlistAnswer:
    """A waitlist with its figures as they are now."""
    return shown(known, waitlists.stats(tenant, known.id))


def all_shown(tenant: Tenant, known: Sequence[Waitlist]) -> list[WaitlistAnswer]:
    """Waitlists with their figures, those left out that were deleted meanwhile."""
    figures = waitlists.stats_of(tenant, [each.id for each in known])
    return [shown(each, figures[each.id]) for each in known if each.id in figures]


def status(tenant: Tenant, name: str, token: str | None, email: str | None) -> StatusAnswer:
    """Where the entry stands that the token is of. Raises NotFound alike for whatever does not fit together: nobody
    learns by it who has joined."""
    missing = NotFound("There is no such entry.")
    try:
        known = waitlists.get(tenant, name)
        found = waitlists.find_entry(tenant, known.id, entry_tokens.read(token or "", tenant, known.id))
    except (NotFound, BadToken):
        raise missing from None
    if found is None:
        raise missing
    position, waiting = waitlists.standing(tenant, found)
    around = beside(tenant, [found])
    if email is not None and contacts.normal_email(email) != around.emails.get(found.contact_id):
        raise missing
    return _told(around.shown(found, position), position, waiting)


def seen_by(token: str) -> Seen | None:
    """What the page of that token tells; None for whatever does not fit together."""
    try:
        named = entry_tokens.read_of_page(token)
    except BadToken:
        return None
    tenant = named.tenant
    project, known = projects.find(tenant), waitlists.find(tenant, named.waitlist_id)
    found = waitlists.find_entry(tenant, named.waitlist_id, named.entry_id)
    if project is None or known is None or found is None:
        return None
    position, waiting = waitlists.standing(tenant, found)
    # Whose address it is does not show: nobody needs to be read for it.
    shown_to_all = Beside({}, project.referral_base_url).shown(found, position)
    return Seen(project, known, _told(shown_to_all, position, waiting))


def _told(told: EntryAnswer, position: int | None, waiting: int) -> StatusAnswer:
    return StatusAnswer(
        position=position,
        # Approved between the two reads, it waits no more.
        status="waiting" if position is not None else "approved",
        referral_count=told.referral_count,
        referral_code=told.referral_code,
        share_url=told.share_url,
        total_waiting=waiting,
    )
