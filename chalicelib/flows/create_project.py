"""Make a project with its first two keys: everything in one transaction, so no project is without a key."""

from dataclasses import dataclass
from typing import cast

from chalicelib.core import ids
from chalicelib.features.apikeys import service as apikeys
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.model import Mode, Plan, Project
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant


@dataclass(frozen=True, slots=True)
class CreatedProject:
    """A new project. Both keys are known here and never again."""

    project_id: str
    secret_key: str
    write_key: str


def run(name: str, mode: str = "live", plan: str = "free", *, now: int) -> CreatedProject:
    """Make it. `now` is the real moment; the clock of a test project begins there and stands.

    Raises ValidationFailed with every fault. Each run makes another project.
    """
    projects.check_new(name, mode, plan)
    project = Project(
        id=ids.new_project_id(is_test=mode == "test"),
        name=name,
        mode=cast("Mode", mode),
        plan=cast("Plan", plan),
        created_at=now,
    )
    tenant = Tenant(project.id)
    _, secret, secret_rows = apikeys.creation(tenant, "First secret key", "secret", ["*"], mode=project.mode, now=now)
    _, write, write_rows = apikeys.creation(tenant, "First write key", "write", [], mode=project.mode, now=now)
    table.transact([*projects.creation(project), *secret_rows, *write_rows])
    return CreatedProject(project.id, secret, write)
