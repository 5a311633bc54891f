"""Opaque identifiers: a prefix and a lower-case ULID.

ULIDs of one process never repeat and never step back, so they also keep the order of receipt where two things
happen in the same millisecond (https://github.com/ulid/spec, monotonicity).
"""

import re
import secrets
import threading

from chalicelib.core import clock

PREFIXES = frozenset(
    {
        *("proj", "key", "cntct", "evt", "seg", "ref_prog", "ref_link", "ref_conv", "rwd", "cmpgn", "tmpl", "msg"),
        *("srvy", "resp", "wl", "wl_entry", "whep", "wh_log", "fnl", "chrt", "req"),
    }
)

_ULID_TEXT = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}")
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32, five bits a character."""
_ODD_CHARACTERS = _ALPHABET[1::2]
_SHIFTS = range(125, -1, -5)
_RANDOM_BITS = 80
_MOMENT_CHARACTERS = 10
_ORDER_BITS = 23
_ORDER_EPOCH = 1_577_836_800_000
"""2020, in ms: 40 bits last from there until 2054."""

_lock = threading.Lock()
_last = 0


def new_ulid() -> str:
    """A lower-case ULID on the real clock, greater than every one made before it in this process."""
    global _last
    with _lock:
        moment = clock.system_ms()
        is_later = moment > _last >> _RANDOM_BITS
        _last = moment << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS - 1) if is_later else _last + 1
        made = _last
    return _text(made)


def ulid_after(ulid: str) -> str:
    """A new ULID that is also greater than that one, which another machine may have made, whose clock goes before."""
    fresh = new_ulid()
    return fresh if fresh > ulid else _text(_number(ulid) + 1)


def order_of(ident: str) -> int:
    """A number of 63 bits that grows with the order in which identifiers were made.

    It is made of the millisecond and the last bits: those made within one millisecond by one process count up.
    """
    number = _number(ident.rpartition("_")[2])
    moment = (number >> _RANDOM_BITS) - _ORDER_EPOCH
    return moment << _ORDER_BITS | number & (1 << _ORDER_BITS) - 1


def _text(number: int) -> str:
    return "".join([_ALPHABET[number >> shift & 31] for shift in _SHIFTS])


def _number(ulid: str) -> int:
    number = 0
    for character in ulid:
        number = number << 5 | _ALPHABET.index(character)
    return number


def new_id(prefix: str) -> str:
    """A new identifier such as `cntct_01j…`; `prefix` is one of PREFIXES."""
    if prefix not in PREFIXES:
        raise ValueError(f"unknown prefix {prefix}")
    return f"{prefix}_{new_ulid()}"


def ulid_of(ident: str) -> str:
    """What follows the prefix of an identifier; it grows with the moment at which it was made."""
    return ident.rpartition("_")[2]


def moment_of(ident: str) -> int:
    """The real moment at which an identifier was made, in ms."""
    return _number(ulid_of(ident)[:_MOMENT_CHARACTERS])


def new_project_id(*, is_test: bool) -> str:
    """A new project's identifier, which says of itself whether the project is a test project."""
    # Drawn again rather than changed: two ULIDs of one millisecond may differ in this very bit.
    while is_test_project(made := new_id("proj")) != is_test:
        pass
    return made


def is_test_project(project_id: str) -> bool:
    """True for the identifier of a test project: the lowest bit of its last character is 1."""
    return project_id[-1] in _ODD_CHARACTERS


def is_id(prefix: str, text: str) -> bool:
    """True where `text` could be an identifier of that kind; it says nothing of whether it exists."""
    head, _, tail = text.rpartition("_")
    return head == prefix and _ULID_TEXT.fullmatch(tail) is not None
