"""Contacts: the people whom a project knows."""

from typing import Annotated, Any

from pydantic import Field

from chalicelib.core.clock import iso
from chalicelib.core.errors import ValidationFailed, detail
from chalicelib.core.schema import Answer, Instant, Page, PageQuery, Query
from chalicelib.edge.call import Call, Reply
from chalicelib.edge.router import Router
from chalicelib.features.activity import schemas as activity_schemas
from chalicelib.features.activity import service as activity
from chalicelib.features.activity.schemas import EventAnswer, ExportedEvent
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.names import Names
from chalicelib.features.contacts.schemas import (
    ContactAnswer,
    ContactImport,
    ContactMerge,
    ContactPatch,
    DeletedAnswer,
    GroupAnswer,
    fields,
    group_shown,
    shown,
)
from chalicelib.features.messaging import schemas as messaging_schemas
from chalicelib.features.messaging import service as messaging
from chalicelib.features.messaging.schemas import HeldMessage
from chalicelib.features.segments import service as segments
from chalicelib.features.waitlists.schemas import HeldEntry
from chalicelib.flows import merge_contacts
from chalicelib.flows.referrals import held as held_referrals
from chalicelib.flows.referrals.held import HeldReferrals
from chalicelib.flows.segments import purge, read_profile
from chalicelib.flows.surveys import read as read_surveys
from chalicelib.flows.surveys.answers import ListedResponse, SendAnswer
from chalicelib.flows.waitlists import read as read_entries

router = Router("contacts")


class ContactsQuery(PageQuery):
    """Which contacts to list."""

    tag: Annotated[str | None, Field(max_length=128, description="Only contacts with this tag.")] = None
    segment_id: Annotated[str | None, Field(max_length=64, description="Only contacts in this segment.")] = None
    created_after: Annotated[Instant | None, Field(description="Only contacts created after this moment.")] = None
    created_before: Annotated[Instant | None, Field(description="Only contacts created before this moment.")] = None
    email: Annotated[str | None, Field(max_length=320, description="The contact with this address, exactly.")] = None
    external_id: Annotated[
        str | None, Field(max_length=256, description="The contact that this external id leads to, exactly.")
    ] = None


class DeleteQuery(Query):
    """How to delete."""

    purge: Annotated[bool, Field(description="Purge it with all its events now.")] = False


class Overruled(Answer):
    """What was said of a trait and does not stand, but may yet come to: by a merge, or before an id went elsewhere."""

    trait: str
    value: Any
    said_at: str


class ContactExport(Answer):
    """All that is held on a contact: its profile, and its events a page at a time."""

    contact: "ContactProfile"
    external_ids: Annotated[list[str], Field(description="All user ids that lead to it.")]
    anonymous_ids: Annotated[list[str], Field(description="Those under which something was said or done alone.")]
    emails: Annotated[list[str], Field(description="All addresses that were said to be its own.")]
    overruled: list[Overruled]
    messages: Annotated[list[HeldMessage], Field(description="All mails; on the first page only.")]
    referrals: Annotated[HeldReferrals, Field(description="On the first page only.")]
    waitlist_entries: Annotated[list[HeldEntry], Field(description="In all waitlists; on the first page only.")]
    survey_sends: Annotated[list[SendAnswer], Field(description="Of all surveys; on the first page only.")]
    survey_responses: Annotated[list[ListedResponse], Field(description="To all surveys; on the first page only.")]
    events: list[ExportedEvent]
    has_more: bool
    next_cursor: Annotated[str | None, Field(description="Where the next page of events goes on; null at the end.")]


class ReferralStats(Answer):
    """What a contact has referred, in all programs together."""

    referrals_made: int = 0
    conversions: int = 0


class ContactProfile(ContactAnswer):
    """All that a project knows of one contact."""

    recent_events: list[EventAnswer]
    groups: list[GroupAnswer]
    segments: Annotated[list[str], Field(description="Ids of the segments that the contact is in.")] = Field(
        default_factory=list
    )
    scores: Annotated[
        dict[str, int | float], Field(description="Engagement and lead, 0 to 100, as they have decayed by now.")
    ]
    referral_stats: ReferralStats = Field(default_factory=ReferralStats)
    last_nps_score: int | None = None
    last_csat_score: int | None = None


@router.get("/v1/contacts", scope="contacts:read", query=ContactsQuery, answer=Page[ContactAnswer])
def list_contacts(call: Call[ContactsQuery, None]) -> Page[ContactAnswer]:
    """List contacts, newest first."""
    query = call.query
    if query.segment_id is not None:
        segments.get(call.tenant, query.segment_id)
    only = contacts.Filter(
        query.tag, query.created_after, query.created_before, query.email, query.external_id, query.segment_id
    )
    rows, following = contacts.listing(call.tenant, only, query.limit, query.cursor)
    return Page(data=[shown(row) for row in rows], has_more=following is not None, next_cursor=following)


@router.post(
    "/v1/contacts",
    scope="contacts:write",
    body=ContactImport,
    answer=ContactAnswer,
    status=201,
    also=(200,),
    idempotent=True,
)
def put_contact(call: Call[None, ContactImport]) -> Reply:
    """Create a contact (201), or update the one with that external id, else that email (200)."""
    names, change = _import(call.body)
    contact, is_new = contacts.put(call.tenant, names, change, _received(call), call.receipt)
    return Reply(shown(contact), status=201 if is_new else 200)


@router.get("/v1/contacts/{contact_id}", scope="contacts:read", answer=ContactProfile)
def get_contact(call: Call[Any, None]) -> ContactProfile:
    """Get a contact's full profile."""
    profile = read_profile.run(call.tenant, call.path["contact_id"], call.now)
    return ContactProfile(
        **fields(profile.contact),
        recent_events=[activity_schemas.shown(event) for event in profile.recent],
        groups=[group_shown(group) for group in profile.contact.groups],
        segments=profile.segments,
        scores=profile.scores,
        referral_stats=ReferralStats(**profile.referral_stats),
        last_nps_score=profile.contact.last_score("nps"),
        last_csat_score=profile.contact.last_score("csat"),
    )


@router.patch("/v1/contacts/{contact_id}", scope="contacts:write", body=ContactPatch, answer=ContactAnswer)
def update_contact(call: Call[None, ContactPatch]) -> ContactAnswer:
    """Change a contact: traits are merged, tags replaced, added or removed."""
    change = _change(call.body, call.body.traits)
    return shown(contacts.update(call.tenant, call.path["contact_id"], change, _received(call)))


@router.delete("/v1/contacts/{contact_id}", scope="contacts:write", query=DeleteQuery, answer=DeletedAnswer)
def delete_contact(call: Call[DeleteQuery, None]) -> DeletedAnswer:
    """Delete a contact: it is gone from every read at once, its identities are free, and it is purged after 30 days."""
    purge.delete(call.tenant, call.path["contact_id"], call.now, purges=call.query.purge)
    return DeletedAnswer(id=call.path["contact_id"], deleted=True)


@router.post(
    "/v1/contacts/{contact_id}/merge",
    scope="contacts:write",
    body=ContactMerge,
    answer=ContactAnswer,
    status=200,
    idempotent=True,
)
def merge_contact(call: Call[None, ContactMerge]) -> ContactAnswer:
    """Merge another contact into this one, with all that is its; from then on it answers 404, and where it went."""
    source, preference = call.body.source_contact_id, call.body.conflict_resolution
    target = call.path["contact_id"]
    return shown(merge_contacts.run(call.tenant, target, source, preference, _received(call), call.receipt))


@router.get("/v1/contacts/{contact_id}/export", scope="contacts:read", query=PageQuery, answer=ContactExport)
def export_contact(call: Call[PageQuery, None]) -> ContactExport:
    """Export all that is held on a contact, its events newest first."""
    profile = get_contact(call)
    only = activity.Filter(contact_id=profile.id)
    rows, following = activity.listing(call.tenant, "contacts.export", only, call.query.limit, call.query.cursor)
    held = contacts.held(call.tenant, profile.id)
    sends, responses = ([], []) if call.query.cursor else read_surveys.held(call.tenant, profile.id, call.now)
    mailed = [] if call.query.cursor else [profile.id, *contacts.absorbed(call.tenant, profile.id)]
    return ContactExport(
        contact=profile,
        external_ids=held.external_ids,
        anonymous_ids=held.anonymous_ids,
        emails=held.emails,
        overruled=[
            Overruled(trait=key, value=said.value, said_at=iso(said.stamp.moment)) for key, said in held.overruled
        ],
        messages=[messaging_schemas.held(row) for each in mailed for row in messaging.of_contact(call.tenant, each)],
        referrals=held_referrals.NOTHING if call.query.cursor else held_referrals.run(call.tenant, profile.id),
        waitlist_entries=[] if call.query.cursor else read_entries.held(call.tenant, profile.id),
        survey_sends=sends,
        survey_responses=responses,
        events=[activity_schemas.exported(row) for row in rows],
        has_more=following is not None,
        next_cursor=following,
    )


@router.get("/v1/contacts/{contact_id}/events", scope="events:read", query=PageQuery, answer=Page[EventAnswer])
def list_contact_events(call: Call[PageQuery, None]) -> Page[EventAnswer]:
    """List a contact's events, newest first."""
    contact = contacts.get(call.tenant, call.path["contact_id"])
    only = activity.Filter(contact_id=contact.id)
    rows, following = activity.listing(call.tenant, "contacts.events", only, call.query.limit, call.query.cursor)
    data = [activity_schemas.shown(row) for row in rows]
    return Page(data=data, has_more=following is not None, next_cursor=following)


def _received(call: Call[Any, Any]) -> contacts.Received:
    return contacts.Received(call.now, call.request.request_id)


def _import(body: ContactImport) -> tuple[Names, contacts.Change]:
    traits: dict[str, Any] = body.traits if body.email is None else body.traits | {"email": body.email}
    email = contacts.normal_email(traits.get("email"))
    if body.external_id is None and email is None:
        message = "Give an external_id or an email."
        raise ValidationFailed(message, details=[detail("external_id", "missing", message)])
    return Names(user=body.external_id, email=email), _change(body, traits)


def _change(body: ContactPatch, traits: dict[str, Any]) -> contacts.Change:
    return contacts.Change(traits, body.tags, tuple(body.add_tags), tuple(body.remove_tags), body.unsubscribed)
