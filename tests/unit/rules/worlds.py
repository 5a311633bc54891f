"""Random contacts and rules over them. Moments in ms, crowded around NOW so that edges meet."""

from typing import Any

from hypothesis import strategies as st

from chalicelib.core import scoring
from chalicelib.core.clock import parse_instant
from chalicelib.core.rules.compiled import Rules, compile_rules
from chalicelib.core.rules.facts import Event, Facts, History
from chalicelib.core.rules.parse import parse
from tests.unit.rules.oracle import Happened, Person, moment_of, text_of

NOW = parse_instant("2026-02-23T10:00:00Z")
STATIC, INNER, OUTER, UNKNOWN = (f"seg_01j00000000000000000000{n:03d}" for n in range(4))
CAMPAIGN = "cmpgn_01j00000000000000000000000"

WINDOWS = ("1s", "3s", "1m", "2m", "1h")
RELATIVES = ("now", "now-1s", "now-3s", "now+2s", "now-1m", "now+1m", "now-7d")
NAMES = ("login", "paid.twice")
ORDER = ("gt", "gte", "lt", "lte")

MOMENTS = st.builds(
    lambda seconds, jitter: NOW + 1_000 * seconds + jitter,
    st.sampled_from((-200, -120, -62, -60, -59, -5, -3, -2, -1, 0, 1, 2, 3, 60)),
    st.sampled_from((-1, 0, 0, 0, 1, 499)),
)
ISO = MOMENTS.map(text_of) | st.sampled_from(("2026-02-23", "2026-02-23T12:00:00+02:00", "2026-02-23T09:59:59.999"))
SCALARS = st.sampled_from((0, 1, 1.0, 2, -1, 2.5, True, False, "a", "Ab", "cab", "1", ""))
VALUES = (
    SCALARS
    | ISO
    | st.sampled_from(([1, "a"], [True], [1.0, "a"], [], ["Ab", 2], {"b": 1}, {"b": [1, {"c": None}]}, [[1]]))
)
TRAITS = st.fixed_dictionaries(
    {},
    optional={
        "x": VALUES,
        "y": VALUES,
        "a": st.sampled_from(({"b": 2}, {"b": {"c": "Ab"}}, {"b.c": 1}, {"b": None}, 1)),
        "a.b": VALUES,
    },
)
EVENTS = st.lists(
    st.tuples(st.sampled_from(NAMES), MOMENTS, st.fixed_dictionaries({}, optional={"p": VALUES, "q": SCALARS | ISO})),
    max_size=8,
).map(lambda drawn: [Happened(f"evt_{n}", *one, received=-n % 5) for n, one in enumerate(drawn)])

NUMBERS = st.sampled_from((0, 0.5, 4.5, 7, 12.25, 33.5, 100))


def _score_settings(points: st.SearchStrategy[int]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "half_life": st.sampled_from(("60s", "1h")),
            "events": st.fixed_dictionaries({"login": points, "paid.twice": points}),
            "traits": st.lists(
                st.sampled_from(
                    (
                        {"field": "traits.x", "op": "exists", "points": 10},
                        {"field": "created_at", "op": "gte", "value": "now-1m", "points": 30},
                        {"field": "traits.y", "op": "lt", "value": "now-3s", "points": -5},
                    )
                ),
                max_size=2,
                unique_by=lambda rule: rule["points"],
            ),
        }
    )


SCORING = st.fixed_dictionaries(
    {
        "engagement": _score_settings(st.sampled_from((5, 8, 40))),
        "lead": _score_settings(st.sampled_from((0, 3, -6, 17))),
    }
)


def _condition(field: Any, op: Any, value: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    fields = st.sampled_from(field) if isinstance(field, tuple) else st.just(field)
    return st.fixed_dictionaries({"field": fields, "op": st.sampled_from(op), "value": value})


def _presence(field: Any) -> st.SearchStrategy[dict[str, Any]]:
    fields = st.sampled_from(field) if isinstance(field, tuple) else st.just(field)
    return st.fixed_dictionaries({"field": fields, "op": st.sampled_from(("exists", "not_exists"))})


def _any_value(fields: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """Conditions with each op that a trait or a property takes."""
    return (
        _condition(fields, ("eq", "neq"), VALUES)
        | _condition(fields, ORDER, SCALARS.filter(lambda one: type(one) in (int, float)) | ISO)
        | _condition(fields, ORDER, st.sampled_from(RELATIVES))
        | _condition(fields, ("in",), st.lists(SCALARS, min_size=1, max_size=3))
        | _condition(fields, ("contains",), SCALARS)
        | _presence(fields)
    )


WHERE = st.lists(_any_value(("properties.p", "properties.q")), min_size=1, max_size=2)
EVENT_FIELDS = tuple(f"events.{name}" for name in (*NAMES, "never"))
COUNTS = st.fixed_dictionaries(
    {
        "field": st.sampled_from(EVENT_FIELDS),
        "op": st.sampled_from(("count_gte", "count_lte")),
        "value": st.sampled_from((0, 1, 1, 2, 2, 3, 5)),
    },
    optional={"window": st.sampled_from(WINDOWS), "where": WHERE},
)
STEPS = st.fixed_dictionaries(
    {"event": st.sampled_from(NAMES)},
    optional={
        "filters": st.dictionaries(
            st.sampled_from(("properties.p", "properties.q", "traits.x", "traits.a.b")),
            st.lists(SCALARS, min_size=1, max_size=5) | SCALARS,
            min_size=1,
            max_size=1,
        )
    },
)


def _funnel(steps: list[dict[str, Any]], op: str, place: int, window: str, within: str) -> dict[str, Any]:
    step = 1 + place % (len(steps) - (op == "dropped"))
    return {
        "field": "funnel",
        "op": op,
        "value": {"steps": steps, "window": window, "step": step, "within": within},
    }


FUNNELS = st.builds(
    _funnel,
    st.lists(STEPS | st.sampled_from(NAMES).map(lambda name: {"event": name}), min_size=2, max_size=4),
    st.sampled_from(("converted", "dropped", "dropped")),
    st.integers(0, 3),
    st.sampled_from(WINDOWS),
    st.sampled_from(WINDOWS),
)
MOMENT_FIELDS = ("created_at", "last_seen_at")
NUMBER_FIELDS = ("last_nps_score", "referral_stats.conversions")
SCORE_FIELDS = ("scores.engagement", "scores.lead")
LEAVES = st.one_of(
    COUNTS,
    COUNTS,
    FUNNELS,
    _presence((*EVENT_FIELDS, "email", "tags", "last_seen_at", "last_nps_score", "scores.lead")),
    _condition(MOMENT_FIELDS, ORDER, st.sampled_from(RELATIVES)),
    _condition(MOMENT_FIELDS, (*ORDER, "eq", "neq"), ISO),
    _any_value(("traits.x", "traits.y", "traits.a.b", "traits.a.b.c")),
    _condition(SCORE_FIELDS, (*ORDER, "eq", "neq"), NUMBERS),
    _condition((*SCORE_FIELDS, *NUMBER_FIELDS), ("in",), st.lists(NUMBERS, min_size=1, max_size=3)),
    _condition(NUMBER_FIELDS, (*ORDER, "eq", "neq"), NUMBERS),
    _condition("email", ("eq", "neq", "contains"), st.sampled_from(("a@b.example", "B.EX", "", "z"))),
    _condition("tags", ("contains", "eq", "neq"), st.sampled_from(("vip", "Vip", ["vip"]))).filter(
        lambda rule: rule["op"] != "contains" or isinstance(rule["value"], str)
    ),
    _condition(f"campaigns.{CAMPAIGN}", ("in",), st.lists(st.sampled_from(("sent", "opened", "clicked")), min_size=1)),
)
NAMED = st.sampled_from((STATIC, INNER, OUTER, UNKNOWN))
MEMBERSHIPS = _condition("segments", ("contains",), NAMED) | _condition(
    "segments", ("in",), st.lists(NAMED, min_size=1)
)
INNERMOST = _condition("segments", ("contains",), st.sampled_from((STATIC, INNER)))


def _groups(leaves: st.SearchStrategy[dict[str, Any]], *, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    children = leaves if depth == 1 else leaves | _groups(leaves, depth=depth - 1)
    several = st.fixed_dictionaries(
        {"operator": st.sampled_from(("AND", "OR")), "conditions": st.lists(children, min_size=1, max_size=3)}
    )
    return several | st.fixed_dictionaries(
        {"operator": st.just("NOT"), "conditions": st.lists(children, min_size=1, max_size=1)}
    )


RULES = _groups(LEAVES | LEAVES | LEAVES | MEMBERSHIPS, depth=3)
PEOPLE = st.builds(
    Person,
    fields=st.fixed_dictionaries(
        {
            "created_at": MOMENTS.map(text_of),
            "email": st.sampled_from((None, "a@b.example")),
            "tags": st.sampled_from(([], ["vip"], ["vip", "new"])),
        },
        optional={
            "last_seen_at": MOMENTS.map(text_of),
            "last_nps_score": st.sampled_from((0, 7, 10)),
            "referral_stats.conversions": st.sampled_from((0, 7)),
        },
    ),
    traits=TRAITS,
    events=EVENTS,
    campaigns=st.sampled_from(({}, {CAMPAIGN: {"sent"}}, {CAMPAIGN: {"sent", "clicked"}})),
    segments=st.fixed_dictionaries(
        {
            STATIC: st.booleans(),
            INNER: _groups(LEAVES, depth=1),
            OUTER: _groups(LEAVES | INNERMOST, depth=1),
        }
    ),
    scoring=SCORING,
)


def compiled(raw: dict[str, Any]) -> Rules:
    """What the engine makes of raw rules."""
    return compile_rules(parse(raw))


def facts(person: Person, *, events: list[Happened] | None = None) -> Facts:
    """What the engine is told of a contact; `events` in place of all."""
    told = person.events if events is None else events
    names = {event.name for event in told}
    conversions = person.fields.get("referral_stats.conversions")
    return Facts(
        email=person.fields.get("email"),
        created_at=_moment(person, "created_at"),
        last_seen_at=_moment(person, "last_seen_at"),
        tags=person.fields.get("tags", []),
        traits=person.traits,
        referral_stats={} if conversions is None else {"conversions": conversions},
        last_nps_score=person.fields.get("last_nps_score"),
        campaigns=person.campaigns,
        events={name: History(as_event(one) for one in told if one.name == name) for name in names},
        scores={name: _score(person, settings) for name, settings in person.scoring.items()},
        segments={
            segment_id: compiled(rules) if isinstance(rules, dict) else rules
            for segment_id, rules in person.segments.items()
        },
    )


def as_event(event: Happened) -> Event:
    """The engine's event."""
    return Event(event.id, event.at, event.properties, event.received)


def _score(person: Person, settings: dict[str, Any]) -> scoring.Score:
    scale = scoring.compile_scale(settings)
    state: scoring.State = {}
    for event in person.events:
        points = scoring.points_of(event.name, "track", settings)
        state = scoring.add(state, points, event.at, scale.half_life)
    return scoring.Score(scale, state)


def _moment(person: Person, name: str) -> int | None:
    text = person.fields.get(name)
    return None if text is None else moment_of(text)
