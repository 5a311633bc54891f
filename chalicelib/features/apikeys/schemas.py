"""API keys as the API shows and takes them."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from chalicelib.core import clock
from chalicelib.core.schema import Answer, Body, Line, Page, Query
from chalicelib.features.apikeys.model import SCOPES, ApiKey, KeyType


def _known_scope(text: str) -> str:
    if text not in SCOPES:
        raise ValueError("There is no such scope.")
    return text


Scope = Annotated[str, AfterValidator(_known_scope), Field(json_schema_extra={"enum": list(SCOPES)})]


class NewKey(Body):
    """A key to make. A write key takes no scopes; a secret key needs one at least."""

    name: Annotated[Line, Field(min_length=1, max_length=128)]
    type: Literal["secret", "write"] = "secret"
    # The default is judged too: a refusal names this field beside every other one that is at fault.
    scopes: Annotated[list[Scope], Field(max_length=len(SCOPES), validate_default=True)] = Field(default_factory=list)

    @field_validator("scopes")
    @classmethod
    def _fit_the_type(cls, scopes: list[str], info: ValidationInfo) -> list[str]:
        if info.data.get("type") == "write" and scopes:
            raise ValueError("A write key has no scopes.")
        if info.data.get("type") == "secret" and not scopes:
            raise ValueError("A secret key needs one scope at least.")
        return scopes


class RevokeQuery(Query):
    """How fast the key is to end."""

    immediate: Annotated[bool, Field(description="Cut the key within 5 seconds, without the 24 hours of grace.")] = (
        False
    )


class KeyView(Answer):
    """A key as listed: never the key itself."""

    id: str
    name: str
    type: KeyType
    key_hint: Annotated[str, Field(examples=["...4k9m"])]
    scopes: list[str]
    created_at: str
    last_used_at: Annotated[str | None, Field(description="True to 5 minutes.")]
    revoked_at: str | None
    expires_at: Annotated[str | None, Field(description="When the grace period of a revoked key ends.")]


class KeyPage(Page[KeyView]):
    """One page of keys, newest first."""


class CreatedKey(KeyView):
    """A new key. `key` is shown this once."""

    key: str


class RevokedKey(Answer):
    """A key that was revoked; it works until `expires_at`."""

    id: str
    deleted: Literal[True] = True
    revoked_at: str
    expires_at: str


def view(key: ApiKey) -> KeyView:
    """The key as listed."""
    return KeyView(
        id=key.id,
        name=key.name,
        type=key.type,
        key_hint=key.hint,
        scopes=list(key.scopes),
        created_at=clock.iso(key.created_at),
        last_used_at=_iso(key.last_used_at),
        revoked_at=_iso(key.revoked_at),
        expires_at=_iso(key.expires_at),
    )


def _iso(moment: int | None) -> str | None:
    return None if moment is None else clock.iso(moment)


def revoked(key: ApiKey) -> RevokedKey:
    """The answer to a revocation. Raises ValueError for a key that was not revoked."""
    if key.revoked_at is None or key.expires_at is None:
        raise ValueError("the key was not revoked")
    return RevokedKey(id=key.id, revoked_at=clock.iso(key.revoked_at), expires_at=clock.iso(key.expires_at))
