"""Text can be read on whatever colour a project has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.colors import DARK, LIGHT, contrast, is_color, luminance, text_on

COLORS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@given(COLORS)
def test_the_text_on_any_colour_has_a_contrast_of_at_least_four_and_a_half(color: str) -> None:
    assert contrast(text_on(color), color) >= 4.5


def test_so_has_that_on_every_grey_and_every_strong_colour() -> None:
    greys = [f"#{part:02x}{part:02x}{part:02x}" for part in range(256)]
    strong = [f"#{red:02x}{green:02x}{blue:02x}" for red in range(0, 256, 17) for green in range(0, 256, 17)
              for blue in range(0, 256, 17)]  # fmt: skip
    assert min(contrast(text_on(color), color) for color in greys + strong) >= 4.5


@given(COLORS, COLORS)
def test_contrast_is_the_same_both_ways_and_within_its_bounds(one: str, other: str) -> None:
    assert contrast(one, other) == contrast(other, one)
    assert 1 <= contrast(one, other) <= 21.0001


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#ffffff", "#000000", 21),
        ("#777777", "#ffffff", 4.48),
        ("#767676", "#ffffff", 4.54),
        ("#ff0000", "#ffffff", 4.0),
        ("#0000ff", "#ffffff", 8.59),
    ],
)
def test_known_contrasts(one: str, other: str, ratio: float) -> None:
    """Figures that checkers of contrast show."""
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)


def test_white_is_brightest_and_black_is_dark() -> None:
    assert luminance(LIGHT) == pytest.approx(1)
    assert luminance(DARK) == 0


@pytest.mark.parametrize("text", ["", "#fff", "0b57d0", "#0B57D0", "#0b57d0 ", "#0b57d0\n", "#0b57d0;}", "red"])
def test_anything_else_is_no_colour(text: str) -> None:
    assert not is_color(text)
