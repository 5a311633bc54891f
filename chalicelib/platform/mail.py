"""The mail service: Amazon SES, by `SendRawEmail`, which takes a mail byte by byte."""

import threading
from typing import TYPE_CHECKING

from chalicelib.core import clock
from chalicelib.core.mail.notifications import TAG
from chalicelib.platform import keys, observability, turns
from chalicelib.platform.aws import is_busy, ses
from chalicelib.platform.config import settings

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_ses.type_defs import SendRawEmailRequestTypeDef

_RATE_KEPT_S = 300.0
_UNLIMITED = 1_000
_PAUSED = {
    "AccountSendingPausedException": "sending_paused",
    "ConfigurationSetSendingPausedException": "sending_paused",
    "LimitExceededException": "quota_used_up",
}
_REFUSED = {
    "MessageRejected": "rejected",
    "MailFromDomainNotVerifiedException": "sender_not_verified",
    "MailFromDomainNotVerified": "sender_not_verified",
    "ConfigurationSetDoesNotExist": "configuration_set_missing",
    "ConfigurationSetDoesNotExistException": "configuration_set_missing",
    "InvalidParameterValue": "invalid",
    "ValidationError": "invalid",
}

_LEASE_MAX = 10
_TURN_LASTS = clock.SECOND
_lock = threading.Lock()
_leased: list[int] = []
"""Moments of turns that were taken and not used yet."""

_known: list[tuple[float, float]] = []
"""When the account's rate was read last, and the rate."""


class MailRefused(Exception):
    """The mail service did not take the mail. `is_lasting` where it never will; `reason` is a word for programs."""

    def __init__(self, reason: str, *, is_lasting: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_lasting = is_lasting


class MailUnknown(Exception):
    """Nobody knows whether the mail service took the mail."""


def send(raw: bytes, sender: str, to: str, ref: str) -> str:
    """Send a mail, by one call that is never repeated: a second one may be a second mail. Returns the service's id.

    `ref` comes back in what the service tells of the mail. Raises MailRefused and MailUnknown.
    """
    from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

    call: SendRawEmailRequestTypeDef = {
        "Source": sender,
        "Destinations": [to],
        "RawMessage": {"Data": raw},
        "Tags": [{"Name": TAG, "Value": ref}],
    }
    if settings().mail_configuration_set:
        call["ConfigurationSetName"] = settings().mail_configuration_set
    try:
        return ses().send_raw_email(**call)["MessageId"]
    except ClientError as error:
        raise _meaning(error) from error
    except (ConnectTimeoutError, EndpointConnectionError) as error:
        raise MailRefused("unreachable", is_lasting=False) from error
    except BotoCoreError as error:
        raise MailUnknown from error


def take_turn() -> int:
    """The real moment, in ms, at which the next mail may be sent, by the account's rate. Raises Unavailable.

    A few turns are taken at once, so that not every mail asks the table; those that are not used soon are lost.
    """
    now = clock.system_ms()
    with _lock:
        while _leased:
            moment = _leased.pop(0)
            if moment > now - _TURN_LASTS:
                return moment
    rate = max(1, int(_send_rate()))
    first, *others = turns.take(keys.mail_turns(), rate, now, min(_LEASE_MAX, max(1, rate // 4)))
    with _lock:
        _leased[:] = others
    return first


def _send_rate() -> float:
    """Mails in each second that the account may send; 1 where that can't be read."""
    with _lock:
        if not _known or clock.monotonic() - _known[0][0] > _RATE_KEPT_S:
            _known[:] = [(clock.monotonic(), _read_rate())]
        return _known[0][1]


def _read_rate() -> float:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        rate = ses().get_send_quota()["MaxSendRate"]
    except (BotoCoreError, ClientError):
        observability.log_failure("the mail service's rate could not be read")
        return 1.0
    return rate if rate > 0 else _UNLIMITED


def _meaning(error: "ClientError") -> Exception:
    code = error.response["Error"]["Code"]
    if code in _REFUSED:
        return MailRefused(_REFUSED[code], is_lasting=True)
    if code in _PAUSED:
        return MailRefused(_PAUSED[code], is_lasting=False)
    if code in ("Throttling", "ThrottlingException", "RequestLimitExceeded"):
        return MailRefused("throttled", is_lasting=False)
    if is_busy(error):
        return MailUnknown()
    # A fault of the call itself, as of its signature or its permission: nothing was taken, and somebody can mend it.
    return MailRefused("not_allowed", is_lasting=False)
