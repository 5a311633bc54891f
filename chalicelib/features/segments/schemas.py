"""Bodies and answers of the segment endpoints."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from chalicelib.core.bounds import has_control
from chalicelib.core.clock import iso
from chalicelib.core.schema import Answer, Body, NotNull
from chalicelib.features.segments.model import NAME_MAX, Segment, Status, Type

_CONTACTS_AT_ONCE = 100
_EXAMPLE_RULES = {
    "operator": "AND",
    "conditions": [
        {"field": "traits.plan", "op": "eq", "value": "trial"},
        {"field": "events.login", "op": "count_gte", "value": 3, "window": "7d"},
        {"field": "traits.signed_up_at", "op": "gte", "value": "2025-01-01"},
    ],
}


def _name(text: str) -> str:
    if not text.strip() or has_control(text):
        raise ValueError("a name is not blank and has no control character")
    return text


Name = Annotated[str, Field(min_length=1, max_length=NAME_MAX), AfterValidator(_name)]
Rules = Annotated[
    dict[str, Any],
    Field(
        description=(
            "Groups `{operator: AND | OR | NOT, conditions: [...]}` of groups and conditions "
            "`{field, op, value?, window?, where?}`, at most 8 deep and 100 conditions. `field` may be `funnel`, with "
            "op `dropped` or `converted` and the value `{steps: [{event, filters?}], window, step, within}`: how far "
            "attempts got that began in the last `within`."
        ),
        examples=[_EXAMPLE_RULES],
    ),
]
ContactIds = Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(max_length=_CONTACTS_AT_ONCE)]


class NewSegment(Body):
    """A segment by rules, or one whose members are listed by hand."""

    name: Annotated[Name, Field(examples=["Active Trial Users"])]
    type: Type = "dynamic"
    rules: Annotated[Rules | None, Field(description="What members fulfil; of a dynamic segment.")] = None
    contact_ids: Annotated[ContactIds, Field(description="The first members of a static segment.")] = Field(
        default_factory=list
    )

    @model_validator(mode="after")
    def _rules_or_members(self) -> "NewSegment":
        if self.type == "dynamic" and self.rules is None:
            raise ValueError("a dynamic segment needs rules")
        if self.type == "static" and self.rules is not None:
            raise ValueError("a static segment has no rules")
        if self.type == "dynamic" and self.contact_ids:
            raise ValueError("the members of a dynamic segment follow from its rules")
        return self


class SegmentPatch(Body):
    """What to change; fields that are not sent stay as they are."""

    name: Annotated[Name | None, NotNull] = None
    rules: Annotated[Rules | None, NotNull, Field(description="Replaces all rules.")] = None


class RulesBody(Body):
    """Rules to try."""

    rules: Rules


class MembersBody(Body):
    """Contacts to add to a static segment, or to take out."""

    contact_ids: Annotated[ContactIds, Field(min_length=1)]


class SegmentAnswer(Answer):
    """A segment with its count of members, which is exact once it is ready."""

    id: str = Field(examples=["seg_01j8x2m4k00000000000000000"])
    name: str
    type: Type
    rules: dict[str, Any] | None
    status: Status
    contact_count: int
    created_at: str
    updated_at: str


class MembersAnswer(Answer):
    """What became of the members asked for."""

    id: str
    changed: Annotated[int, Field(description="How many of the contacts now are as asked for.")]


class EstimateAnswer(Answer):
    """How many contacts the rules hold for now."""

    estimated_count: int
    total_contacts: int
    percentage: Annotated[float, Field(description="With one decimal.")]
    sampled: Annotated[bool, Field(description="True where a sample of 1,000 contacts was judged.")] = False


class ExplanationAnswer(Answer):
    """Why a contact is in a segment or not."""

    segment_id: str
    contact_id: str
    as_of: str
    member: bool
    leaves_at: Annotated[
        str | None,
        Field(description="The first millisecond at which time alone makes it leave; null if it never does."),
    ]
    enters_at: Annotated[str | None, Field(description="The same for entering.")]
    rules: Annotated[
        dict[str, Any] | None,
        Field(
            description=(
                "The rules as a tree: each node with `holds` and `flips_at`, conditions with `actual` and `evidence` "
                "(ids of events) too. Null where the segment is static."
            )
        ),
    ]


class RemovedAnswer(Answer):
    """What is gone."""

    id: str
    deleted: Literal[True] = True


def shown(segment: Segment, contact_count: int) -> SegmentAnswer:
    """The segment as its callers see it."""
    return SegmentAnswer(
        id=segment.id,
        name=segment.name,
        type=segment.type,
        rules=segment.rules,
        status=segment.status,
        contact_count=contact_count,
        created_at=iso(segment.created_at),
        updated_at=iso(segment.updated_at),
    )
