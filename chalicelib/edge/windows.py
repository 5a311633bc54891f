"""The arithmetic of rate windows: pure, without a clock and without the table.

A window is one second of the real clock. The table counts the tokens that instances took from it, never more than the
limit; an instance spends only tokens that it took. So no window lets more than the limit pass, any second (two
windows) no more than twice the limit, and any ten seconds (eleven windows) no more than eleven times it.

An instance may take tokens ahead of need, to spare calls. What it takes and does not spend is lost to the others, so
it takes half of what the window before lets it expect still, and bounds each lease by a twentieth of the limit.
"""

from dataclasses import dataclass

_LEASES_OF_A_LIMIT = 20
_GROWTH = 16
"""Past its expectation an instance takes a sixteenth of what it used: a steady caller's slack of a tenth bears that."""


@dataclass(slots=True)
class Lease:
    """What one instance knows of one key's current window. Not thread-safe by itself.

    `leased` False takes one token for each call, which counts exactly.
    """

    limit: int
    leased: bool
    second: int = -1
    used: int = 0
    tokens: int = 0
    used_before: int = 0
    exhausted: bool = False
    scarce: bool = False
    asking: int = 0
    taken_by_all: int = 0

    def enter(self, second: int) -> None:
        """Go on to the window of that second; unspent tokens are void with the window that they came from."""
        if second == self.second:
            return
        self.used_before = self.used if second == self.second + 1 else 0
        self.second, self.used, self.tokens, self.taken_by_all, self.asking = second, 0, 0, 0, 0
        self.exhausted = self.scarce = False

    def spend(self) -> bool:
        """Let one call pass on a token in hand; False where there is none."""
        if self.tokens == 0:
            return False
        self.tokens -= 1
        self.used += 1
        return True

    def ask(self) -> int:
        """How many tokens to take from the table now; 0 where the window is known to be empty.

        Each question is to be answered by one of `granted`, `refused` and `unanswered`. While one thread waits for a
        lease the others take single tokens, so that together they do not take it several times.
        """
        if self.exhausted:
            return 0
        wanted = self._lease_size() if self.leased and not self.scarce and self.asking == 0 else 1
        self.asking += 1
        return wanted

    def granted(self, tokens: int, taken_by_all: int) -> None:
        """The table gave tokens; `taken_by_all` counts those of every instance in this window."""
        self.asking -= 1
        self.tokens += tokens
        self.taken_by_all = max(self.taken_by_all, taken_by_all)

    def refused(self, tokens: int) -> None:
        """The table had not so many: single tokens from here on, and none once even one was refused."""
        self.asking -= 1
        self.scarce = True
        if tokens == 1:
            self.exhausted = True
            self.taken_by_all = self.limit

    def unanswered(self) -> None:
        """The table could not be asked."""
        self.asking -= 1

    def _lease_size(self) -> int:
        expected = self.used_before - self.used
        wanted = expected // 2 if expected > 0 else self.used // _GROWTH
        return max(1, min(wanted, self.limit // _LEASES_OF_A_LIMIT))

    def remaining(self) -> int:
        """Calls that may still pass in this window, as far as this instance knows."""
        return max(0, self.limit - self.taken_by_all) + self.tokens
