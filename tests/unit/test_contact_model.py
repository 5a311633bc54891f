"""Addresses as they are compared and kept."""

import pytest

from chalicelib.features.contacts.model import normal_email


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  Alice@Example.COM ", "alice@example.com"),
        ("bob@bücher.example", "bob@xn--bcher-kva.example"),
        ("BOB@BÜCHER.example", "bob@xn--bcher-kva.example"),
        ("a+b@x.io", "a+b@x.io"),
        ("a@x.io.", "a@x.io"),
        ("x" * 64 + "@x.io", "x" * 64 + "@x.io"),
    ],
)
def test_an_address_is_trimmed_lowered_and_its_domain_in_idna(given: str, kept: str) -> None:
    assert normal_email(given) == kept


@pytest.mark.parametrize(
    "given",
    [
        None,
        7,
        "",
        "alice",
        "@x.io",
        "a@",
        "a@localhost",
        "a@com.",
        "a@x.io..",
        "x" * 65 + "@x.io",
        "a b@x.io",
        "a@b@x.io",
        "a@x..io",
        "a@" + "x" * 300 + ".io",
        "a\n@x.io",
        "a@-x.io",
    ],
)
def test_what_is_no_address_is_none(given: object) -> None:
    assert normal_email(given) is None
