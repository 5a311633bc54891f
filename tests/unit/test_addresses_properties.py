"""What is public, against a second reading of the registries in numbers and CIDR texts."""

import socket

from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.core.addresses import is_public

ORACLE_V4 = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "168.63.129.16/32",
]
ORACLE_V6 = [
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",
    "2001:2::/48",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]
EMBEDDING = ["::ffff:0:0/96", "64:ff9b::/96"]


def within(number: int, width: int, cidr: str) -> bool:
    text, _, length = cidr.partition("/")
    first = int.from_bytes(socket.inet_pton(socket.AF_INET if width == 32 else socket.AF_INET6, text))
    return number >> (width - int(length)) == first >> (width - int(length))


def oracle_v4(number: int) -> bool:
    return not any(within(number, 32, cidr) for cidr in ORACLE_V4)


def oracle_v6(number: int) -> bool:
    if any(within(number, 128, cidr) for cidr in EMBEDDING):
        return oracle_v4(number % 2**32)
    if any(within(number, 128, cidr) for cidr in ORACLE_V6) or not within(number, 128, "2000::/3"):
        return False
    is_isatap = number // 2**32 % 2**32 in (0x5EFE, 0x2005EFE)
    return oracle_v4(number % 2**32) if is_isatap else True


def near(width: int, cidrs: list[str]) -> st.SearchStrategy[int]:
    """Numbers in networks, at their edges and beside them."""

    def edges(cidr: str) -> st.SearchStrategy[int]:
        text, _, length = cidr.partition("/")
        first = int.from_bytes(socket.inet_pton(socket.AF_INET if width == 32 else socket.AF_INET6, text))
        last = first + 2 ** (width - int(length)) - 1
        return st.sampled_from([first, last, max(first - 1, 0), min(last + 1, 2**width - 1)]) | st.integers(first, last)

    return st.sampled_from(cidrs).flatmap(edges)


V4 = st.integers(0, 2**32 - 1) | near(32, ORACLE_V4)
PREFIXES = near(128, [*ORACLE_V6, *EMBEDDING, "2000::/3"]) | st.integers(0, 2**128 - 1)
ISATAP = st.builds(lambda p, i, v: p >> 64 << 64 | i << 32 | v, PREFIXES, st.sampled_from([0x5EFE, 0x2005EFE]), V4)
EMBEDDED = st.builds(lambda prefix, v: prefix >> 32 << 32 | v, near(128, EMBEDDING), V4)


@given(V4)
def test_ipv4_is_public_where_no_registry_says_otherwise(number: int) -> None:
    assert is_public(socket.inet_ntop(socket.AF_INET, number.to_bytes(4))) is oracle_v4(number)


@given(PREFIXES | ISATAP | EMBEDDED)
@example(0)
@example(2**128 - 1)
def test_ipv6_is_public_where_no_registry_says_otherwise(number: int) -> None:
    assert is_public(socket.inet_ntop(socket.AF_INET6, number.to_bytes(16))) is oracle_v6(number)
