"""Waitlists: who waits in which order, who was approved, and what whoever joins sees of it."""

from typing import Any

from chalicelib.core.schema import EmptyBody, Page, PageQuery
from chalicelib.edge import pages
from chalicelib.edge.call import Call, Reply
from chalicelib.edge.pages import Brand, Place
from chalicelib.edge.router import Router
from chalicelib.features.contacts.service import Received
from chalicelib.features.waitlists import service as waitlists
from chalicelib.features.waitlists.schemas import (
    BatchAnswer,
    BatchBody,
    EntriesPage,
    EntriesQuery,
    EntryAnswer,
    NewWaitlist,
    PublicEntry,
    Removed,
    StatusAnswer,
    StatusQuery,
    WaitlistAnswer,
    WaitlistPatch,
    public_shown,
)
from chalicelib.flows.waitlists import approve, define, join, leave, read
from chalicelib.flows.waitlists.bodies import Joining, NewEntry
from chalicelib.flows.waitlists.join import Asked
from chalicelib.platform import entry_tokens
from chalicelib.platform.address import public_url
from chalicelib.platform.entry_tokens import Named

router = Router("Waitlists")

_ONE = "/v1/waitlists/{waitlist_id}"
_NOT_FOUND = 404


@router.post(
    "/v1/waitlists", scope="waitlists:write", body=NewWaitlist, answer=WaitlistAnswer, status=201, idempotent=True
)
def create_waitlist(call: Call[None, NewWaitlist]) -> WaitlistAnswer:
    """Create a waitlist. A successful referral moves the referrer up by `referral_boost` positions."""
    return read.waitlist(call.tenant, define.create(call.tenant, call.body, call.now, call.receipt))


@router.get("/v1/waitlists", scope="waitlists:read", query=PageQuery, answer=Page[WaitlistAnswer])
def list_waitlists(call: Call[PageQuery, None]) -> Page[WaitlistAnswer]:
    """List waitlists, newest first."""
    rows, following = waitlists.listing(call.tenant, call.query.limit, call.query.cursor)
    shown = read.all_shown(call.tenant, rows)
    return Page(data=shown, has_more=following is not None, next_cursor=following)


@router.get(_ONE, scope="waitlists:read", answer=WaitlistAnswer)
def get_waitlist(call: Call[None, None]) -> WaitlistAnswer:
    """Get a waitlist, with how many wait and how many were approved."""
    return read.waitlist(call.tenant, waitlists.get(call.tenant, call.path["waitlist_id"]))


@router.patch(_ONE, scope="waitlists:write", body=WaitlistPatch, answer=WaitlistAnswer)
def update_waitlist(call: Call[None, WaitlistPatch]) -> WaitlistAnswer:
    """Change a waitlist. Another boost counts from then on."""
    return read.waitlist(call.tenant, define.change(call.tenant, call.path["waitlist_id"], call.body, call.now))


@router.delete(_ONE, scope="waitlists:write", answer=Removed)
def delete_waitlist(call: Call[None, None]) -> Removed:
    """Delete a waitlist with all its entries. Contacts stay."""
    return Removed(id=define.remove(call.tenant, call.path["waitlist_id"], call.now).id)


@router.get(f"{_ONE}/entries", scope="waitlists:read", query=EntriesQuery, answer=EntriesPage)
def list_entries(call: Call[EntriesQuery, None]) -> EntriesPage:
    """List who waits, by position, or who was approved, in the order of joining."""
    known, query = waitlists.get(call.tenant, call.path["waitlist_id"]), call.query
    return read.page(call.tenant, known, query.status, query.limit, query.cursor)


@router.post(
    f"{_ONE}/entries",
    scope="waitlists:write",
    body=NewEntry,
    answer=EntryAnswer,
    status=201,
    also=(200,),
    idempotent=True,
)
def add_entry(call: Call[None, NewEntry]) -> Reply:
    """Add somebody to a waitlist (201). The same email joins once: later calls answer with its entry (200)."""
    body = call.body
    asked = Asked(body.email, body.traits, body.referral_code, _received(call))
    joined = join.run(call.tenant, call.path["waitlist_id"], asked, call.receipt)
    return Reply(joined.entry, status=201 if joined.is_new else 200)


@router.delete(f"{_ONE}/entries/{{entry_id}}", scope="waitlists:write", answer=Removed)
def remove_entry(call: Call[None, None]) -> Removed:
    """Take an entry out of a waitlist; the rest close up."""
    leave.one(call.tenant, waitlists.get(call.tenant, call.path["waitlist_id"]), call.path["entry_id"])
    return Removed(id=call.path["entry_id"])


@router.post(
    f"{_ONE}/entries/{{entry_id}}/approve",
    scope="waitlists:write",
    body=EmptyBody,
    may_be_empty=True,
    answer=EntryAnswer,
    idempotent=True,
)
def approve_entry(call: Call[None, EmptyBody]) -> EntryAnswer:
    """Approve an entry and send the invite. Who was approved before gets no second one."""
    known = waitlists.get(call.tenant, call.path["waitlist_id"])
    return approve.one(call.tenant, known, call.path["entry_id"], call.now, call.receipt)


@router.post(
    f"{_ONE}/entries/approve-batch",
    scope="waitlists:write",
    body=BatchBody,
    answer=BatchAnswer,
    idempotent=True,
)
def approve_entries(call: Call[None, BatchBody]) -> BatchAnswer:
    """Approve the first of those who wait and send their invites. Whoever else asks at once, each is approved once."""
    known = waitlists.get(call.tenant, call.path["waitlist_id"])
    return approve.batch(call.tenant, known, call.body.count, call.body.order, call.now, call.receipt)


@router.post(f"{_ONE}/join", access="ingest", body=Joining, answer=PublicEntry, status=201, also=(200,))
def join_waitlist(call: Call[None, Joining]) -> Reply:
    """Join a waitlist (201), named by its slug. The same email joins once: later calls answer with its entry (200)."""
    body = call.body
    is_write = call.principal.key_type == "write"
    came_by = (call.request.source_ip, call.request.headers.get("user-agent")) if is_write else (None, None)
    asked = Asked(body.email, body.traits, body.referral_code, _received(call), True, *came_by)
    joined = join.run(call.tenant, call.path["waitlist_id"], asked, call.receipt)
    token = entry_tokens.make(call.tenant, joined.waitlist_id, joined.entry.id)
    page = entry_tokens.make_for_page(Named(call.tenant, joined.waitlist_id, joined.entry.id))
    shown = public_shown(joined.entry, token, f"{public_url()}/w/{page}")
    return Reply(shown, status=201 if joined.is_new else 200)


@router.get(f"{_ONE}/status", access="ingest", query=StatusQuery, answer=StatusAnswer)
def get_status(call: Call[StatusQuery, None]) -> StatusAnswer:
    """Ask where somebody stands, by the token that joining was answered with."""
    return read.status(call.tenant, call.path["waitlist_id"], call.query.token, call.query.email)


@router.get("/w/{token}", access="public")
def show_place(call: Call[None, None]) -> Reply:
    """See where one stands in a waitlist, by the address that joining was answered with."""
    seen = read.seen_by(call.path["token"])
    if seen is None:
        text = "This address is not complete, or the place that it stood for is gone. Ask whoever gave it to you."
        return pages.message("There is no such place", text, status=_NOT_FOUND)
    told, known = seen.place, seen.waitlist
    place = Place(
        waitlist=known.name,
        position=told.position,
        waiting=told.total_waiting,
        boost=known.referral_boost,
        referral_code=told.referral_code,
        share_url=told.share_url,
    )
    return pages.place(place, Brand.of(seen.project))


def _received(call: Call[None, Any]) -> Received:
    return Received(call.now, call.request.request_id)
