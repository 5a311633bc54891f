"""Public verbs of the analytics feature: definitions of funnels and cohorts."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chalicelib.core import ids
from chalicelib.core.errors import Conflict, NotFound, ValidationFailed, detail
from chalicelib.features.analytics import store
from chalicelib.features.analytics.model import DEFAULT_PERIODS, MAX_DEFINITIONS, Definition, Kind
from chalicelib.platform import cursor, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.platform.retries import retried
from chalicelib.platform.table import ConditionFailed

_PREFIXES: Mapping[Kind, str] = {"funnel": "fnl", "cohort": "chrt"}
_NAME_MAX = 128
_WITHIN = "30d"
"""A segment of a funnel has those who began so long ago at the most: of whom the funnel tells by itself."""


def get(tenant: Tenant, kind: Kind, ident: str) -> Definition:
    """The definition. Raises NotFound."""
    found = store.load(tenant, kind, ident)
    if found is None:
        raise NotFound(f"There is no such {kind}.")
    return found


def listing(tenant: Tenant, kind: Kind, limit: int, after: str | None) -> tuple[list[Definition], str | None]:
    """One page, newest first, and the cursor of the next one. Raises BadRequest on a foreign cursor."""
    endpoint = f"analytics.{kind}s"
    position = None if after is None else cursor.decode(after, tenant, endpoint, {})
    rows = store.newest(tenant, kind, limit + 1, position)
    following = cursor.encode(tenant, endpoint, {}, rows[limit - 1].id) if len(rows) > limit else None
    return rows[:limit], following


def create(tenant: Tenant, kind: Kind, name: str, fields: Mapping[str, Any], now: int, receipt: Receipt) -> Definition:
    """A new definition. Raises Conflict where the project has too many."""
    from chalicelib.features.analytics.schemas import shown

    made = Definition(ids.new_id(_PREFIXES[kind]), kind, name, _whole(kind, fields), now, now)
    if store.count(tenant, kind, MAX_DEFINITIONS) >= MAX_DEFINITIONS:
        raise Conflict(f"A project has at most {MAX_DEFINITIONS:,} {kind}s.")
    receipt.commit([store.put(tenant, made)], 201, shown(made))
    return made


def update(tenant: Tenant, kind: Kind, ident: str, name: str | None, fields: Mapping[str, Any], now: int) -> Definition:
    """Change a definition. Raises NotFound."""

    def write() -> Definition:
        before = get(tenant, kind, ident)
        changed = _whole(kind, dict(before.fields) | dict(fields))
        after = replace(before, name=name or before.name, fields=changed)
        if after == before:
            return before
        after = replace(after, updated_at=now, version=before.version + 1)
        table.write(store.put(tenant, after))
        return after

    return retried(write)


def remove(tenant: Tenant, kind: Kind, ident: str) -> None:
    """Delete the definition. Raises NotFound."""
    try:
        table.write(store.remove(tenant, kind, ident))
    except ConditionFailed:
        raise NotFound(f"There is no such {kind}.") from None


def segment_of(funnel: Definition, step: int, outcome: str) -> tuple[str, dict[str, Any]]:
    """Name and rules of the segment of those who stopped at a step of the funnel (`dropped`) or reached it
    (`converted`).

    It has the steps as they are now. Raises ValidationFailed.
    """
    steps = funnel.fields["steps"]
    most = len(steps) - (outcome == "dropped")
    if step > most:
        told = f"The funnel has {len(steps)} steps" + (", and nobody stops at the last." if step == len(steps) else ".")
        raise ValidationFailed("There is no such segment.", details=[detail("step", "range", told)])
    value = {"steps": steps, "window": funnel.fields["window"], "step": step, "within": _WITHIN}
    verb = "dropped at" if outcome == "dropped" else "reached"
    name = f"{funnel.name}: {verb} step {step} ({steps[step - 1]['event']})"
    rules = {"operator": "AND", "conditions": [{"field": "funnel", "op": outcome, "value": value}]}
    return name[:_NAME_MAX], rules


def _whole(kind: Kind, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, with what follows where a caller left it out."""
    if kind == "funnel":
        return dict(fields)
    return {"periods": DEFAULT_PERIODS[fields["interval"]]} | dict(fields)
