"""Stays in front of the local stack: starts its processes in order, keeps them up, and stops them in order."""

from __future__ import annotations

import http.client
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from infra.local import engine, projects, resources
from infra.local.child import Child
from infra.local.home import Home, StackError, read_json, write_json

_READY_WITHIN_S: Final = 60.0
_TICK_S: Final = 0.1
_WEB_STOPS_WITHIN_S: Final = 15.0
_PUMP_STOPS_WITHIN_S: Final = 60.0
_ROOT: Final = Path(__file__).resolve().parents[2]
# The app takes every HTTP_* variable of a server's environment for a header; proxies have no business on loopback.
_KEPT_OUT: Final = ("HTTP_", "HTTPS_", "AWS_", "GROWTHOS_", "http_proxy", "https_proxy", "all_proxy", "ALL_PROXY")
_SETTABLE: Final = (
    "GROWTHOS_ALLOW_PRIVATE_WEBHOOKS",
    "GROWTHOS_INGEST_LANES",
    "GROWTHOS_LOG_LEVEL",
    "GROWTHOS_PUBLIC_URL",
)


class StoppedError(Exception):
    """The user asked to stop while the stack was starting."""


class Supervisor:
    """One local stack, from start to stop."""

    def __init__(self, home: Home, port: int, environ: Mapping[str, str]) -> None:
        self._home = home
        self._port = port
        self._environ = environ
        self._stop = threading.Event()
        self._running: list[Child] = []
        self._projects: Mapping[projects.Mode, projects.Keys] = {}

    @property
    def base_url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self._port}"

    def run(self) -> int:
        """Start, stay until asked to stop or until a part cannot be kept up, stop. Returns the exit code."""
        if not self._home.path.exists():
            self._refuse_taken_port()  # before a home is made that nothing would use
        self._home.prepare()
        lock = self._home.acquire()
        self._refuse_taken_port()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self._stop.set())
        try:
            self._start(lock)
            self._watch()
        except StoppedError:
            pass
        finally:
            self._shut_down()
            os.close(lock)
        return 0

    def _refuse_taken_port(self) -> None:
        if engine.is_taken(self._port):
            raise StackError(f"port {self._port} is taken by another program; choose another one: PORT=8001 make run")

    def _start(self, lock: int) -> None:
        began = time.monotonic()
        port = self._start_engine(lock)
        stack = resources.create(port, self._environ.get("DYNAMODB_ENDPOINT"))
        stack.save(self._home)
        environment = self._app_environment(stack)
        self._launch(Child("pump", ["infra.local.pump"], environment, self._home.logs))
        self._launch(Child("web", ["infra.local.web", str(self._port)], environment, self._home.logs))
        self._projects = projects.first_projects(self._home, stack)
        self._wait_until(self._answers, "the API")
        self._write_local(os.getpid())
        print(self._banner(time.monotonic() - began), flush=True)

    def _start_engine(self, lock: int) -> int:
        previous = read_json(self._home.stack_json) or {}
        port = engine.free_port(previous.get("engine_port"))
        environment = engine.environment(self._home, port, self._environ) | {"PYTHONPATH": str(_ROOT)}
        self._launch(Child("engine", ["infra.local.engine"], environment, self._home.logs), lock)
        self._wait_until(lambda: engine.is_healthy(port), "the engine")
        return port

    def _launch(self, child: Child, *keep_open: int) -> None:
        child.start(keep_open)
        self._running.append(child)

    def _app_environment(self, stack: resources.Stack) -> dict[str, str]:
        """The environment of the web and pump processes: the functions' own, and where the home is."""
        kept = {name: value for name, value in self._environ.items() if not name.startswith(_KEPT_OUT)}
        chosen = {name: self._environ[name] for name in _SETTABLE if name in self._environ}
        return (
            kept
            | dict(stack.environment)
            | {"GROWTHOS_ALLOW_PRIVATE_WEBHOOKS": "1", "GROWTHOS_PUBLIC_URL": f"http://{engine.HOST}:{self._port}"}
            | chosen
            | {"GROWTHOS_HOME": str(self._home.path), "PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1"}
        )

    def _wait_until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _READY_WITHIN_S
        while not condition():
            self._check_children()
            if self._stop.is_set():
                raise StoppedError
            if time.monotonic() > deadline:
                raise StackError(f"{what} was not ready after {_READY_WITHIN_S:.0f} s; see {self._home.logs}")
            time.sleep(_TICK_S / 2)

    def _watch(self) -> None:
        while not self._stop.wait(_TICK_S):
            self._check_children()

    def _check_children(self) -> None:
        """Start again what has died. Raises StackError where that cannot help: an engine that died lost its state."""
        for child in self._running:
            if not child.has_died:
                continue
            if child.name == "engine" or child.gives_up:
                raise StackError(f"the {child.name} process has ended:\n{child.last_words()}\n(log: {child.log})")
            print(f"The {child.name} process has ended; starting it again.", file=sys.stderr, flush=True)
            child.start()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _shut_down(self) -> None:
        """Web first, so that nothing new comes in; then the pump, which finishes its work; the engine saves last."""
        within = {"web": _WEB_STOPS_WITHIN_S, "pump": _PUMP_STOPS_WITHIN_S, "engine": None}
        if self._running and self._stop.is_set():
            print("\nStopping, and saving the state ...", flush=True)
        for child in reversed(self._running):
            if not child.stop(within[child.name]):
                print(f"The {child.name} process did not end in time and was killed.", file=sys.stderr, flush=True)
        if self._projects:
            self._write_local(None)

    def _write_local(self, pid: int | None) -> None:
        described = projects.described(self._projects)
        write_json(self._home.local_json, {"base_url": self.base_url, "pid": pid, **described})

    def _banner(self, seconds: float) -> str:
        lines = [f"GrowthOS is ready at {self.base_url} ({seconds:.1f} s). Ctrl-C stops it.", ""]
        for mode, keys in self._projects.items():
            lines += [
                f"{mode.capitalize()} project {keys.project_id}",
                f"  secret key  {keys.secret_key}",
                f"  write key   {keys.write_key}",
            ]
        lines += ["", "Send a first event:", f"  {curl_line(self.base_url, self._projects['live'].write_key)}"]
        return "\n".join([*lines, "", f"Logs: {self._home.logs}"])


def curl_line(base_url: str, write_key: str) -> str:
    """A shell command that sends one event with a write key."""
    body = '{"user_id":"user_1","event":"Signed Up","properties":{"plan":"growth"}}'
    return f"curl -X POST {base_url}/v1/track -H 'Authorization: Bearer {write_key}' -d '{body}'"


def run(home: Home, port: int, environ: Mapping[str, str]) -> int:
    """Run the stack in the foreground; see `Supervisor.run`. Raises StackError with what the user can do."""
    return Supervisor(home, port, environ).run()
