"""A referral code, and the making of new ones. Pure."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["link", "entry"]

TAIL: Final = 3
"""Characters of the random tail at first; it grows by one on each clash."""

_NAME_MAX = 16
_NOBODY = "FRIEND"
_NOWHERE = "INVITE"
_SHAPE = re.compile(r"[A-Z0-9]{1,16}-[A-Z0-9]{1,16}-[0-9A-Z]{3,16}")

_ALPHABET = "23456789CDFGHJKMNPQRTVWXY"
"""No vowels, so that no words come about, and nothing that is read as something else: 0 and O, 1 and I and L, and of
B and 8, S and 5, U and V, Z and 2 one each."""

_READ_AS = str.maketrans("3456789", "EASGTBG")
_OFFENSIVE = re.compile(
    "666|69|88|ANVS|ASS|BCH|CNT|CVM|CVNT|DCK|DMN|DYKE|FAG|FAT|FCK|FGG|FGT|FKN|FKR|FVC|FVK|GAY|GYP|HHH|JAP|KKK|KNT|KYS|"
    "NGG|NGR|NGT|PCK|PHCK|PKR|PRN|PVS|RAPE|RPD|RPE|SCVM|SEX|SHT|TGT|THT|TTS|TWAT|TWT|VWHR|WHR|WNK|WTF|XXX"
)
"""Words, also without their vowels, in a tail as it stands and as its digits are read for letters."""


@dataclass(frozen=True, slots=True)
class Code:
    """Whose a code is: a contact's link of a program, or its entry in a waitlist.

    `parent_id` is the program or the waitlist, `item_id` the link or the entry; `landing_url` is where it leads.
    """

    code: str
    kind: Kind
    parent_id: str
    contact_id: str
    item_id: str
    landing_url: str | None = None


def part(text: object, otherwise: str) -> str:
    """The first word of `text` as one part of a code: upper-case ASCII letters and digits; `otherwise` without any."""
    plain = unicodedata.normalize("NFKD", text if isinstance(text, str) else "").upper()
    for word in plain.split():
        kept = "".join(each for each in word if each.isascii() and each.isalnum())
        if kept:
            return kept[:_NAME_MAX]
    return otherwise


def draft(name: object, company: object, length: int, choose: Callable[[str], str]) -> str:
    """A code such as `ALICE-ACME-7K2` with a tail of that length; `choose` picks one character of its alphabet."""
    while is_offensive(tail := "".join(choose(_ALPHABET) for _ in range(length))):
        pass
    return f"{part(name, _NOBODY)}-{part(company, _NOWHERE)}-{tail}"


def is_offensive(tail: str) -> bool:
    """True where somebody could take offence at a tail, digits that are read for letters included."""
    return any(_OFFENSIVE.search(each) is not None for each in (tail, tail.translate(_READ_AS)))


def normal(text: str) -> str | None:
    """The code that a person may have typed so; None for what can't be one."""
    code = text.strip().upper()
    return code if _SHAPE.fullmatch(code) is not None else None
