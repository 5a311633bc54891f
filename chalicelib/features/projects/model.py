"""A project: the tenant, its plan, and the settings that its owners change."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from chalicelib.core.bounds import has_control

Mode = Literal["live", "test"]
Plan = Literal["free", "growth", "scale"]
ClockStatus = Literal["ready", "advancing"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NAME_MAX = 128
DEFAULT_TIMEZONE = "UTC"
_MAPPED_PREFIX = 96
"""Bits before the IPv4 address in ::ffff:0:0/96 (RFC 4291, 2.5.5.2)."""

DEFAULT_SCORING: dict[str, Any] = {
    "engagement": {"half_life": "14d", "default_event": 5, "events": {"$page_view": 1}, "traits": []},
    "lead": {"half_life": "30d", "default_event": 0, "events": {}, "traits": []},
}


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Local times as `HH:MM`, in the project's time zone; `end` may be on the next day."""

    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Project:
    """One project with its settings. `created_at` is in milliseconds on the project's clock."""

    id: str
    name: str
    mode: Mode
    plan: Plan
    created_at: int
    version: int = 1
    domain: str | None = None
    timezone: str = DEFAULT_TIMEZONE
    default_from_email: str | None = None
    sender_name: str | None = None
    postal_address: str | None = None
    quiet_hours: QuietHours | None = None
    ip_allowlist: tuple[str, ...] = ()
    referral_base_url: str | None = None
    brand_color: str | None = None
    """`#rrggbb` in lower case, of the pages that people see."""
    scoring: dict[str, Any] = field(default_factory=lambda: DEFAULT_SCORING)
    scoring_version: int = 1
    """Raised by each change of `scoring`: scores that were made by another one are made anew."""


@dataclass(frozen=True, slots=True)
class ClockState:
    """Where the clock of a test project stands, in ms. While it is advancing: how far it goes, and for which request.

    `version` grows with each change, so that of two who would move the clock one does.
    """

    now: int
    status: ClockStatus = "ready"
    target: int | None = None
    advance_id: str | None = None
    version: int = 0


def is_name(text: str) -> bool:
    """True for what may be a project's name; half of a surrogate pair is what is left of bytes that are no UTF-8."""
    is_whole = not any("\ud800" <= character <= "\udfff" for character in text)
    return is_whole and bool(text.strip()) and len(text) <= NAME_MAX and not has_control(text)


def parse_network(text: str) -> Network:
    """The network that an address or a CIDR block stands for; IPv4 that came mapped into IPv6 is told as IPv4.

    Raises ValueError; bits after the mask and zone ids are refused: an address that reaches us has no zone.
    """
    if "%" in text:
        raise ValueError("a zone id")
    network = ipaddress.ip_network(text)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < _MAPPED_PREFIX:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_PREFIX))


def is_allowed(address: str, allowlist: Sequence[Network]) -> bool:
    """True where the list is empty or holds the address; an IPv4 address may come mapped into IPv6."""
    if not allowlist:
        return True
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    plain = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(plain in network for network in allowlist)
