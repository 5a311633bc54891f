"""Which addresses of a name are connected to, and how often it is asked for."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chalicelib.core.addresses import BadTarget
from chalicelib.platform import outbound
from tests.support.authority import Authority, trusted
from tests.support.far_side import OK, Resolver, answering, private_webhooks, refusing_port

PUBLIC = ("93.184.216.34", 0)
PUBLIC_V6 = ("2606:2800:220:1::1", 0)
LOOPBACK = ("127.0.0.1", 0)
HOST = "hooks.example.com"
URL = f"https://{HOST}/hook"


@pytest.fixture(autouse=True)
def _public_only() -> Iterator[None]:
    with private_webhooks(""):
        yield


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every address that a socket was told to connect to; the connection itself goes to this machine."""
    told: list[str] = []
    connect = socket.socket.connect

    def redirected(self: socket.socket, where: tuple[str, int]) -> None:
        told.append(where[0])
        connect(self, ("127.0.0.1", where[1]))

    monkeypatch.setattr(socket.socket, "connect", redirected)
    return told


@contextmanager
def names(*answers: list[tuple[str, int]]) -> Iterator[Resolver]:
    """The resolver answers so."""
    resolver = Resolver(*answers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolver)
        yield resolver


@pytest.mark.parametrize(
    "found",
    [
        [LOOPBACK],
        [PUBLIC, LOOPBACK],
        [PUBLIC, PUBLIC_V6, ("169.254.169.254", 0)],
        [PUBLIC, PUBLIC, PUBLIC, PUBLIC_V6, ("1.1.1.1", 0), ("1.0.0.1", 0), ("10.0.0.1", 0)],
        [("::1", 0)],
        [PUBLIC, ("::ffff:10.0.0.1", 0)],
        [("fe80::1%eth0", 0)],
        [("64:ff9b::a9fe:a9fe", 0)],
    ],
)
def test_a_name_of_which_any_address_is_private_is_refused(found: list[tuple[str, int]], connected: list[str]) -> None:
    with names(found), pytest.raises(BadTarget) as refused:
        outbound.check(URL)
    assert refused.value.reason == "private_address"
    with names(found):
        answer = outbound.post(URL, {}, b"{}")
    assert (answer.status, answer.error, connected) == (None, "private_address", [])


def test_a_name_of_public_addresses_passes_the_check() -> None:
    with names([PUBLIC, PUBLIC_V6]) as resolver:
        outbound.check(URL)
    assert resolver.asked == [HOST]


def test_a_name_that_does_not_resolve_passes_the_check_and_fails_a_post() -> None:
    with names([]):
        outbound.check(URL)
        assert outbound.post(URL, {}, b"{}").error == "unresolvable"


def test_a_check_refuses_what_no_request_could_go_to_without_a_resolver() -> None:
    with names([PUBLIC]) as resolver, pytest.raises(BadTarget) as refused:
        outbound.check("https://169.254.169.254/latest/meta-data/")
    assert (refused.value.reason, resolver.asked) == ("private_address", [])


def test_an_address_in_the_url_asks_no_resolver() -> None:
    with names([LOOPBACK]) as resolver:
        outbound.check("https://93.184.216.34/hook")
        outbound.check("https://[2606:2800:220:1::1]/hook")
    assert resolver.asked == []


def test_a_private_name_and_plain_http_pass_the_check_where_they_are_allowed() -> None:
    with private_webhooks("1"), names([LOOPBACK]):
        outbound.check("http://localhost:3000/hook")
        outbound.check(f"http://{HOST}/hook")


def test_a_resolver_that_hangs_is_given_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(*_asked: object, **_options: object) -> list[object]:
        released.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(outbound, "_CHECK_S", 0.3)
    begun = time.monotonic()
    answer = outbound.post(URL, {}, b"{}", timeout_s=0.3)
    outbound.check(URL)
    released.set()
    assert (answer.status, answer.error) == (None, "timeout")
    assert 0.6 <= time.monotonic() - begun < 3


def test_a_name_that_changes_its_address_is_connected_to_at_the_one_that_was_checked(
    connected: list[str], tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    with (
        trusted(authority),
        answering(OK, authority.server(HOST)) as far,
        names([PUBLIC], [LOOPBACK]) as resolver,
    ):
        url = far.url(host=HOST)
        assert outbound.post(url, {}, b"1").error is None
        assert (resolver.asked, connected) == ([HOST], [PUBLIC[0]])

        assert outbound.post(url, {}, b"2").error is None, "on the same connection: nobody is asked"
        assert (resolver.asked, connected, far.connections) == ([HOST], [PUBLIC[0]], 1)

        outbound.forget()
        assert outbound.post(url, {}, b"3").error == "private_address"
        assert (resolver.asked, connected) == ([HOST, HOST], [PUBLIC[0]])
    assert len(far.requests) == 2


def test_a_name_with_a_private_address_is_reached_only_where_that_is_allowed() -> None:
    with answering(OK) as far, names([LOOPBACK]) as resolver:
        url = far.url(host=HOST)
        assert outbound.post(url, {}, b"{}").error == "not_https"
        assert outbound.post(url.replace("http:", "https:"), {}, b"{}").error == "private_address"
        with private_webhooks("1"):
            assert outbound.post(url, {}, b"{}").error is None
    assert far.connections == 1
    assert resolver.asked == [HOST, HOST]
    assert b"\r\nHost: hooks.example.com:%d\r\n" % far.port in far.requests[0]


def test_the_next_address_is_tried_where_one_refuses() -> None:
    with (
        answering(OK) as far,
        private_webhooks("1"),
        names([("127.0.0.1", refusing_port()), ("127.0.0.1", far.port)]) as resolver,
    ):
        assert outbound.post(f"http://{HOST}/", {}, b"{}").error is None
    assert resolver.asked == [HOST]


def test_the_next_address_is_tried_within_the_deadline_where_one_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def silent(self: socket.socket, where: tuple[str, int]) -> None:
        if where[1] == 1:
            time.sleep(self.gettimeout() or 60)
            raise TimeoutError
        connect(self, where)

    monkeypatch.setattr(socket.socket, "connect", silent)
    with answering(OK) as far, private_webhooks("1"), names([("127.0.0.1", 1), ("127.0.0.1", far.port)]):
        assert outbound.post(f"http://{HOST}/", {}, b"{}", timeout_s=2).error is None


def test_no_more_than_4_addresses_are_tried() -> None:
    with answering(OK) as far, private_webhooks("1"):
        refusing = [("127.0.0.1", refusing_port() if each == 0 else each) for each in (0, 1, 2, 3)]
        with names([*refusing, ("127.0.0.1", far.port)]):
            assert outbound.post(f"http://{HOST}/", {}, b"{}").error == "connection_refused"
    assert far.connections == 0
