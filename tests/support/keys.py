"""Keys for tests."""

from tests.support.client import Client


def key_with(owner: Client, *scopes: str) -> str:
    """The text of a new secret key with those scopes."""
    made = owner.post("/v1/settings/keys", {"name": "test key", "scopes": list(scopes)})
    assert made.status == 201, made.text
    return str(made.json["key"])
