"""Segments: groups of contacts that follow their rules to the second."""

from typing import Annotated, Any

from pydantic import Field

from chalicelib.core.clock import iso
from chalicelib.core.schema import Page, PageQuery, Query
from chalicelib.edge.call import Call
from chalicelib.edge.router import Router
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.schemas import ContactAnswer
from chalicelib.features.contacts.schemas import shown as contact_shown
from chalicelib.features.segments import service as segments
from chalicelib.features.segments.schemas import (
    EstimateAnswer,
    ExplanationAnswer,
    MembersAnswer,
    MembersBody,
    NewSegment,
    RemovedAnswer,
    RulesBody,
    SegmentAnswer,
    SegmentPatch,
    shown,
)
from chalicelib.flows.segments import change_members, define, estimate, explain, list_memberships

router = Router("segments")


class ExplainQuery(Query):
    """Whose membership to explain."""

    contact_id: Annotated[str, Field(min_length=1, max_length=64, description="The contact.")]


@router.post("/v1/segments", scope="segments:write", body=NewSegment, answer=SegmentAnswer, status=201, idempotent=True)
def create_segment(call: Call[None, NewSegment]) -> SegmentAnswer:
    """Create a segment; a large one is built in the background, its status being `building` meanwhile."""
    body = call.body
    made = define.create(call.tenant, body.name, body.type, body.rules, body.contact_ids, call.now, call.receipt)
    return shown(*made)


@router.get("/v1/segments", scope="segments:read", query=PageQuery, answer=Page[SegmentAnswer])
def list_segments(call: Call[PageQuery, None]) -> Page[SegmentAnswer]:
    """List segments, newest first."""
    rows, following = segments.listing(call.tenant, call.query.limit, call.query.cursor)
    counts = segments.counts(call.tenant, rows)
    data = [shown(row, counts[row.id]) for row in rows]
    return Page(data=data, has_more=following is not None, next_cursor=following)


@router.get("/v1/segments/{segment_id}", scope="segments:read", answer=SegmentAnswer)
def get_segment(call: Call[None, None]) -> SegmentAnswer:
    """Get a segment with its count of members."""
    segment = segments.get(call.tenant, call.path["segment_id"])
    return shown(segment, segments.counts(call.tenant, [segment])[segment.id])


@router.patch("/v1/segments/{segment_id}", scope="segments:write", body=SegmentPatch, answer=SegmentAnswer)
def update_segment(call: Call[None, SegmentPatch]) -> SegmentAnswer:
    """Change a segment's name or rules; with other rules it is built anew."""
    return shown(*define.change(call.tenant, call.path["segment_id"], call.body.name, call.body.rules, call.now))


@router.delete("/v1/segments/{segment_id}", scope="segments:write", answer=RemovedAnswer)
def delete_segment(call: Call[None, None]) -> RemovedAnswer:
    """Delete a segment that no other segment's rules name."""
    define.remove(call.tenant, call.path["segment_id"], call.now)
    return RemovedAnswer(id=call.path["segment_id"])


@router.get("/v1/segments/{segment_id}/contacts", scope="segments:read", query=PageQuery, answer=Page[ContactAnswer])
def list_members(call: Call[PageQuery, None]) -> Page[ContactAnswer]:
    """List the contacts that are in a segment now, newest first."""
    segment = segments.get(call.tenant, call.path["segment_id"])
    only = contacts.Filter(segment_id=segment.id)
    rows, following = contacts.listing(call.tenant, only, call.query.limit, call.query.cursor, "segments.contacts")
    return Page(data=[contact_shown(row) for row in rows], has_more=following is not None, next_cursor=following)


@router.post(
    "/v1/segments/{segment_id}/contacts",
    scope="segments:write",
    body=MembersBody,
    answer=MembersAnswer,
    idempotent=True,
)
def add_members(call: Call[None, MembersBody]) -> MembersAnswer:
    """Add contacts to a static segment."""
    answer = _members(call, is_member=True)
    call.receipt.commit([], 200, answer.model_dump(mode="json"))
    return answer


@router.delete("/v1/segments/{segment_id}/contacts", scope="segments:write", body=MembersBody, answer=MembersAnswer)
def remove_members(call: Call[None, MembersBody]) -> MembersAnswer:
    """Take contacts out of a static segment."""
    return _members(call, is_member=False)


@router.post("/v1/segments/{segment_id}/estimate", scope="segments:read", body=RulesBody, answer=EstimateAnswer)
def estimate_segment(call: Call[None, RulesBody]) -> EstimateAnswer:
    """Count the contacts that rules would hold for now, without changing the segment."""
    segments.get(call.tenant, call.path["segment_id"])
    found = estimate.run(call.tenant, call.body.rules, call.now)
    return EstimateAnswer(
        estimated_count=found.count,
        total_contacts=found.total,
        percentage=round(100 * found.count / max(1, found.total), 1),
        sampled=found.is_sampled,
    )


@router.get("/v1/segments/{segment_id}/explain", scope="segments:read", query=ExplainQuery, answer=ExplanationAnswer)
def explain_membership(call: Call[ExplainQuery, None]) -> ExplanationAnswer:
    """Explain why a contact is in a segment or not, and when time alone changes that."""
    segment_id, contact_id = call.path["segment_id"], call.query.contact_id
    found = explain.run(call.tenant, segment_id, contact_id, call.now)
    flips_at = None if found.flips_at is None else iso(found.flips_at)
    return ExplanationAnswer(
        segment_id=segment_id,
        contact_id=contact_id,
        as_of=iso(call.now),
        member=found.is_member,
        leaves_at=flips_at if found.is_member else None,
        enters_at=None if found.is_member else flips_at,
        rules=found.rules,
    )


@router.get("/v1/contacts/{contact_id}/segments", scope="contacts:read", query=PageQuery, answer=Page[SegmentAnswer])
def list_contact_segments(call: Call[PageQuery, None]) -> Page[SegmentAnswer]:
    """List the segments that a contact is in now, static and dynamic ones."""
    rows, following = list_memberships.run(call.tenant, call.path["contact_id"], call.query.limit, call.query.cursor)
    counts = segments.counts(call.tenant, rows)
    data = [shown(row, counts[row.id]) for row in rows]
    return Page(data=data, has_more=following is not None, next_cursor=following)


def _members(call: Call[Any, MembersBody], *, is_member: bool) -> MembersAnswer:
    segment_id = call.path["segment_id"]
    count = change_members.run(call.tenant, segment_id, call.body.contact_ids, is_member=is_member)
    return MembersAnswer(id=segment_id, changed=count)
