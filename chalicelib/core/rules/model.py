"""The parsed rule tree, and what a field is."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Operator = Literal["AND", "OR", "NOT"]
Kind = Literal[
    "text", "moment", "tags", "trait", "property", "event", "score", "number", "segments", "campaign", "cause", "funnel"
]

OPERATORS: tuple[Operator, ...] = ("AND", "OR", "NOT")
EQUALITY = frozenset({"eq", "neq"})
ORDER = frozenset({"gt", "gte", "lt", "lte"})
PRESENCE = frozenset({"exists", "not_exists"})
COUNTS = frozenset({"count_gte", "count_lte"})
FUNNEL = frozenset({"converted", "dropped"})
_MEMBERS = frozenset({"contains", "in"})
_NUMERIC = EQUALITY | ORDER | PRESENCE | {"in"}
_ANY_VALUE = EQUALITY | ORDER | PRESENCE | _MEMBERS
OPS = _ANY_VALUE | COUNTS | FUNNEL

OPS_OF: dict[Kind, frozenset[str]] = {
    "text": EQUALITY | PRESENCE | _MEMBERS,
    "moment": EQUALITY | ORDER | PRESENCE,
    "tags": EQUALITY | PRESENCE | _MEMBERS,
    "trait": _ANY_VALUE,
    "property": _ANY_VALUE,
    "event": PRESENCE | COUNTS,
    "score": _NUMERIC,
    "number": _NUMERIC,
    "segments": _MEMBERS,
    "campaign": frozenset({"in"}),
    "cause": _ANY_VALUE,
    "funnel": FUNNEL,
}
"""Which ops fit which kind of field."""

CAMPAIGN_STEPS = ("sent", "opened", "clicked")
"""What `campaigns.<id>` can be asked for, in the order in which it happens."""

_PLAIN: dict[str, Kind] = {
    "email": "text",
    "external_id": "text",
    "created_at": "moment",
    "last_seen_at": "moment",
    "tags": "tags",
    "scores.engagement": "score",
    "scores.lead": "score",
    "referral_stats.referrals_made": "number",
    "referral_stats.conversions": "number",
    "last_nps_score": "number",
    "last_csat_score": "number",
    "segments": "segments",
    "funnel": "funnel",
}
_PREFIXED: dict[str, Kind] = {"traits": "trait", "events": "event", "campaigns": "campaign"}
_CAUSE = "event.properties."


class Field(NamedTuple):
    """`name` is what follows the first dot: a trait's path, an event's name; the whole field where it has no dot."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Condition:
    """One test. `value` and `window` (`7d`) are as the caller wrote them, and checked.

    `where` tests the properties of the events that are counted, all of which must hold.
    """

    field: str
    op: str
    value: Any = None
    window: str | None = None
    where: tuple["Condition", ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions and groups under AND, OR, or NOT over exactly one."""

    operator: Operator
    conditions: tuple["Group | Condition", ...]


def field_of(text: str) -> Field | None:
    """What a condition's `field` names; None where there is no such field."""
    head, _, rest = text.partition(".")
    kind = _PLAIN.get(text)
    if kind is not None:
        return Field(kind, rest or head)
    if text.startswith(_CAUSE):
        return Field("cause", text.removeprefix(_CAUSE)) if text != _CAUSE else None
    kind = _PREFIXED.get(head)
    return Field(kind, rest) if kind is not None and rest else None


def property_of(text: str) -> Field | None:
    """What the `field` of a `where` condition names: `properties.<path>`; None where it is none."""
    head, _, rest = text.partition(".")
    return Field("property", rest) if head == "properties" and rest else None
