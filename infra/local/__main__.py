"""`python -m infra.local [run | reset | create-project]`: the commands behind the Makefile's."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from infra.local.home import StackError, home_from, port_from


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
    from infra.local import projects, resources

    home = home_from(os.environ)
    stack = resources.load_stack(home)
    if not home.is_running():
        raise StackError("the local stack does not run; start it with: make run")
    from chalicelib.core.errors import AppError

    try:
        keys = projects.create(stack, parsed.name, parsed.mode, parsed.plan)
    except AppError as error:
        faults = [f"\n  {fault['field']}: {fault['message']}" for fault in error.details]
        raise StackError(error.message + "".join(faults)) from error
    print(f"project     {keys.project_id}\nsecret key  {keys.secret_key}\nwrite key   {keys.write_key}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description="The local GrowthOS stack")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="start the stack and stay in front of it")
    commands.add_parser("reset", help="delete the stack's state")
    create = commands.add_parser("create-project", help="make a project on the running stack")
    create.add_argument("--name", required=True)
    create.add_argument("--mode", choices=("live", "test"), default="live")
    create.add_argument("--plan", choices=("free", "growth", "scale"), default="scale")
    return parser


_COMMANDS = {"run": _run, "reset": _reset, "create-project": _create_project}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
