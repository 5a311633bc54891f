"""Projects: made by an operator, changed by their owners, and the source of `now`."""

from dataclasses import replace
from typing import Any, get_args

from chalicelib.core import clock
from chalicelib.core.errors import Detail, NotFound, Unavailable, ValidationFailed, detail
from chalicelib.features.projects import store
from chalicelib.features.projects.model import (
    DEFAULT_SCORING,
    NAME_MAX,
    Mode,
    Plan,
    Project,
    QuietHours,
)
from chalicelib.features.projects.schemas import ScoringBody, SettingsPatch
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import ConditionFailed, Op

_ATTEMPTS = 10


def check_new(name: object, mode: object, plan: object) -> None:
    """Raises ValidationFailed with every fault of what an operator gave for a new project."""
    faults: list[Detail] = []
    if not isinstance(name, str) or not name.strip() or len(name) > NAME_MAX:
        faults.append(detail("name", "invalid", f"A name is 1 to {NAME_MAX} characters and not blank."))
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
    if not tenant.is_test:
        return clock.system_ms()
    moment = store.read_clock(tenant)
    if moment is None:
        raise NotFound("There is no such project.")
    return moment


def update(tenant: Tenant, patch: SettingsPatch) -> Project:
    """Change what the patch holds; a lost race is tried again on what the other one wrote."""
    for _ in range(_ATTEMPTS):
        before = get(tenant)
        after = replace(before, **_changes(patch), version=before.version + 1)
        try:
            store.replace(after, before.version)
        except ConditionFailed:
            continue
        return after
    raise Unavailable


def _changes(patch: SettingsPatch) -> dict[str, Any]:
    changes: dict[str, Any] = {name: getattr(patch, name) for name in patch.model_fields_set}
    if "quiet_hours" in changes and patch.quiet_hours is not None:
        changes["quiet_hours"] = QuietHours(patch.quiet_hours.start, patch.quiet_hours.end)
    if "ip_allowlist" in changes:
        changes["ip_allowlist"] = tuple(dict.fromkeys(patch.ip_allowlist or ()))
    if "scoring" in changes:
        changes["scoring"] = _scoring(patch.scoring) if patch.scoring else DEFAULT_SCORING
    return changes


def _scoring(body: ScoringBody) -> dict[str, Any]:
    """With the defaults filled in, and no `value` where the rule had none."""
    scoring = body.model_dump()
    for name, score in (("engagement", body.engagement), ("lead", body.lead)):
        scoring[name]["traits"] = [rule.model_dump(exclude_unset=True) for rule in score.traits]
    return scoring
