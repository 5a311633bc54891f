"""Signatures as the published libraries and the contract have them."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.features.webhooks.signing import new_secret, signed_headers, standard_key

BODY = json.dumps({"id": "evt_1", "type": "contact.created", "data": {"name": "Zoë ☃"}}).encode()
OWN = "whsec_your_signing_secret"
LIBRARIES: dict[str, Callable[[str], Any]] = {
    "standardwebhooks": standardwebhooks.Webhook,
    "svix": svix.webhooks.Webhook,
}
library = pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)


def headers(*secrets: str, at: float | None = None, body: bytes = BODY) -> dict[str, str]:
    return signed_headers("evt_1", "contact.created", int(time.time() if at is None else at), body, secrets)


@library
def test_a_published_library_verifies_a_delivery(library: Callable[[str], Any]) -> None:
    secret = new_secret()
    library(secret).verify(BODY, headers(secret))


@library
def test_during_a_rotation_both_secrets_verify_it(library: Callable[[str], Any]) -> None:
    new, old = new_secret(), new_secret()
    for secret in (new, old):
        library(secret).verify(BODY, headers(new, old))


@library
def test_another_secret_does_not_verify_it(library: Callable[[str], Any]) -> None:
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        library(new_secret()).verify(BODY, headers(new_secret(), new_secret()))


@library
def test_a_stale_timestamp_is_refused(library: Callable[[str], Any]) -> None:
    secret = new_secret()
    with pytest.raises(standardwebhooks.WebhookVerificationError, match="too old"):
        library(secret).verify(BODY, headers(secret, at=time.time() - 301))


@library
def test_a_changed_byte_is_refused(library: Callable[[str], Any]) -> None:
    secret = new_secret()
    with pytest.raises(standardwebhooks.WebhookVerificationError, match="No matching signature"):
        library(secret).verify(BODY.replace(b"evt_1", b"evt_2"), headers(secret))


@library
def test_another_id_is_refused(library: Callable[[str], Any]) -> None:
    secret = new_secret()
    with pytest.raises(standardwebhooks.WebhookVerificationError, match="No matching signature"):
        library(secret).verify(BODY, headers(secret) | {"webhook-id": "evt_2"})


@given(body=st.binary(max_size=200), secret=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=16))
def test_our_own_header_is_the_hmac_that_the_contract_states(body: bytes, secret: str) -> None:
    made = headers(secret, at=1_795_658_909, body=body)
    told = hmac.new(secret.encode(), b"1795658909." + body, hashlib.sha256).hexdigest()
    assert (made["X-GrowthOS-Signature"], made["X-GrowthOS-Timestamp"]) == (told, "1795658909")


def test_our_own_header_has_the_new_signature_first_then_a_comma() -> None:
    both = headers("the new secret text", "the old secret text", at=5)["X-GrowthOS-Signature"].split(",")
    alone = [headers(text, at=5)["X-GrowthOS-Signature"] for text in ("the new secret text", "the old secret text")]
    assert both == alone


def test_a_secret_of_another_form_signs_our_own_header_only() -> None:
    made = headers(OWN)
    assert "webhook-signature" not in made
    assert len(made["X-GrowthOS-Signature"]) == 64
    assert made["webhook-id"] == "evt_1"


def test_of_two_secrets_only_the_one_of_the_standard_signs_its_header() -> None:
    new = new_secret()
    assert headers(new, OWN, at=5)["webhook-signature"] == headers(new, at=5)["webhook-signature"]


@pytest.mark.parametrize("length", [24, 32, 64])
def test_a_key_of_the_standards_length_is_taken(length: int) -> None:
    assert standard_key("whsec_" + base64.b64encode(b"k" * length).decode()) == b"k" * length


@pytest.mark.parametrize(
    "secret",
    [
        OWN,
        "whsec_" + base64.b64encode(b"k" * 23).decode(),
        "whsec_" + base64.b64encode(b"k" * 65).decode(),
        "whsec_" + base64.b64encode(b"k" * 32).decode().rstrip("="),
        "whsec_" + base64.urlsafe_b64encode(b"\xff" * 24).decode(),
        "whsec_" + base64.b64encode(b"k" * 25).decode()[:-3] + "B==",
        base64.b64encode(b"k" * 32).decode(),
        "WHSEC_" + base64.b64encode(b"k" * 32).decode(),
        "whsec_" + base64.b64encode(b"k" * 24).decode() + "\n",
    ],
)
def test_what_is_no_secret_of_the_standard_is_told_from_it(secret: str) -> None:
    assert standard_key(secret) is None


def test_a_new_secret_is_32_random_bytes() -> None:
    made = {new_secret() for _ in range(50)}
    assert len(made) == 50
    assert all(len(standard_key(secret) or b"") == 32 for secret in made)
