"""The settings as the API shows and takes them."""

import re
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, cast
from urllib.parse import urlsplit

import idna
from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema, field_validator, model_validator
from typing_extensions import TypedDict  # pydantic takes that of `typing` from Python 3.12 on only

from chalicelib.core import clock, strict_json
from chalicelib.core.bounds import has_control
from chalicelib.core.durations import parse_duration
from chalicelib.core.schema import Answer, Body, Instant, Line
from chalicelib.features.projects.model import DEFAULT_SCORING, NAME_MAX, ClockStatus, Plan, Project, parse_network

_DOMAIN = re.compile(
    r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+(?![0-9]+$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)
_LOCAL_PART = re.compile(r"(?=.{1,64}$)[^@\s\x00-\x1f\x7f\"(),:;<>\[\\\].]+(\.[^@\s\x00-\x1f\x7f\"(),:;<>\[\\\].]+)*")
_URL = re.compile(r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:[0-9]+)?(/[^\s?#\\]*)?", re.IGNORECASE)
_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_RELATIVE = re.compile(r"now[+-](.+)")
_ALLOWLIST_MAX = 100
_POINTS_MAX = 1_000
_VALUE_MAX = 1_024
"""Characters of text that a rule compares with."""

_VALUES_MAX = 500
_SCORING_MAX = 64 * 1024
"""Bytes of JSON of both scores: the project's row is read with every key."""

_NOW = "2026-02-23T12:00:00Z"
_VALUELESS = ("exists", "not_exists")
_ORDERED = ("gt", "gte", "lt", "lte")


@cache
def time_zones() -> frozenset[str]:
    """All names of the IANA database, of the version that ships with us: the same on every machine."""
    # Imported here: it costs a start more than all else in this file.
    from importlib import resources

    return frozenset((resources.files("tzdata") / "zones").read_text().split())


def _zone(text: str) -> str:
    if text not in time_zones():
        raise ValueError("This is not the name of an IANA time zone.")
    return text


def _email(text: str) -> str:
    local, _, domain = text.rpartition("@")
    if not _LOCAL_PART.fullmatch(local):
        raise ValueError("This is not an email address.")
    return f"{local}@{_domain(domain)}"


def _domain(text: str) -> str:
    ascii_form = _idna(text)
    if not _DOMAIN.fullmatch(ascii_form):
        raise ValueError("This is not a domain name.")
    return ascii_form


def _idna(text: str) -> str:
    try:
        return idna.encode(text, uts46=True).decode()
    except UnicodeError:
        raise ValueError("This is not a domain name.") from None


def _url(text: str) -> str:
    if not _URL.fullmatch(text) or has_control(text) or not _has_host(text):
        raise ValueError("This is not an http or https address without query and fragment.")
    return text


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_named = "[" in parts.netloc or bool(_idna(parts.hostname or ""))
        port = parts.port
    except ValueError:
        return False
    return is_named and port != 0


def _network(text: str) -> str:
    try:
        return str(parse_network(text)) if "/" in text else str(parse_network(text).network_address)
    except ValueError:
        raise ValueError("This is not an IPv4 or IPv6 address or CIDR block.") from None


def _half_life(text: str) -> str:
    if not clock.HOUR <= parse_duration(text) <= 3650 * clock.DAY:
        raise ValueError("A half-life is between 1 hour and 3650 days.")
    return text


def _duration(text: str | None) -> str | None:
    if text is not None:
        parse_duration(text)
    return text


def _lines(text: str) -> str:
    if not text.strip() or has_control(re.sub(r"\r?\n", " ", text)):
        raise ValueError("This must not be blank, nor have control characters but line breaks.")
    return text


def _rule_value(value: Any) -> Any:
    members = value if isinstance(value, list) else [value]
    if len(members) > _VALUES_MAX or not all(_is_scalar(member) for member in members):
        raise ValueError(
            f"A value is text of at most {_VALUE_MAX} characters, a number, true or false, "
            f"or a list of at most {_VALUES_MAX} of these."
        )
    return value


def _is_scalar(value: object) -> bool:
    return isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= _VALUE_MAX)


def _has_order(value: object) -> bool:
    """True for a number and for an instant, which may be relative: `now-7d`."""
    if not isinstance(value, str):
        return isinstance(value, int | float) and not isinstance(value, bool)
    relative = _RELATIVE.fullmatch(value)
    try:
        _ = parse_duration(relative[1]) if relative else clock.parse_instant(value)
    except ValueError:
        return False
    return True


_SCALARS: list[dict[str, Any]] = [
    {"type": "string", "maxLength": _VALUE_MAX},
    {"type": "number"},
    {"type": "boolean"},
]

Name = Annotated[Line, Field(min_length=1, max_length=NAME_MAX)]
Points = Annotated[int | float, Field(ge=-_POINTS_MAX, le=_POINTS_MAX)]
Network = Annotated[str, Field(max_length=64), AfterValidator(_network)]
Color = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$", examples=["#0b57d0"]), AfterValidator(str.lower)]
EventName = Annotated[Line, Field(min_length=1, max_length=256)]
Op = Literal["eq", "neq", "gt", "gte", "lt", "lte", "contains", "in", "exists", "not_exists"]
RuleValue = Annotated[
    Any,
    AfterValidator(_rule_value),
    WithJsonSchema({"anyOf": [*_SCALARS, {"type": "array", "maxItems": _VALUES_MAX, "items": {"anyOf": _SCALARS}}]}),
]


class QuietHoursBody(Body):
    """Local times between which no mail is sent; `end` may be on the next day."""

    start: Annotated[str, Field(pattern=_TIME, examples=["22:00"])]
    end: Annotated[str, Field(pattern=_TIME, examples=["08:00"])]

    @model_validator(mode="after")
    def _last_for_some_time(self) -> "QuietHoursBody":
        if self.start == self.end:
            raise ValueError("Start and end must differ.")
        return self


class TraitPoints(Body):
    """Points for a contact whose trait matches."""

    field: Annotated[Line, Field(min_length=1, max_length=256)]
    op: Op
    # Made by a factory so that the document shows no default: null is no value.
    value: RuleValue = Field(default_factory=lambda: None)
    points: Points

    @field_validator("value")
    @classmethod
    def _fits_the_op(cls, value: Any, info: ValidationInfo) -> Any:
        op = info.data.get("op")
        if op == "in" and not isinstance(value, list):
            raise ValueError("in takes a list of values.")
        if op in _ORDERED and not _has_order(value):
            raise ValueError(f"{op} takes a number, an ISO 8601 moment, or a relative one as now-7d.")
        return value

    @model_validator(mode="after")
    def _value_where_needed(self) -> "TraitPoints":
        if (self.op in _VALUELESS) == ("value" in self.model_fields_set):
            raise ValueError("exists and not_exists take no value; every other op needs one.")
        return self


class ScoreBody(Body):
    """How one score is made: points by event and by trait; those of events decay by half-life."""

    half_life: Annotated[str, Field(examples=["14d"]), AfterValidator(_half_life)]
    default_event: Annotated[Points, Field(description="Points of a tracked event that `events` does not name.")] = 0
    events: Annotated[dict[EventName, Points], Field(max_length=200)] = Field(default_factory=dict)
    traits: Annotated[list[TraitPoints], Field(max_length=100)] = Field(default_factory=list)


def _default_score(name: str) -> ScoreBody:
    return ScoreBody.model_validate(DEFAULT_SCORING[name])


class ScoringBody(Body):
    """Both scores; one that is left out has its defaults."""

    engagement: ScoreBody = Field(default_factory=lambda: _default_score("engagement"))
    lead: ScoreBody = Field(default_factory=lambda: _default_score("lead"))

    @model_validator(mode="after")
    def _bounded(self) -> "ScoringBody":
        if len(strict_json.dumps(self.model_dump(exclude_unset=True)).encode()) > _SCORING_MAX:
            raise ValueError(f"Both scores together have at most {_SCORING_MAX // 1024} KB.")
        return self


class SettingsPatch(Body):
    """What to change. `null` removes a value, or brings `scoring` back to its defaults."""

    name: Name = ""
    domain: Annotated[str, Field(max_length=253), AfterValidator(_domain)] | None = None
    timezone: Annotated[str, AfterValidator(_zone), Field(examples=["Europe/London"])] = ""
    default_from_email: Annotated[str, Field(max_length=254), AfterValidator(_email)] | None = None
    sender_name: Annotated[Line, Field(min_length=1, max_length=128)] | None = None
    postal_address: Annotated[str, Field(min_length=1, max_length=1_000), AfterValidator(_lines)] | None = None
    quiet_hours: QuietHoursBody | None = None
    ip_allowlist: Annotated[list[Network], Field(max_length=_ALLOWLIST_MAX)] | None = None
    referral_base_url: Annotated[str, Field(max_length=2048), AfterValidator(_url)] | None = None
    brand_color: Color | None = None
    scoring: ScoringBody | None = None


class TraitScore(TypedDict):
    """Points for a contact whose trait matches; `exists` and `not_exists` have no value."""

    field: str
    op: Op
    value: NotRequired[RuleValue]
    points: int | float


class Score(TypedDict):
    """How one score is made."""

    half_life: str
    default_event: int | float
    events: dict[str, int | float]
    traits: list[TraitScore]


class Scoring(TypedDict):
    """How both scores are made."""

    engagement: Score
    lead: Score


class QuietHoursShown(TypedDict):
    """Local times between which no mail is sent."""

    start: str
    end: str


class SettingsView(Answer):
    """The settings of the project."""

    project_id: str
    name: str
    mode: Literal["live", "test"]
    plan: Plan
    domain: str | None
    timezone: str
    default_from_email: str | None
    sender_name: str | None
    postal_address: str | None
    quiet_hours: QuietHoursShown | None
    ip_allowlist: list[str]
    referral_base_url: str | None
    brand_color: Annotated[str | None, Field(description="Of the pages that people see: surveys, unsubscribing.")]
    scoring: Scoring
    created_at: str


def view(project: Project) -> SettingsView:
    """The settings as an answer."""
    quiet = project.quiet_hours
    return SettingsView(
        project_id=project.id,
        name=project.name,
        mode=project.mode,
        plan=project.plan,
        domain=project.domain,
        timezone=project.timezone,
        default_from_email=project.default_from_email,
        sender_name=project.sender_name,
        postal_address=project.postal_address,
        quiet_hours=QuietHoursShown(start=quiet.start, end=quiet.end) if quiet else None,
        ip_allowlist=list(project.ip_allowlist),
        referral_base_url=project.referral_base_url,
        brand_color=project.brand_color,
        scoring=cast("Scoring", project.scoring),
        created_at=clock.iso(project.created_at),
    )


class ClockView(Answer):
    """The clock of a test project."""

    now: Annotated[str, Field(description="Where the clock stands; it moves while it is advancing.", examples=[_NOW])]
    status: Annotated[ClockStatus, Field(description="`ready` once everything that fell due has run.")]


class AdvanceBody(Body):
    """How far to move the clock: `to` a moment, or `by` a duration. Exactly one of the two."""

    to: Annotated[Instant | None, Field(description="Not before `now`.", examples=[_NOW])] = None
    by: Annotated[
        str | None,
        Field(description="A whole number and one of s, m, h, d, w.", examples=["5d"]),
        AfterValidator(_duration),
    ] = None

    @model_validator(mode="after")
    def _is_one(self) -> "AdvanceBody":
        if (self.to is None) == (self.by is None):
            raise ValueError("Give either to or by.")
        return self


def clock_view(now: int, status: ClockStatus) -> ClockView:
    """The clock as an answer."""
    return ClockView(now=clock.iso(now), status=status)
