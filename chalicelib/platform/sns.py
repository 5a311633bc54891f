"""Whether a message that came by HTTPS is one of our topic: its signature, its age, and the certificate behind it."""

import base64
import binascii
import threading
from collections.abc import Mapping
from typing import Any

from chalicelib.core import clock
from chalicelib.core.mail.sns import is_of_sns, signed_text
from chalicelib.platform import outbound
from chalicelib.platform.config import settings

_CERTIFICATE_MAX = 16 * 1024
_KEPT_MAX = 8
_AGE_MAX = clock.HOUR
_lock = threading.Lock()
_certificates: dict[str, bytes] = {}


class NotSigned(Exception):
    """The message is not from our topic, is old, or its signature does not hold."""


class Unreachable(Exception):
    """SNS itself could not be asked."""


def verify(envelope: Mapping[str, Any]) -> None:
    """Raises NotSigned where the message is not one that our topic has sent lately, Unreachable where the certificate
    can't be had."""
    text = signed_text(envelope)
    if text is None or not settings().mail_topic_arn or envelope.get("TopicArn") != settings().mail_topic_arn:
        raise NotSigned
    if abs(clock.system_ms() - _moment(envelope)) > _AGE_MAX:
        raise NotSigned
    url = envelope.get("SigningCertURL")
    if not is_of_sns(url, suffix=".pem"):
        raise NotSigned
    try:
        signature = base64.b64decode(str(envelope.get("Signature")), validate=True)
    except binascii.Error:
        raise NotSigned from None
    _check(_certificate(str(url)), signature, text, str(envelope.get("SignatureVersion")))


def confirm(envelope: Mapping[str, Any]) -> None:
    """Confirm the subscription that a verified message asks for. Raises NotSigned, and Unreachable."""
    url = envelope.get("SubscribeURL")
    if not is_of_sns(url):
        raise NotSigned
    answer = outbound.get(str(url), body_max=_CERTIFICATE_MAX)
    if answer.status != 200:
        raise Unreachable


def _moment(envelope: Mapping[str, Any]) -> int:
    try:
        return clock.parse_instant(str(envelope.get("Timestamp")))
    except ValueError:
        raise NotSigned from None


def _certificate(url: str) -> bytes:
    with _lock:
        known = _certificates.get(url)
    if known is None:
        answer = outbound.get(url, body_max=_CERTIFICATE_MAX)
        if answer.error is not None or answer.status != 200:
            raise Unreachable
        known = answer.body
        with _lock:
            if len(_certificates) >= _KEPT_MAX:
                _certificates.clear()
            _certificates[url] = known
    return known


def _check(certificate: bytes, signature: bytes, text: bytes, version: str) -> None:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256

    # Version 1 is what topics have that were made before 2022: SNS itself signs by SHA-1 there.
    hashes = {"1": SHA1(), "2": SHA256()}  # noqa: S303
    try:
        key = x509.load_pem_x509_certificate(certificate).public_key()
    except ValueError:
        raise NotSigned from None
    if not isinstance(key, RSAPublicKey) or version not in hashes:
        raise NotSigned
    try:
        key.verify(signature, text, PKCS1v15(), hashes[version])
    except InvalidSignature:
        raise NotSigned from None
