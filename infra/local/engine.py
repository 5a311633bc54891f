"""The process that stands in for AWS: ministack on the loopback interface, with its state in the home."""

from __future__ import annotations

import http.client
import os
import socket
import time
from collections.abc import Mapping
from typing import Final

from infra.local import mail_service
from infra.local.heartbeat import living_pid
from infra.local.home import Home, home_from
from infra.local.lifeline import follow_parent

HOST: Final = "127.0.0.1"
REGION: Final = "us-east-1"
_SERVICES: Final = "dynamodb,dynamodbstreams,sqs,sns,ses,s3,secretsmanager,cloudformation,sts"
_HEALTH_TIMEOUT_S: Final = 2.0
_PUMP_GRACE_S: Final = 15.0
_INHERITED: Final = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "SMTP_HOST")
"""With SMTP_HOST the engine hands mails on to a real mail catcher."""


def environment(home: Home, port: int, inherited: Mapping[str, str]) -> dict[str, str]:
    """All that the engine may know: nothing of the user's AWS settings, proxies or other services."""
    kept = {name: inherited[name] for name in _INHERITED if name in inherited}
    return kept | {
        "HOME": str(home.path),
        "TMPDIR": str(home.temporary),
        "GROWTHOS_HOME": str(home.path),
        "BIND_HOST": HOST,
        "MINISTACK_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(home.engine_state),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(home.engine_objects),
        "SERVICES": _SERVICES,
        "LOG_LEVEL": "WARNING",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",  # else it looks for containers to clean up
        "PYTHONUNBUFFERED": "1",
    }


def free_port(preferred: int | None = None) -> int:
    """A port that nothing listens on; the preferred one where it is free, so that queue addresses stay the same."""
    if preferred and not is_taken(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def is_taken(port: int) -> bool:
    """True where the loopback port cannot be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def is_healthy(port: int) -> bool:
    """True once the engine answers."""
    connection = http.client.HTTPConnection(HOST, port, timeout=_HEALTH_TIMEOUT_S)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _outlive_pump() -> None:
    """Let a pump that is stopping for the same reason drain the stream, which the engine does not save."""
    heartbeat = home_from(os.environ).heartbeat
    deadline = time.monotonic() + _PUMP_GRACE_S
    while living_pid(heartbeat) is not None and time.monotonic() < deadline:
        time.sleep(0.1)


def main() -> None:
    """Run the engine until SIGTERM; it saves its state on the way out."""
    follow_parent(before_end=_outlive_pump)
    from ministack.app import main as serve

    mail_service.install()
    serve()


if __name__ == "__main__":
    main()
