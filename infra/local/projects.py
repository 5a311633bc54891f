"""The projects of the local stack: the two of the first start, and those of `make create-project`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from infra.local.home import Home, read_json
from infra.local.resources import Stack

Mode = Literal["live", "test"]
MODES: tuple[Mode, Mode] = ("live", "test")
PLANS = ("free", "growth", "scale")


@dataclass(frozen=True, slots=True)
class Keys:
    """A project's id and the two keys that are shown once, at its creation."""

    project_id: str
    secret_key: str
    write_key: str


def create(stack: Stack, name: str, mode: str, plan: str) -> Keys:
    """Make a project, in this process, by the product's own flow. Raises its errors, as for a bad name."""
    os.environ.update(stack.environment)
    from chalicelib.core import clock
    from chalicelib.flows import create_project

    made = create_project.run(name, mode, plan, now=clock.system_ms())
    return Keys(made.project_id, made.secret_key, made.write_key)


def rebuild_analytics(stack: Stack, project_id: str) -> None:
    """Have a project's lake written anew, as the operator's function does. Raises NotFound."""
    os.environ.update(stack.environment)
    from chalicelib.workers import lake

    lake.handle_rebuild({"project_id": project_id})


def first_projects(home: Home, stack: Stack) -> dict[Mode, Keys]:
    """The live and the test project: as local.json keeps them, else made now; anew where the table is new."""
    known = {} if stack.is_new else read_json(home.local_json) or {}
    return {mode: _known(known, mode) or create(stack, f"Local {mode}", mode, "scale") for mode in MODES}


def described(projects: Mapping[Mode, Keys]) -> dict[str, dict[str, str]]:
    """The projects as local.json holds them."""
    return {mode: asdict(keys) for mode, keys in projects.items()}


def _known(local: Mapping[str, Mapping[str, str]], mode: Mode) -> Keys | None:
    keys = local.get(mode)
    return Keys(**keys) if keys else None
