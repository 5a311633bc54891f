"""The mail service: what is given to it, by one call, and what its answers and its silence mean."""

from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError
from moto.ses.models import ses_backends

from chalicelib.core import clock
from chalicelib.platform import aws, mail
from chalicelib.platform.config import settings
from chalicelib.platform.mail import MailRefused, MailUnknown
from tests.support import aws as support
from tests.support.post_office import PostOffice, not_answered, not_reached, refused

RAW = b"From: hello@acme.test\r\nTo: ada@example.com\r\nSubject: Hi\r\n\r\nHi\r\n"


def send() -> str:
    return mail.send(RAW, "hello@acme.test", "ada@example.com", "proj_1-cntct_1-msg_1")


def test_a_mail_is_given_to_ses_byte_by_byte(table: str) -> None:
    aws.ses().verify_domain_identity(Domain="acme.test")
    assert send()
    (taken,) = ses_backends["123456789012"][support.REGION].sent_messages
    assert (taken.source, set(taken.destinations)) == ("hello@acme.test", {"ada@example.com"})
    assert taken.raw_data.encode() == RAW


def test_a_sender_who_is_not_verified_is_refused_for_good(table: str) -> None:
    with pytest.raises(MailRefused) as told:
        mail.send(RAW, "hello@nobody.test", "ada@example.com", "proj_1-cntct_1-msg_1")
    assert (told.value.reason, told.value.is_lasting) == ("rejected", True)


@pytest.fixture
def office(table: str, monkeypatch: pytest.MonkeyPatch) -> PostOffice:
    made = PostOffice()
    made.install(monkeypatch)
    return made


def failing(error: Exception) -> Callable[[dict[str, Any]], None]:
    def fail(_call: dict[str, Any]) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "reason", "lasting"),
    [
        (refused("MessageRejected"), "rejected", True),
        (refused("MailFromDomainNotVerifiedException"), "sender_not_verified", True),
        (refused("ConfigurationSetDoesNotExist"), "configuration_set_missing", True),
        (refused("InvalidParameterValue"), "invalid", True),
        (refused("Throttling"), "throttled", False),
        (refused("AccountSendingPausedException"), "sending_paused", False),
        (refused("LimitExceededException"), "quota_used_up", False),
        (refused("AccessDenied", 403), "not_allowed", False),
        (not_reached(), "unreachable", False),
        (EndpointConnectionError(endpoint_url="https://email.test"), "unreachable", False),
    ],
)
def test_what_was_surely_not_taken_is_refused(
    office: PostOffice, error: Exception, reason: str, *, lasting: bool
) -> None:
    office.before = failing(error)
    with pytest.raises(MailRefused) as told:
        send()
    assert (told.value.reason, told.value.is_lasting) == (reason, lasting)


@pytest.mark.parametrize(
    "error",
    [not_answered(), ConnectionClosedError(endpoint_url="https://email.test"), refused("InternalFailure", 500)],
)
def test_of_what_nobody_knows_nothing_is_claimed(office: PostOffice, error: Exception) -> None:
    office.before = failing(error)
    with pytest.raises(MailUnknown):
        send()


def test_the_configuration_set_goes_with_each_mail_where_there_is_one(
    office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []
    office.before = calls.append
    send()
    monkeypatch.setenv("GROWTHOS_MAIL_CONFIGURATION_SET", "growthos-test")
    settings.cache_clear()
    send()
    settings.cache_clear()
    assert [call.get("ConfigurationSetName") for call in calls] == [None, "growthos-test"]


@pytest.mark.parametrize("rate", [1.0, 14.0, 200.0])
def test_turns_are_given_at_the_accounts_rate(office: PostOffice, rate: float) -> None:
    office.rate = rate
    with time_machine.travel(clock.system_ms() // clock.SECOND, tick=False):
        turns = [mail.take_turn() for _ in range(int(rate) * 3)]
        seconds = [turn // clock.SECOND - clock.system_ms() // clock.SECOND for turn in turns]
    assert turns == sorted(turns)
    assert [seconds.count(n) for n in range(3)] == [int(rate)] * 3


def test_turns_that_were_not_used_are_lost(office: PostOffice) -> None:
    office.rate = 8.0
    with time_machine.travel(clock.system_ms() // clock.SECOND, tick=False) as time:
        mail.take_turn()
        time.shift(5)
        assert mail.take_turn() == clock.system_ms()


def test_where_the_rate_cannot_be_read_it_is_one_a_second(office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PostOffice, "get_send_quota", failing(refused("Throttling")))
    with time_machine.travel(clock.system_ms() // clock.SECOND, tick=False):
        first, second = mail.take_turn(), mail.take_turn()
    assert second - first == clock.SECOND
