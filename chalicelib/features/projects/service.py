"""Projects: made by an operator, changed by their owners, and the source of `now`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from chalicelib.core import clock, events, ids, strict_json
from chalicelib.core.durations import parse_duration
from chalicelib.core.errors import Conflict, Detail, NotFound, Unavailable, ValidationFailed, detail
from chalicelib.features.projects import store
from chalicelib.features.projects.model import (
    DEFAULT_SCORING,
    NAME_MAX,
    ClockState,
    Mode,
    Plan,
    Project,
    QuietHours,
    is_name,
)
from chalicelib.platform import outbox, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.table import ConditionFailed, Item, Op

if TYPE_CHECKING:
    # Workers ask for `now` only, and pydantic is a third of their start.
    from chalicelib.features.projects.schemas import AdvanceBody, ClockView, ScoringBody, SettingsPatch

_ATTEMPTS = 10

ADVANCE_MAX = 3660 * clock.DAY
"""Milliseconds that one advance moves a test project's clock at the most."""


def check_new(name: object, mode: object, plan: object) -> None:
    """Raises ValidationFailed with every fault of what an operator gave for a new project."""
    faults: list[Detail] = []
    if not isinstance(name, str) or not is_name(name):
        message = f"A name is 1 to {NAME_MAX} characters of UTF-8, not blank and without control characters."
        faults.append(detail("name", "invalid", message))
    for field, value, known in (("mode", mode, get_args(Mode)), ("plan", plan, get_args(Plan))):
        if value not in known:
            faults.append(detail(field, "unknown", f"One of {', '.join(known)}."))
    if faults:
        raise ValidationFailed("The project can't be made like this.", details=faults)


def creation(project: Project) -> list[Op]:
    """The rows of a new project, for the transaction that makes it."""
    return store.creation(project)


def find(tenant: Tenant) -> Project | None:
    """The project, or None."""
    return store.load(tenant)


def get(tenant: Tenant) -> Project:
    """The project. Raises NotFound."""
    project = store.load(tenant)
    if project is None:
        raise NotFound("There is no such project.")
    return project


def now(tenant: Tenant) -> int:
    """The project's moment in milliseconds: the real one, or where the clock of a test project stands.

    Raises NotFound where there is no such test project.
    """
    return test_clock(tenant).now if tenant.is_test else clock.system_ms()


def test_clock(tenant: Tenant) -> ClockState:
    """The project's clock, read consistently. Raises NotFound where the project is none for tests."""
    found = store.read_clock(tenant) if tenant.is_test else None
    if found is None:
        raise NotFound("There is no such test project.")
    return found


def ask_to_advance(tenant: Tenant, body: "AdvanceBody", receipt: Receipt) -> "ClockView":
    """Set the clock on its way, and tell the bus of it; returns what the caller is answered.

    Raises NotFound, Conflict where it is advancing already, ValidationFailed where it can't go there.
    """
    from chalicelib.features.projects.schemas import clock_view

    before = test_clock(tenant)
    if before.status == "advancing":
        raise Conflict("The clock is advancing. Wait until it is ready.")
    target = _target(before.now, body)
    after = replace(before, status="advancing", target=target, advance_id=ids.new_ulid(), version=before.version + 1)
    told = outbox.emit(tenant, events.CLOCK_ADVANCE_ASKED, {"advance_id": after.advance_id}, before.now)
    answer = clock_view(before.now, "advancing")
    try:
        receipt.commit([store.clock_op(tenant, after), told], 200, answer.model_dump(mode="json"), outlives_clock=True)
    except ConditionFailed:
        raise Conflict("The clock is advancing. Wait until it is ready.") from None
    return answer


def move_clock(tenant: Tenant, before: ClockState, now: int) -> ClockState:
    """Move an advancing clock on to `now`. Raises ConditionFailed where it was changed since it was read."""
    after = replace(before, now=now, version=before.version + 1)
    table.write(store.clock_op(tenant, after))
    return after


def stop_clock(tenant: Tenant, before: ClockState) -> None:
    """Let an advancing clock arrive at its target. Raises ConditionFailed as `move_clock`."""
    arrived = ClockState(now=before.target or before.now, version=before.version + 1)
    table.write(store.clock_op(tenant, arrived))


def _target(now: int, body: "AdvanceBody") -> int:
    field = "to" if body.to is not None else "by"
    target = body.to if body.to is not None else now + parse_duration(body.by or "")
    if target < now:
        raise _unreachable(field, "in_the_past", "The clock moves forward only.")
    if target > min(now + ADVANCE_MAX, clock.LAST_MOMENT):
        raise _unreachable(field, "too_far", f"The clock moves by {ADVANCE_MAX // clock.DAY} days at the most.")
    return target


def _unreachable(field: str, reason: str, message: str) -> ValidationFailed:
    return ValidationFailed("The clock can't go there.", details=[detail(field, reason, message)])


def update(tenant: Tenant, patch: "SettingsPatch") -> Project:
    """Change what the patch holds; a lost race is tried again on what the other one wrote."""
    for _ in range(_ATTEMPTS):
        before = get(tenant)
        after = replace(before, **_changes(patch), version=before.version + 1)
        ops = [store.replace(after, before.version)]
        # As JSON: True and 1 are equal in Python and different rules.
        if strict_json.dumps(after.scoring) != strict_json.dumps(before.scoring):
            after = replace(after, scoring_version=before.scoring_version + 1)
            told = {"scoring_version": after.scoring_version}
            ops = [store.replace(after, before.version), outbox.emit(tenant, events.SCORING_CHANGED, told, now(tenant))]
        try:
            table.transact(ops)
        except ConditionFailed:
            continue
        return after
    raise Unavailable


@dataclass(frozen=True, slots=True)
class Scoring:
    """How a project's scores are made: each score's settings by its name, and which change of them this is."""

    version: int
    settings: Mapping[str, Any]


def key(tenant: Tenant) -> Key:
    """The project's row."""
    return tenant.project()


def read(tenant: Tenant, item: Item | None) -> Project:
    """The project that the row stands for. Raises NotFound where there is none."""
    if item is None:
        raise NotFound("There is no such project.")
    return store.project(tenant, item)


def scoring(item: Item | None) -> Scoring:
    """The scoring settings that the project's row holds; the defaults where there is no row."""
    return Scoring(1, DEFAULT_SCORING) if item is None else Scoring(item["scoring_version"], store.scoring(item))


def _changes(patch: "SettingsPatch") -> dict[str, Any]:
    changes: dict[str, Any] = {name: getattr(patch, name) for name in patch.model_fields_set}
    if "quiet_hours" in changes and patch.quiet_hours is not None:
        changes["quiet_hours"] = QuietHours(patch.quiet_hours.start, patch.quiet_hours.end)
    if "ip_allowlist" in changes:
        changes["ip_allowlist"] = tuple(dict.fromkeys(patch.ip_allowlist or ()))
    if "scoring" in changes:
        changes["scoring"] = _scoring(patch.scoring) if patch.scoring else DEFAULT_SCORING
    return changes


def _scoring(body: "ScoringBody") -> dict[str, Any]:
    """With the defaults filled in, and no `value` where the rule had none."""
    scoring = body.model_dump()
    for name, score in (("engagement", body.engagement), ("lead", body.lead)):
        scoring[name]["traits"] = [rule.model_dump(exclude_unset=True) for rule in score.traits]
    return scoring
