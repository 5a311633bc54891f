"""Whose certificates are trusted, and for which names."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.platform import connections, outbound
from tests.support.authority import Authority, trusted
from tests.support.far_side import OK, Resolver, Visit, answering, closing, private_webhooks

HOST = "hooks.example.com"
BODY = b"0123456789" * 100_000


@pytest.fixture
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """One that requests trust."""
    made = Authority(tmp_path_factory.mktemp("authority"))
    with trusted(made):
        yield made


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every name is this machine, which may be reached."""
    monkeypatch.setattr(socket, "getaddrinfo", Resolver([("127.0.0.1", 0)]))
    with private_webhooks("1"):
        yield


def test_a_certificate_of_a_trusted_authority_for_the_urls_host_is_accepted(authority: Authority) -> None:
    shown: list[str | None] = []
    server = authority.server(HOST)
    server.sni_callback = lambda _connection, name, _context: shown.append(name)
    with answering(OK, server) as far:
        answer = outbound.post(far.url(host=HOST), {}, BODY)
    assert (answer.status, answer.body, answer.error, shown) == (200, b"ok", None, [HOST])
    assert far.requests[0].endswith(b"\r\n\r\n" + BODY)


def test_connections_with_tls_are_reused(authority: Authority) -> None:
    with answering(OK, authority.server(HOST)) as far:
        answers = [outbound.post(far.url(host=HOST), {}, b"{}") for _ in range(5)]
    assert [(each.status, each.error) for each in answers] == [(200, None)] * 5
    assert far.connections == 1


def test_an_address_is_a_name_like_any_other(authority: Authority) -> None:
    with answering(OK, authority.server("127.0.0.1")) as far:
        assert outbound.post(far.url(), {}, b"{}").error is None


def test_a_certificate_for_another_host_is_refused(authority: Authority) -> None:
    with answering(OK, authority.server("other.example.com")) as far:
        answer = outbound.post(far.url(host=HOST), {}, b"{}")
    assert (answer.status, answer.error, far.requests) == (None, "tls_error", [])


def test_a_certificate_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    with answering(OK, Authority(tmp_path).server(HOST)) as far:
        answer = outbound.post(far.url(host=HOST), {}, b"{}")
    assert (answer.status, answer.error, far.requests) == (None, "tls_error", [])


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_a_version_before_1_2_is_refused(authority: Authority) -> None:
    old = authority.server(HOST)
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with answering(OK, old) as far:
        assert outbound.post(far.url(host=HOST), {}, b"{}").error == "tls_error"


def test_a_server_that_speaks_no_tls_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://{HOST}:{listener.getsockname()[1]}/"
        assert outbound.post(url, {}, b"{}", timeout_s=0.3).error == "timeout"


def test_a_server_that_answers_a_handshake_in_plain_text_is_refused() -> None:
    def plain(visit: Visit) -> None:
        raise AssertionError(visit)

    with answering(plain) as far:
        far.greeting = b"HTTP/1.1 400 Bad Request\r\n\r\n"
        answer = outbound.post(far.url(host=HOST).replace("http:", "https:"), {}, b"{}")
    assert (answer.status, answer.error) == (None, "tls_error")


def test_a_body_that_ends_early_is_bad_under_tls_too(authority: Authority) -> None:
    short = closing(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")
    with answering(short, authority.server(HOST)) as far:
        answer = outbound.post(far.url(host=HOST), {}, b"{}")
    assert (answer.status, answer.body, answer.error) == (200, b"short", "bad_answer")


def test_a_drip_under_tls_ends_at_the_deadline(authority: Authority) -> None:
    def drip(visit: Visit) -> None:
        visit.drip(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100, 0.05)

    with answering(drip, authority.server(HOST)) as far:
        answer = outbound.post(far.url(host=HOST), {}, b"{}", timeout_s=0.5)
        assert answer.error == "timeout"
        assert answer.took_ms < 3_000


def test_all_connections_share_one_context_which_asks_for_a_name_and_a_certificate(authority: Authority) -> None:
    context = connections.tls_context()
    with answering(OK, authority.server(HOST)) as far:
        assert outbound.post(far.url(host=HOST), {}, b"{}").error is None
    assert connections.tls_context() is context
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
