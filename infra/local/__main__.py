"""`python -m infra.local [run | reset | create-project | rebuild-analytics]`: the commands behind the Makefile's."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infra.local.home import StackError, home_from, port_from

if TYPE_CHECKING:
    from infra.local.resources import Stack


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. What the user can mend is told in a line, without a traceback."""
    parsed = _parser().parse_args(arguments)
    try:
        return _COMMANDS[parsed.command](parsed)
    except StackError as error:
        print(f"growthos: {error}", file=sys.stderr)
        return 1


def _run(_: argparse.Namespace) -> int:
    from infra.local import supervisor

    return supervisor.run(home_from(os.environ), port_from(os.environ), os.environ.copy())


def _reset(_: argparse.Namespace) -> int:
    home = home_from(os.environ)
    home.reset()
    print(f"Removed {home.path}")
    return 0


def _create_project(parsed: argparse.Namespace) -> int:
    from infra.local import projects

    with _operating() as stack:
        keys = projects.create(stack, parsed.name, parsed.mode, parsed.plan)
    print(f"project     {keys.project_id}\nsecret key  {keys.secret_key}\nwrite key   {keys.write_key}")
    return 0


def _rebuild_analytics(parsed: argparse.Namespace) -> int:
    from infra.local import projects

    with _operating() as stack:
        projects.rebuild_analytics(stack, parsed.project)
    print("queued; answers go on from what there is until each day is written anew")
    return 0


@contextmanager
def _operating() -> Iterator[Stack]:
    """The running stack, for what an operator does; what the product refuses is told."""
    from infra.local import resources

    home = home_from(os.environ)
    stack = resources.load_stack(home)
    if not home.is_running():
        raise StackError("the local stack does not run; start it with: make run")
    from chalicelib.core.errors import AppError

    try:
        yield stack
    except AppError as error:
        faults = [f"\n  {fault['field']}: {fault['message']}" for fault in error.details]
        raise StackError(error.message + "".join(faults)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description="The local GrowthOS stack")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="start the stack and stay in front of it")
    commands.add_parser("reset", help="delete the stack's state")
    create = commands.add_parser("create-project", help="make a project on the running stack")
    create.add_argument("--name", required=True)
    create.add_argument("--mode", choices=("live", "test"), default="live")
    create.add_argument("--plan", choices=("free", "growth", "scale"), default="scale")
    rebuild = commands.add_parser("rebuild-analytics", help="have a project's lake written anew from the table")
    rebuild.add_argument("--project", required=True)
    return parser


_COMMANDS = {"run": _run, "reset": _reset, "create-project": _create_project, "rebuild-analytics": _rebuild_analytics}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
