"""API keys: how they look, what they may do, and when they end."""

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

KeyType = Literal["secret", "write"]
Mode = Literal["live", "test"]

ALL = "*"
SETTINGS_WRITE = "settings:write"
INGEST_SCOPE = "contacts:write"
"""What a secret key needs to call ingest, or to make a write key, which may call it too."""

_SECTIONS = ("contacts", "segments", "referrals", "campaigns", "surveys", "waitlists", "webhooks", "settings")
SCOPES = (
    *(f"{section}:{verb}" for section in _SECTIONS for verb in ("read", "write")),
    "events:read",
    "analytics:read",
    ALL,
)
"""Every scope that a secret key can have."""

SECRET_PREFIX = "gos_sk_"  # noqa: S105 - the public start of every secret key
WRITE_PREFIX = "gos_wk_"
_TEXT = re.compile(r"gos_(sk_live|sk_test|wk)_[A-Za-z0-9_-]{32,128}")
_RANDOM_BYTES = 32
_HINT_LENGTH = 4


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key, which is not the key itself. Moments are milliseconds on the project's clock."""

    id: str
    name: str
    type: KeyType
    digest: str
    hint: str
    scopes: tuple[str, ...]
    created_at: int
    last_used_at: int | None = None
    revoked_at: int | None = None
    expires_at: int | None = None

    def holds_settings(self) -> bool:
        """True where the key may change settings, and so make other keys."""
        return self.type == "secret" and allows(self.scopes, SETTINGS_WRITE)


@dataclass(frozen=True, slots=True)
class Door:
    """What a presented key opens; `expires_at` is set once the key is revoked."""

    project_id: str
    key_id: str
    type: KeyType
    scopes: frozenset[str]
    expires_at: int | None

    def is_open(self, now: int) -> bool:
        """False from the very moment at which the grace period ends."""
        return self.expires_at is None or now < self.expires_at


def new_text(kind: KeyType, mode: Mode) -> str:
    """A new key, 256 random bits."""
    prefix = f"{SECRET_PREFIX}{mode}_" if kind == "secret" else WRITE_PREFIX
    return prefix + secrets.token_urlsafe(_RANDOM_BYTES)


def looks_like_key(text: str) -> bool:
    """False where no key that we made could look so; it spares the look-up."""
    return _TEXT.fullmatch(text) is not None


def holds_secret(text: str) -> bool:
    """True where anything in the text begins as a secret key does."""
    return SECRET_PREFIX in text


def holds_key(text: str) -> bool:
    """True where anything in the text begins as a key of either kind does."""
    return SECRET_PREFIX in text or WRITE_PREFIX in text


def digest_of(text: str) -> str:
    """Hex SHA-256: with 256 random bits in the key, no salt or slow hash adds anything."""
    return hashlib.sha256(text.encode()).hexdigest()


def hint_of(text: str) -> str:
    """The last four characters, as shown in the list."""
    return f"...{text[-_HINT_LENGTH:]}"


def allows(granted: Iterable[str], scope: str) -> bool:
    """True where the granted scopes include this one."""
    held = set(granted)
    return ALL in held or scope in held
