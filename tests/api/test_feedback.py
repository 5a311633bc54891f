"""What is posted as a message of SNS: only what our topic has signed, lately, is taken."""

import base64
import datetime
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from chalicelib.core import clock
from chalicelib.core.mail.sns import signed_text
from chalicelib.platform import outbound, sns
from chalicelib.platform.config import settings
from chalicelib.platform.outbound import Answer
from tests.support import aws
from tests.support.client import Client, Response

TOPIC = "arn:aws:sns:eu-central-1:123456789012:growthos-test-mail"
CERTIFICATE = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-01.pem"
SUBSCRIBE = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(key: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    today = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(today).not_valid_after(today + datetime.timedelta(days=3650))
    return built.sign(key, SHA256()).public_bytes(Encoding.PEM)


def signed(envelope: dict[str, Any], key: Any = KEY, version: str = "2") -> dict[str, Any]:
    text = signed_text(envelope)
    assert text is not None
    signature = key.sign(text, PKCS1v15(), SHA256() if version == "2" else SHA1())  # noqa: S303 - as SNS does
    return envelope | {
        "Signature": base64.b64encode(signature).decode(),
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
    }


def notification(**fields: Any) -> dict[str, Any]:
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Subject": "Amazon SES Email Event Notification",
        "Message": '{"eventType":"Delivery"}',
        "Timestamp": clock.iso(clock.system_ms()),
    } | fields


def confirmation(**fields: Any) -> dict[str, Any]:
    body = notification(Type="SubscriptionConfirmation", Token="t", SubscribeURL=SUBSCRIBE) | fields
    del body["Subject"]
    return body


@pytest.fixture
def fetched(table: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was fetched; SNS gives its certificate, and confirms."""
    urls: list[str] = []

    def get(url: str, **_options: Any) -> Answer:
        urls.append(url)
        return Answer(200, None, certificate(KEY), None, 1)

    monkeypatch.setattr(outbound, "get", get)
    monkeypatch.setattr(sns, "_certificates", {})
    monkeypatch.setenv("GROWTHOS_MAIL_TOPIC_ARN", TOPIC)
    settings.cache_clear()
    yield urls
    settings.cache_clear()


def post(envelope: Any) -> Response:
    body = envelope if isinstance(envelope, bytes) else json.dumps(envelope).encode()
    return Client().request("POST", "/ses/notifications", body, content_type="text/plain; charset=UTF-8")


def queued() -> list[str]:
    return [message.body for message in aws.take(settings().feedback_queue_url)]


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_message_of_our_topic_is_taken_once_it_is_queued(fetched: list[str], version: str) -> None:
    envelope = signed(notification(), version=version)
    for _ in range(2):
        assert post(envelope).status == 200
    assert [json.loads(body) for body in queued()] == [envelope, envelope]
    assert fetched == [CERTIFICATE]


def test_a_message_without_a_subject_is_signed_without_it(fetched: list[str]) -> None:
    envelope = notification()
    del envelope["Subject"]
    assert post(signed(envelope)).status == 200


def test_a_subscription_to_our_topic_is_confirmed(fetched: list[str]) -> None:
    assert post(signed(confirmation())).status == 200
    assert fetched == [CERTIFICATE, SUBSCRIBE]
    assert queued() == []


def spoiled() -> dict[str, dict[str, Any]]:
    old = clock.iso(clock.system_ms() - 2 * clock.HOUR)
    good = signed(notification())
    return {
        "another key": signed(notification(), OTHER_KEY),
        "a changed message": good | {"Message": '{"eventType":"Complaint"}'},
        "a changed id": good | {"MessageId": "other"},
        "another topic": signed(notification(TopicArn=f"{TOPIC}-other")),
        "another topic put in": good | {"TopicArn": f"{TOPIC}-other"},
        "an old one": signed(notification(Timestamp=old)),
        "no moment": signed(notification(Timestamp="now")),
        "no signature": {name: value for name, value in good.items() if name != "Signature"},
        "a signature that is none": good | {"Signature": "%%%"},
        "a version that is none": good | {"SignatureVersion": "3"},
        "another version": good | {"SignatureVersion": "1"},
        "another kind": good | {"Type": "SubscriptionConfirmation", "Token": "t", "SubscribeURL": SUBSCRIBE},
        "an unknown kind": good | {"Type": "Other"},
        "a message that is no text": good | {"Message": {}},
        "a certificate elsewhere": good | {"SigningCertURL": "https://evil.test/x.pem"},
        "a host that begins so": good | {"SigningCertURL": "https://sns.eu-central-1.amazonaws.com.evil.test/x.pem"},
        "a user before the host": good | {"SigningCertURL": "https://sns.eu-central-1.amazonaws.com@evil.test/x.pem"},
        "plain http": good | {"SigningCertURL": CERTIFICATE.replace("https", "http")},
        "another port": good | {"SigningCertURL": CERTIFICATE.replace(".com/", ".com:8443/")},
        "no certificate": good | {"SigningCertURL": CERTIFICATE.replace(".pem", ".txt")},
        "a bucket": good | {"SigningCertURL": "https://s3.amazonaws.com/x.pem"},
        "subscribed elsewhere": signed(confirmation(SubscribeURL="https://evil.test/")),
    }


@pytest.mark.parametrize("how", spoiled())
def test_whatever_our_topic_has_not_signed_is_refused(fetched: list[str], how: str) -> None:
    answer = post(spoiled()[how])
    assert answer.status == 403
    assert queued() == []
    assert set(fetched) <= {CERTIFICATE}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"Type": NaN}'])
def test_what_is_no_message_is_a_bad_request(fetched: list[str], body: bytes) -> None:
    assert post(body).status == 400


def test_a_body_over_its_bound_is_refused(fetched: list[str]) -> None:
    assert post(notification(Message="x" * 300_000)).status == 413


def test_a_certificate_of_another_kind_is_refused(fetched: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    other = certificate(ec.generate_private_key(ec.SECP256R1()))
    for pem in (other, b"not a certificate"):
        monkeypatch.setattr(sns, "_certificates", {})
        monkeypatch.setattr(outbound, "get", lambda _url, pem=pem, **_: Answer(200, None, pem, None, 1))
        assert post(signed(notification())).status == 403


def test_where_sns_cannot_be_asked_it_is_told_to_come_again(
    fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "get", lambda *_, **__: Answer(None, None, b"", "timeout", 1))
    answer = post(signed(notification()))
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert queued() == []


def test_a_deployment_without_a_topic_takes_nothing(fetched: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GROWTHOS_MAIL_TOPIC_ARN")
    settings.cache_clear()
    assert post(signed(notification())).status == 403
