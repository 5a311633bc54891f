"""What one worker does in a second, beside a loop that does the same and nothing around it."""

import statistics
import time
from collections.abc import Callable

_ROUNDS = 7


def rates_beside(bare: Callable[[], None], worker: Callable[[], None], number: int, what: str) -> tuple[float, str]:
    """The worker's share of the bare loop's rate (median of rounds), and both told; each does `number` of `what`.

    Rounds of each kind come in turn, so that the machine's other work falls on both.
    """
    rates: list[tuple[float, float]] = [(number / seconds(worker), number / seconds(bare)) for _ in range(_ROUNDS)]
    shares = [one / other for one, other in rates]
    share = statistics.median(shares)
    ours, theirs = (statistics.median(column) for column in zip(*rates, strict=True))
    return share, f"{share:.2f} ({min(shares):.2f} to {max(shares):.2f}); {ours:.0f} of {theirs:.0f} {what}"


def seconds(run: Callable[[], None]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
