"""The project's row and its clock's.

| item | attributes |
|---|---|
| `PROJECT` | the fields of `model.Project`; `scoring` as JSON text, `quiet_hours` as a map |
| `CLOCK` (test projects) | the fields of `model.ClockState` |
"""

from dataclasses import asdict
from typing import Any

from chalicelib.core import strict_json
from chalicelib.features.projects.model import DEFAULT_SCORING, ClockState, Project, QuietHours
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Item, Op, Put, attr


def creation(project: Project) -> list[Op]:
    """The rows of a new project, for the transaction that makes it."""
    tenant = Tenant(project.id)
    ops: list[Op] = [Put(tenant.project(), _attributes(project), attr("PK").not_exists())]
    if project.mode == "test":
        ops.append(Put(tenant.test_clock(), asdict(ClockState(project.created_at)), attr("PK").not_exists()))
    return ops


def load(tenant: Tenant) -> Project | None:
    """The project, read consistently."""
    item = table.get(tenant.project())
    return None if item is None else project(tenant, item)


def replace(after: Project, version: int) -> Op:
    """Write the project over its `version`."""
    return Put(Tenant(after.id).project(), _attributes(after), attr("version").eq(version))


def scoring(item: Item) -> dict[str, Any]:
    """The scoring settings in a project's row."""
    return dict(strict_json.stored(item["scoring"])) if "scoring" in item else DEFAULT_SCORING


def read_clock(tenant: Tenant) -> ClockState | None:
    """The clock of a test project, read consistently."""
    item = table.get(tenant.test_clock())
    if item is None:
        return None
    return ClockState(item["now"], item["status"], item.get("target"), item.get("advance_id"), item["version"])


def clock_op(tenant: Tenant, after: ClockState) -> Op:
    """Set the clock; refused where it was changed since the version before."""
    return Put(tenant.test_clock(), asdict(after), attr("version").eq(after.version - 1))


def _attributes(project: Project) -> dict[str, Any]:
    quiet = project.quiet_hours
    return {
        "name": project.name,
        "mode": project.mode,
        "plan": project.plan,
        "created_at": project.created_at,
        "version": project.version,
        "domain": project.domain,
        "timezone": project.timezone,
        "default_from_email": project.default_from_email,
        "sender_name": project.sender_name,
        "postal_address": project.postal_address,
        "quiet_hours": {"start": quiet.start, "end": quiet.end} if quiet else None,
        "ip_allowlist": list(project.ip_allowlist),
        "referral_base_url": project.referral_base_url,
        "brand_color": project.brand_color,
        "scoring": None if project.scoring == DEFAULT_SCORING else strict_json.dumps(project.scoring),
        "scoring_version": project.scoring_version,
    }


def project(tenant: Tenant, item: Item) -> Project:
    """The project that a row stands for."""
    quiet = item.get("quiet_hours")
    return Project(
        id=tenant.project_id,
        name=item["name"],
        mode=item["mode"],
        plan=item["plan"],
        created_at=item["created_at"],
        version=item["version"],
        domain=item.get("domain"),
        timezone=item["timezone"],
        default_from_email=item.get("default_from_email"),
        sender_name=item.get("sender_name"),
        postal_address=item.get("postal_address"),
        quiet_hours=QuietHours(**quiet) if quiet else None,
        ip_allowlist=tuple(item.get("ip_allowlist", ())),
        referral_base_url=item.get("referral_base_url"),
        brand_color=item.get("brand_color"),
        scoring=scoring(item),
        scoring_version=item["scoring_version"],
    )
