"""The home directory, the settings of `make run`, and schedules."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from infra.local import heartbeat, schedule
from infra.local.home import Home, StackError, home_from, port_from, read_json, write_json
from infra.local.supervisor import Supervisor, curl_line


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "80 80", "٣"])
def test_a_wrong_port_is_told(text: str) -> None:
    with pytest.raises(StackError, match="is not a port number"):
        port_from({"PORT": text})


@pytest.mark.parametrize(("environ", "port"), [({}, 8000), ({"PORT": ""}, 8000), ({"PORT": "9001"}, 9001)])
def test_the_port_is_8000_unless_set(environ: dict[str, str], port: int) -> None:
    assert port_from(environ) == port


def test_the_home_is_in_the_working_directory_unless_set(tmp_path: Path) -> None:
    assert home_from({}).path == Path.cwd() / ".growthos"
    assert home_from({"GROWTHOS_HOME": str(tmp_path)}).path == tmp_path


def test_files_with_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "local.json"
    write_json(file, {"a": 1})
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_json(file) == {"a": 1}


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_file_that_was_cut_off_reads_as_none(tmp_path: Path, content: str) -> None:
    file = tmp_path / "broken.json"
    file.write_text(content)
    assert read_json(file) is None


def test_a_home_is_used_by_one_stack_at_a_time(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    lock = home.acquire()
    assert home.is_running()
    with pytest.raises(StackError, match="runs already"):
        home.acquire()
    with pytest.raises(StackError, match="Stop it first"):
        home.reset()
    os.close(lock)
    assert not home.is_running()


def test_reset_deletes_the_home(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    os.close(home.acquire())
    home.reset()
    assert not home.path.exists()


def test_reset_spares_a_directory_that_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(StackError, match="nothing was deleted"):
        Home(tmp_path).reset()
    assert (tmp_path / "precious").exists()


def test_a_heartbeat_of_a_process_that_is_gone_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "beat"
    assert heartbeat.living_pid(file) is None
    file.write_text(str(os.getpid()))
    assert heartbeat.living_pid(file) == os.getpid()
    os.utime(file, (1, 1))
    assert heartbeat.living_pid(file) is None


@pytest.mark.parametrize(
    ("rate", "seconds"), [("rate(1 minute)", 60), ("rate(5 minutes)", 300), ("rate(1 day)", 86400)]
)
def test_a_rate_is_read_in_seconds(rate: str, seconds: int) -> None:
    assert schedule.interval_s(rate) == seconds


@pytest.mark.parametrize("rate", ["cron(* * * * ? *)", "rate(0 minutes)", "rate(1 week)", ""])
def test_a_schedule_that_the_stack_cannot_keep_is_refused(rate: str) -> None:
    with pytest.raises(ValueError, match="rate"):
        schedule.interval_s(rate)


def test_a_taken_port_leaves_no_new_home(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(StackError, match="is taken"):
            Supervisor(Home(tmp_path / "home"), other.getsockname()[1], {}).run()
    assert list(tmp_path.iterdir()) == []


def test_the_line_to_paste_is_one_line() -> None:
    line = curl_line("http://127.0.0.1:8000", "gos_wk_1")
    assert "\n" not in line
    assert line.startswith("curl -X POST http://127.0.0.1:8000/v1/track ")
