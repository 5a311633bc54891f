"""Referral codes: what they are made of, and what never stands in one."""

import itertools
import random
import re

import pytest

from chalicelib.features.codes.model import draft, is_offensive, normal, part

AMBIGUOUS = set("01ILOBSUZ")


def made(name: object, company: object, length: int = 3, seed: int = 1) -> str:
    return draft(name, company, length, random.Random(seed).choice)


@pytest.mark.parametrize(
    ("name", "company", "head"),
    [
        ("Alice Chen", "Acme Inc", "ALICE-ACME-"),
        ("  zoë  ", "Ünïted", "ZOE-UNITED-"),
        ("Jean-Luc", "O'Reilly & Sons", "JEANLUC-OREILLY-"),
        ("李雷", "株式会社", "FRIEND-INVITE-"),
        ("李雷 Lei", None, "LEI-INVITE-"),
        (None, "", "FRIEND-INVITE-"),
        (["Alice"], {"name": "Acme"}, "FRIEND-INVITE-"),
        ("A" * 300, "4ever", f"{'A' * 16}-4EVER-"),
        ("😀 ß", "ﬁne", "SS-FINE-"),
    ],
)
def test_a_code_begins_with_the_first_words_in_upper_case_ascii(name: object, company: object, head: str) -> None:
    assert made(name, company).startswith(head)
    assert normal(made(name, company)) == made(name, company)


def test_a_tail_has_no_character_that_is_read_as_another() -> None:
    tails = "".join(made("A", "B", 8, seed)[4:] for seed in range(500))
    assert not set(tails) & AMBIGUOUS
    assert len(set(tails)) == 25


@pytest.mark.parametrize("tail", ["FCK", "F4G", "455", "NGG", "XXX", "88C", "C666", "QFCKQ", "53X", "DCK9"])
def test_no_tail_gives_offence(tail: str) -> None:
    assert is_offensive(tail)


def test_tails_that_are_drawn_are_never_offensive_and_most_tails_remain() -> None:
    alphabet = "23456789CDFGHJKMNPQRTVWXY"
    every = ["".join(each) for each in itertools.product(alphabet, repeat=3)]
    fine = [each for each in every if not is_offensive(each)]
    assert len(fine) > 0.98 * len(every)
    assert all(not is_offensive(made("A", "B", 3, seed).rpartition("-")[2]) for seed in range(3_000))


def test_the_tail_has_the_length_that_is_asked_for() -> None:
    assert [len(made("A", "B", length).rpartition("-")[2]) for length in (3, 4, 9)] == [3, 4, 9]


@pytest.mark.parametrize("typed", ["alice-acme-7k2", " ALICE-ACME-7K2 ", "Alice-Acme-7K2\n"])
def test_a_code_is_known_however_it_is_typed(typed: str) -> None:
    assert normal(typed) == "ALICE-ACME-7K2"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ALICE",
        "ALICE-ACME",
        "ALICE-ACME-7K",
        "A-B-C-DEF",
        "ALICE-ACME-7K2#X",
        "ÄLICE-ACME-7K2",
        "-" * 40,
        "A" * 5_000,
    ],
)
def test_what_can_t_be_a_code_is_looked_up_nowhere(typed: str) -> None:
    assert normal(typed) is None


def test_a_part_is_never_empty_nor_has_a_dash() -> None:
    rng = random.Random(7)
    for _ in range(2_000):
        text = "".join(
            chr(rng.choice([*range(32, 127), *range(0xC0, 0x250), 0x1F600])) for _ in range(rng.randrange(9))
        )
        assert re.fullmatch(r"[A-Z0-9]{1,16}", part(text, "X"))
