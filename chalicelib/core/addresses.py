"""Where a request to a customer's own URL may go: public addresses and names. Pure; nothing is resolved here."""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

import idna

MAX_URL = 2_048
"""Characters of a URL."""

_MAX_HOST = 253
_MAX_LABEL = 63
_MAX_PORT = 65_535
_PORTS: Final = {"http": 80, "https": 443}

# Tables of our own: `is_global` of the standard library follows the registries of another year in each version.
_REFUSED_V4: Final = [
    (int(network.network_address), int(network.netmask))
    for network in map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",
            "100.64.0.0/10",  # shared by carriers; Alibaba's metadata stand here
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's platform, in a public range
            "169.254.0.0/16",  # link-local; the metadata of most clouds
            "172.16.0.0/12",
            "192.0.0.0/24",  # protocol assignments; Oracle's metadata stand here
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays from IPv4 to 6to4
            "192.168.0.0/16",
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
]
_UNICAST_V6: Final = IPv6Network("2000::/3")
"""All that is assigned for the world; local, reserved and embedding ranges lie outside of it, or are refused below."""

_REFUSED_V6: Final = [
    IPv6Network(each)
    for each in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
]
_EMBEDDING_V6: Final = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
"""IPv4 in its last 32 bits: mapped, and behind NAT64."""

_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})
"""The first half of an interface identifier whose other half is an IPv4 address."""

_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?"
)
# From ! to ~, without the backslash, which some readers take for a slash.
_PLAIN: Final = re.compile(r"[!-\[\]-~]*")
# What certificates may name: no underscores.
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_NUMERIC: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DIGITS: Final = re.compile(r"[0-9]{1,5}")
_LOCAL_NAMES: Final = (".localhost", ".local", ".internal", ".home.arpa")


class BadTarget(Exception):
    """A URL that nothing is sent to. `reason` is a machine word; `message` is written for the caller."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


_HOUSEHOLD_BITS = 64
"""Of an IPv6 address: what a provider gives to one customer at the least (RFC 6177, RFC 7421)."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL points, as it goes into a request."""

    scheme: str
    """`http` or `https`."""

    host: str
    """A name in lower case and IDNA, without a final dot; or an address, IPv6 without brackets."""

    port: int
    path: str
    """Begins with a slash; the query is part of it."""

    @property
    def authority(self) -> str:
        """The value of the header Host: without the port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def literal(text: str) -> IPv4Address | IPv6Address | None:
    """The address that a text says, without a zone; None where it says none."""
    if "%" in text:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def network_of(ip: str) -> str:
    """What one household or office has of the network: an IPv4 address, a /64 of IPv6, or the text that is neither."""
    known = literal(ip.strip())
    if isinstance(known, IPv6Address):
        known = known.ipv4_mapped or IPv6Network((known, _HOUSEHOLD_BITS), strict=False).network_address
    return ip if known is None else str(known)


def is_public(address: str | IPv4Address | IPv6Address) -> bool:
    """True for an address of one machine that the whole internet reaches; False also for what is no address.

    IPv4 within IPv6 is judged as IPv4 where it stands alone (mapped, NAT64); other ways to embed it are refused, and an
    ISATAP address is public only with both of its addresses. Zones are refused.
    """
    if isinstance(address, str):
        parsed = literal(address)
        if parsed is None:
            return False
        address = parsed
    if isinstance(address, IPv4Address):
        return _is_public_v4(int(address))
    return address.scope_id is None and _is_public_v6(address)


def _is_public_v4(bits: int) -> bool:
    return all(bits & mask != network for network, mask in _REFUSED_V4)


def _is_public_v6(address: IPv6Address) -> bool:
    bits = int(address)
    last = bits & 0xFFFF_FFFF
    if any(address in network for network in _EMBEDDING_V6):
        return _is_public_v4(last)
    if address not in _UNICAST_V6 or any(address in network for network in _REFUSED_V6):
        return False
    return (bits >> 32) & 0xFFFF_FFFF not in _ISATAP or _is_public_v4(last)


@lru_cache(maxsize=256)
def parse_target(url: str, *, allow_private: bool) -> Target:
    """Where `url` points. Raises BadTarget, whose reason is one of: not_https, userinfo, fragment, too_long, invalid,
    invalid_host, invalid_port, private_address.

    With `allow_private` plain http and what is not public are allowed; names are not resolved in either case.
    """
    if len(url) > MAX_URL:
        raise BadTarget("too_long", f"A URL has at most {MAX_URL} characters.")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise BadTarget("invalid", "This is no URL with a scheme and a host.")
    scheme = parts["scheme"].lower()
    if scheme not in _PORTS or (scheme == "http" and not allow_private):
        raise BadTarget("not_https", "The URL begins with https://.")
    if parts["fragment"] is not None:
        raise BadTarget("fragment", "The URL has no fragment.")
    path = parts["path"] + (parts["query"] or "")
    _need_plain(path)
    host, port = _split(parts["authority"])
    host = _host(host)
    if not allow_private:
        _need_public(host)
    return Target(
        scheme=scheme,
        host=host,
        port=_PORTS[scheme] if port is None else _port(port),
        path=path if path.startswith("/") else f"/{path}",
    )


def _need_plain(text: str) -> None:
    if not _PLAIN.fullmatch(text):
        raise BadTarget("invalid", "The URL has only visible ASCII characters, and no backslash.")


def _split(authority: str) -> tuple[str, str | None]:
    """Host, an IPv6 literal with its brackets, and port, None without a colon."""
    if "@" in authority:
        raise BadTarget("userinfo", "The URL has no user and no password.")
    if authority.startswith("["):
        inside, bracket, rest = authority.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _bad_host()
        return inside + bracket, rest[1:] if rest else None
    host, colon, port = authority.partition(":")
    return host, port if colon else None


def _port(text: str) -> int:
    number = int(text) if _DIGITS.fullmatch(text) else 0
    if not 1 <= number <= _MAX_PORT:
        raise BadTarget("invalid_port", f"A port is a number from 1 to {_MAX_PORT}.")
    return number


def _host(text: str) -> str:
    """The host as it is resolved: an address or a name."""
    if text.startswith("["):
        address = literal(text[1:-1])
        if not isinstance(address, IPv6Address):
            raise _bad_host()
        return str(address)
    name = _ascii(text).lower().removesuffix(".")
    _need_name(name)
    last = name.rpartition(".")[2]
    # The resolver reads more than dotted decimals as IPv4: one number, octal, hexadecimal, fewer than four parts.
    if _NUMERIC.fullmatch(last) and literal(name) is None:
        raise BadTarget("invalid_host", "An IPv4 address is four decimal numbers with dots.")
    return name


def _ascii(text: str) -> str:
    """A name in IDNA. Only what lower-casing makes a valid name of: no full-width letters, no other kinds of dot."""
    if text.isascii():
        _need_plain(text)
        return text
    try:
        return idna.encode(text.lower(), strict=True).decode()
    except UnicodeError as error:
        raise _bad_host() from error


def _need_name(name: str) -> None:
    labels = name.split(".")
    if len(name) > _MAX_HOST or any(len(label) > _MAX_LABEL for label in labels):
        raise BadTarget("too_long", f"A host has at most {_MAX_HOST} characters, {_MAX_LABEL} between two dots.")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise _bad_host()


def _need_public(host: str) -> None:
    address = literal(host)
    if address is not None and not is_public(address):
        raise BadTarget("private_address", "The URL's address is not one of the public internet.")
    if address is None and ("." not in host or f".{host}".endswith(_LOCAL_NAMES)):
        raise BadTarget("private_address", "The URL's host is a name of a private network.")


def _bad_host() -> BadTarget:
    return BadTarget("invalid_host", "The URL's host is no valid name or address.")
