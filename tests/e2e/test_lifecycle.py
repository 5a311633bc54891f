"""Start, stop and what may go wrong with them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stack import ROOT, Stack, processes_of, running, running_engine, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]


def test_it_is_ready_within_ten_seconds_and_makes_two_projects(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home")
    seconds = stack.start()
    try:
        assert seconds < 10
        local = stack.local
        assert local["base_url"] == stack.base_url
        assert local["live"]["secret_key"].startswith("gos_sk_live_")
        assert local["test"]["secret_key"].startswith("gos_sk_test_")
        assert stat.S_IMODE((stack.home / "local.json").stat().st_mode) == 0o600
        plans = [stack.get("/v1/settings", key=local[mode]["secret_key"]).body["plan"] for mode in ("live", "test")]
        assert plans == ["scale", "scale"]
    finally:
        stack.stop()


def test_ctrl_c_ends_it_with_code_0_and_leaves_no_process(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home")
    stack.start()
    assert processes_of(stack.home)
    assert stack.stop(signal.SIGINT) == 0
    assert processes_of(stack.home) == []
    assert stack.local["pid"] is None


def test_a_killed_supervisor_leaves_no_process_behind(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home")
    stack.start()
    assert stack.stop(signal.SIGKILL) == -signal.SIGKILL
    wait_until(lambda: processes_of(stack.home) == [], 30)


def test_a_dead_engine_stops_the_stack_and_is_told(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home")
    stack.start()
    os.kill(stack.pid_of("infra.local.engine"), signal.SIGKILL)
    assert stack.wait() == 1
    assert "the engine process has ended" in stack.output
    assert processes_of(stack.home) == []


def test_a_dead_web_server_is_started_again(tmp_path: Path) -> None:
    with running(tmp_path / "home") as stack:
        os.kill(stack.pid_of("infra.local.web"), signal.SIGKILL)
        wait_until(lambda: stack.health() != 200, 10)
        wait_until(lambda: stack.health() == 200, 20)


def test_state_survives_a_stop_and_a_start(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home")
    stack.start()
    before = stack.local
    assert stack.get("/v1/settings").status == 200
    assert stack.request("PATCH", "/v1/settings", b'{"name": "Renamed"}').status == 200
    stack.stop()
    stack.start()
    try:
        assert stack.get("/v1/settings").body["name"] == "Renamed"
        assert {mode: stack.local[mode] for mode in ("live", "test")} == {m: before[m] for m in ("live", "test")}
    finally:
        stack.stop()


def test_what_was_accepted_before_a_stop_is_there_after_the_next_start(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home")
    stack.start()
    items = [{"type": "track", "user_id": f"u{number % 10}", "event": "Stepped"} for number in range(200)]
    assert stack.post("/v1/batch", {"batch": items}, key=stack.write_key).status == 202
    assert stack.stop(signal.SIGINT) == 0
    stack.start()
    try:
        stack.await_settled()
        pages = [stack.get("/v1/analytics/events", limit=100, event="Stepped").body]
        pages.append(stack.get("/v1/analytics/events", limit=100, event="Stepped", cursor=pages[0]["next_cursor"]).body)
        assert [len(page["data"]) for page in pages] == [100, 100]
        assert not pages[1]["has_more"]
    finally:
        stack.stop()


def test_the_table_may_be_kept_by_another_dynamodb(tmp_path: Path) -> None:
    with running_engine(tmp_path / "other") as port:
        endpoint = f"http://127.0.0.1:{port}"
        with running(tmp_path / "home", {"DYNAMODB_ENDPOINT": endpoint}) as stack:
            event = {"user_id": "u1", "event": "Stepped"}
            assert stack.post("/v1/track", event, key=stack.write_key).status == 202
            wait_until(lambda: bool(stack.get("/v1/contacts", external_id="u1").body["data"]), 10)
            assert stack.table_items(endpoint) > 0


def test_keys_are_made_anew_where_the_state_was_lost(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home")
    stack.start()
    before = stack.local["live"]["secret_key"]
    stack.stop()
    shutil.rmtree(stack.home / "engine")
    stack.start()
    try:
        assert stack.local["live"]["secret_key"] != before
        assert stack.get("/v1/settings").status == 200
    finally:
        stack.stop()


def test_a_taken_port_is_told_at_once(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        stack = Stack(tmp_path / "home", port=other.getsockname()[1])
        assert stack.launch().wait(10) == 1
        assert f"port {stack.port} is taken" in stack.output
        assert processes_of(stack.home) == []


def test_a_second_stack_in_one_home_is_refused(stack: Stack) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "infra.local", "run"],
        cwd=ROOT,
        env=os.environ | {"GROWTHOS_HOME": str(stack.home), "PORT": "0" + str(stack.port)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 1
    assert f"runs already from {stack.home} at {stack.base_url}" in second.stderr


def test_a_wrong_port_is_told(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home", environ={"PORT": "http"})
    assert stack.launch().wait(10) == 1
    assert "PORT=http is not a port number" in stack.output


def test_the_printed_line_works(stack: Stack) -> None:
    line = next(line.strip() for line in stack.output.splitlines() if line.strip().startswith("curl "))
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    done = subprocess.run(["sh", "-c", f"{line} -s"], capture_output=True, text=True, timeout=30, check=True)
    assert '"success":true' in done.stdout.replace(" ", "")
    wait_until(lambda: bool(stack.get("/v1/contacts", external_id="user_1").body["data"]), 10)


def test_health_falls_while_the_pump_is_down_and_rises_with_the_next(tmp_path: Path) -> None:
    with running(tmp_path / "home") as stack:
        pump = stack.pump_pid()
        assert pump is not None
        assert stack.health() == 200
        os.kill(pump, signal.SIGSTOP)
        wait_until(lambda: stack.health() == 503, 15)
        os.kill(pump, signal.SIGCONT)
        stack.kill_pump()
        wait_until(lambda: stack.health() == 200, 15)


def test_create_project_makes_one_with_working_keys(stack: Stack) -> None:
    arguments = ["create-project", "--name", "Acme", "--mode", "test", "--plan", "free"]
    made = subprocess.run(
        [sys.executable, "-m", "infra.local", *arguments],
        cwd=ROOT,
        env=os.environ | {"GROWTHOS_HOME": str(stack.home)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    keys = dict(line.rsplit(maxsplit=1) for line in made.stdout.splitlines())
    settings = stack.get("/v1/settings", key=keys["secret key"]).body
    assert (settings["name"], settings["mode"], settings["plan"]) == ("Acme", "test", "free")
