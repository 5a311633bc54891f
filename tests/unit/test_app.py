"""What each function of the deployment is, and what its start loads."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import app as composition

ROOT = Path(__file__).parents[2]
FUNCTIONS = (
    "ingest",
    "bus",
    "bus_retry",
    "jobs",
    "timers",
    "webhooks",
    "webhooks_slow",
    "mails",
    "feedback",
    "minute",
    "projector",
    "lake",
    "compact",
    "analytics",
    "rebuild_analytics",
    "create_project",
)


def loaded_by(handler: str) -> set[str]:
    code = "import app, sys; print(' '.join(name for name in sys.modules if name.startswith('chalicelib')))"
    environment = {name: value for name, value in os.environ.items() if name != "_HANDLER"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment | ({"_HANDLER": handler} if handler else {}),
    )
    return set(done.stdout.split())


SERVE_AND_FAIL = """
import logging
logging.basicConfig()  # as Lambda does, and servers may
from app import app
from chalicelib.edge import endpoint
from tests.support.client import Client
Client(app=app).get("/docs")
def fail(*_, **__):
    raise RuntimeError("in our code")
endpoint.validation.read_query = fail
Client(app=app).get("/docs")
"""


def test_each_line_of_the_log_is_written_once_and_as_json() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVE_AND_FAIL], check=True, capture_output=True, text=True, cwd=ROOT, env=os.environ
    )
    lines = [json.loads(line) for line in (done.stdout + done.stderr).splitlines()]
    assert [line["message"] for line in lines] == ["request", "unexpected failure", "request"]
    assert "RuntimeError: in our code" in lines[1]["exception"]


@pytest.mark.parametrize("handler", [f"app.{name}" for name in FUNCTIONS])
def test_a_worker_starts_without_the_routes(handler: str) -> None:
    assert loaded_by(handler) == set()


@pytest.mark.parametrize("worker", ["ingest", "bus", "jobs", "timers", "webhooks", "mails", "feedback", "minute"])
def test_a_worker_does_without_the_models_of_bodies_and_answers(worker: str) -> None:
    """pydantic is a third of their start."""
    code = f"import chalicelib.workers.{worker}, sys; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ["False"]


def test_the_api_starts_without_what_renders_pages_and_mails() -> None:
    code = "import app, sys; print('chalicelib.edge.pages' in sys.modules, 'liquid' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.parametrize("handler", ["", "app.app"])
def test_the_api_and_the_local_server_have_all_routes(handler: str) -> None:
    assert "chalicelib.api.settings" in loaded_by(handler)


def test_every_handler_is_a_function_of_app_py() -> None:
    functions: list[Any] = [*composition.app.event_sources, *composition.app.pure_lambda_functions]
    handlers = {function.name: function.handler_string for function in functions}
    assert handlers == {name: f"app.{name}" for name in FUNCTIONS}
    assert all(hasattr(composition, name) for name in handlers)


def test_one_position_of_a_path_has_one_parameter_name() -> None:
    """API Gateway refuses siblings with different names at the deployment; Chalice does not."""
    names: dict[str, set[str]] = {}
    for path in composition.app.routes:
        parts = path.split("/")
        for position, part in enumerate(parts):
            if part.startswith("{"):
                names.setdefault("/".join(parts[:position]), set()).add(part)
    assert {place: found for place, found in names.items() if len(found) > 1 and place != ""} == {}
