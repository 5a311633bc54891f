"""Questions as SQL over the lake's tables. Pure.

The tables are `events`, `people` (compacted), `recent_events`, `recent_people` (not yet: each event, and each contact
in its latest state, once) and `moved` (whose events are those of another contact, or nobody's).
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from chalicelib.core.flat import number_text
from chalicelib.features.analytics.buckets import key_of, reach
from chalicelib.features.analytics.model import (
    CohortQuestion,
    Figures,
    Filter,
    FunnelQuestion,
    Path,
    Question,
    Scalar,
    Series,
    Step,
)
from chalicelib.features.analytics.statement import JsonPath, Sql, Statement, Value, fill, joined, listed, of_file

TOP_GROUPS = 50

_TYPED = re.compile(r"true|false|-?[0-9].*", re.DOTALL)
"""Texts that a number, or true and false, are told by too."""

_MOMENT = Sql("h.ts")
_NONE = Sql("CAST(NULL AS VARCHAR)")
_PERSONS = Sql("LEFT JOIN persons p ON p.contact_id = h.contact_id")
_ALL = Sql("1 = 1")


class Recent(NamedTuple):
    """The span of the timestamps of events that are not yet compacted, in ms, both ends included."""

    since: int
    until: int


def statement(project_id: str, question: Question, as_of: int, recent: Recent | None) -> Statement:
    """The query that answers the question; `recent` is None where the project has nothing that is not compacted."""
    if isinstance(question, Series):
        return _series(project_id, question, recent)
    if isinstance(question, FunnelQuestion):
        return _funnel(project_id, question, as_of, recent)
    if isinstance(question, Figures):
        return _figures(project_id, question, recent)
    return _cohort(project_id, question, recent)


def until_of(question: Question) -> int:
    """The moment before which lie all events that matter to the question."""
    if isinstance(question, FunnelQuestion):
        return question.span.until + question.window + 1
    return (reach(question) if isinstance(question, CohortQuestion) else question.span).until


def _series(project_id: str, question: Series, recent: Recent | None) -> Statement:
    wanted = [question.event] if question.event is not None else None
    paths = [*(each.path for each in question.filters), *([question.group_by] if question.group_by else [])]
    label = _NONE if question.group_by is None else _scalar(question.group_by)
    chosen = of_file(
        "chosen",
        bucket=key_of(question.interval, question.span, _MOMENT),
        label=label,
        persons=_joining(paths),
        filters=_all(_holds(each) for each in question.filters),
    )
    measure = Sql("COUNT(*)" if question.measure == "event_count" else "COUNT(DISTINCT c.contact_id)")
    tables = _sources(project_id, wanted, question.span.since, question.span.until, recent, paths) | {"chosen": chosen}
    if question.group_by is None:
        return Statement(tables, of_file("series", measure=measure))
    tables["places"] = of_file("places", measure=measure)
    return Statement(tables, of_file("grouped", measure=measure, most=TOP_GROUPS))


def _funnel(project_id: str, question: FunnelQuestion, as_of: int, recent: Recent | None) -> Statement:
    steps, count = question.steps, len(question.steps)
    paths = [each.path for step in steps for each in step.filters]
    span = question.span
    conditions = [_fulfils(step) for step in steps]
    # Only the first step has to lie within the range.
    starts = fill("({is_step} AND h.ts < :until)", is_step=conditions[0], until=span.until)
    flags = [
        fill(f"CASE WHEN {{is_step}} THEN 1 ELSE 0 END AS s{n}", is_step=each)
        for n, each in enumerate([starts, *conditions[1:]], 1)
    ]
    tables = _sources(project_id, [step.event for step in steps], span.since, until_of(question), recent, paths)
    any_step = joined(conditions, " OR ")
    tables["steps"] = of_file("steps", flags=joined(flags, ", "), persons=_joining(paths), any_step=any_step)
    before = "steps"
    for k in range(count - 1, 0, -1):
        tables[f"level{k}"] = _level(k, count, Sql(before))
        before = f"level{k}"
    reached = Sql(", ".join(["ts AS r1", *(f"r{j}" for j in range(2, count + 1))]))
    gets = [fill(f"CASE WHEN r{j} <= ts + :window THEN 1 ELSE 0 END", window=question.window) for j in _later(count)]
    tables["attempts"] = of_file(
        "attempts", reached=reached, depth=joined([Sql("1"), *gets], " + "), before=Sql(before)
    )
    soonest = Sql(", ".join(f"MIN(r{j}) AS r{j}" for j in range(1, count + 1)))
    tables["furthest"] = of_file("furthest", soonest=soonest)
    tables["best"] = of_file("best")
    gaps = [f"SELECT {j} AS step, r{j} - r{j - 1} AS gap FROM best WHERE depth >= {j}" for j in _later(count)]
    none = "SELECT 1 AS step, r1 AS gap FROM best WHERE depth < 1"
    told = of_file("funnel", window=question.window, as_of=as_of, gaps=Sql(" UNION ALL ".join(gaps or [none])))
    return Statement(tables, told)


def _level(k: int, count: int, before: Sql) -> Sql:
    soonest = [f"MIN(CASE WHEN s{k + 1} = 1 THEN ts END) OVER later AS r{k + 1}"]
    soonest += [f"MIN(CASE WHEN s{k + 1} = 1 THEN r{j} END) OVER later AS r{j}" for j in range(k + 2, count + 1)]
    return of_file(
        "level",
        flags=Sql(", ".join(f"s{n}" for n in range(1, k + 1))),
        reached=Sql(", ".join(soonest)),
        before=before,
        needed=Sql(" OR ".join(f"s{n} = 1" for n in range(1, k + 2))),
    )


def _cohort(project_id: str, question: CohortQuestion, recent: Recent | None) -> Statement:
    span, reached = question.span, reach(question)
    paths = [each.path for step in (question.entry, question.comeback) for each in step.filters]
    wanted = [question.entry.event, question.comeback.event]
    tables = _sources(project_id, wanted, span.since, reached.until, recent, paths)
    tables["entries"] = of_file(
        "entries",
        bucket=key_of(question.interval, reached, Sql("ts")),
        persons=_joining(paths),
        since=span.since,
        until=span.until,
        is_entry=_fulfils(question.entry),
    )
    tables["comebacks"] = of_file(
        "comebacks",
        bucket=key_of(question.interval, reached, _MOMENT),
        persons=_joining(paths),
        is_comeback=_fulfils(question.comeback),
    )
    return Statement(tables, of_file("cohort"))


def _figures(project_id: str, question: Figures, recent: Recent | None) -> Statement:
    tables = _sources(project_id, None, question.span.since, question.span.until, recent, [])
    moments = {"month_ago": question.month_ago, "first_day": question.first_day, "today": question.today}
    return Statement(tables, of_file("figures", **moments))


def _sources(
    project_id: str, wanted: Sequence[str] | None, since: int, until: int, recent: Recent | None, paths: Iterable[Path]
) -> dict[str, Sql]:
    """The tables that all questions begin with: the events of these names and this time, and the contacts."""
    chosen = Sql("type <> 'system'")
    if wanted is not None:
        chosen = fill("event IN {names}", names=listed(list(dict.fromkeys(wanted))))
    bounds: dict[str, Value] = {"project": project_id, "since": since, "until": until}
    if recent is None:
        tables = {"history": of_file("history_settled", chosen=chosen, **bounds)}
    else:
        of_recent = {"recent_since": recent.since, "recent_until": recent.until}
        tables = {"history": of_file("history", chosen=chosen, **bounds, **of_recent)}
    if any(path.place == "traits" for path in paths):
        tables["persons"] = of_file("persons", project=project_id)
    return tables


def _joining(paths: Iterable[Path]) -> Sql:
    return _PERSONS if any(path.place == "traits" for path in paths) else Sql("")


def _fulfils(step: Step) -> Sql:
    return _all([fill("h.event = :name", name=step.event), *(_holds(each) for each in step.filters)])


def _all(conditions: Iterable[Sql]) -> Sql:
    some = list(conditions)
    return fill("({all})", all=joined(some, " AND ")) if some else _ALL


def _holds(one: Filter) -> Sql:
    """The filter. A value that only by its type differs from another one's text is looked at with its quotes, too."""
    plain, quoted, bare = _sorted_out(one.values)
    told, document, path = _scalar(one.path), _document(one.path), JsonPath(one.path.name)
    has_quotes = fill("json_format(json_extract({doc}, :path)) LIKE '\"%'", doc=document, path=path)
    cases = []
    if plain:
        cases.append(fill("{told} IN {values}", told=told, values=listed(plain)))
    if quoted:
        cases.append(fill("({told} IN {values} AND {q})", told=told, values=listed(quoted), q=has_quotes))
    if bare:
        cases.append(fill("({told} IN {values} AND NOT {q})", told=told, values=listed(bare), q=has_quotes))
    return fill("({any})", any=joined(cases, " OR "))


def _sorted_out(values: Iterable[Scalar]) -> tuple[list[str], list[str], list[str]]:
    """Texts that nothing else is told by, texts that look like another type, and what is no text."""
    plain: list[str] = []
    quoted: list[str] = []
    bare: list[str] = []
    for value in values:
        if isinstance(value, str):
            (quoted if _TYPED.fullmatch(value) else plain).append(value)
        elif isinstance(value, bool):
            bare.append("true" if value else "false")
        else:
            bare.append(number_text(value))
    return plain, quoted, bare


def _scalar(path: Path) -> Sql:
    return fill("json_extract_scalar({doc}, :path)", doc=_document(path), path=JsonPath(path.name))


def _document(path: Path) -> Sql:
    return Sql("p.traits" if path.place == "traits" else "h.properties")


def _later(count: int) -> range:
    return range(2, count + 1)
