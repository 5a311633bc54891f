"""The arithmetic of rate limits: pure, without a clock and without the table.

A key has one bucket for all instances, kept as the moment `tat` (theoretical arrival time) up to which its calls are
paid for: the generic cell rate algorithm (ITU-T I.371). A call costs `interval` = 1,000 / limit milliseconds and passes
where `tat` does not run further ahead of now than `burst`. So in any span of T ms at most (burst + T) / interval calls
pass: with a burst of one second never more than twice the limit in a second, nor eleven times it in ten. And a caller
who stays below the limit may be a second early or late without a refusal, which a count that starts anew with each
second would not bear.

An instance may take tokens ahead of need, to spare calls. They pass later than they were paid for, by LEASE at the
most, so a leased bucket's burst is shorter by as much. What is taken and not spent is lost to the others: an instance
takes half of what it spent lately, and a twentieth of the limit at the most.

All instances write one row for a key, which takes about a thousand writes a second. So a payment may begin up to SLACK
ago, and the burst is shorter by that: a row that was idle for a moment needs no second write. And who was refused asks
again later each time.
"""

from dataclasses import dataclass

SECOND = 1_000

LEASE = 250
"""Milliseconds for which tokens taken ahead may be spent."""

SLACK = 50
"""Milliseconds by which `tat` may lie behind now and still be added to; for limits whose calls are closer together."""

_LEASES_OF_A_LIMIT = 20
_FIRST_WAIT = 25
_LONGEST_WAIT = 400


@dataclass(slots=True)
class Bucket:
    """What one instance knows of one key's bucket; moments in ms. Not thread-safe by itself.

    `leased` False takes one token for each call.
    """

    limit: int
    leased: bool
    tat: int = 0
    tokens: int = 0
    tokens_end: int = 0
    slot: int = 0
    spent: int = 0
    spent_before: int = 0
    refused_until: int = 0
    refusals: int = 0
    asking: int = 0

    @property
    def interval(self) -> int:
        """Milliseconds that one call costs; the limits divide a second."""
        return SECOND // self.limit

    @property
    def slack(self) -> int:
        """Milliseconds by which `tat` may lie behind now and still be added to."""
        return SLACK if self.interval < SLACK else 0

    @property
    def burst(self) -> int:
        """Milliseconds by which `tat` may run ahead of now."""
        return SECOND - self.slack - (LEASE if self.leased else 0)

    def enter(self, now: int) -> None:
        """Go on to this moment: unspent tokens end with their lease, and what was spent is counted by its length."""
        slot = now // LEASE
        if slot != self.slot:
            self.spent_before = self.spent if slot == self.slot + 1 else 0
            self.slot, self.spent = slot, 0
        if now >= self.tokens_end:
            self.tokens = 0

    def spend(self) -> bool:
        """Let one call pass on a token in hand; False where there is none."""
        if self.tokens == 0:
            return False
        self.tokens -= 1
        self.spent += 1
        return True

    def ask(self, now: int, *, single: bool = False) -> int:
        """How many tokens to take from the table now, one where `single`; 0 where it is known to have none.

        Each question is to be answered by one of `granted`, `refused` and `unanswered`. While one thread waits for a
        lease the others take single tokens, so that together they do not take it several times.
        """
        if now < self.refused_until:
            return 0
        self.asking += 1
        if single or not self.leased or self.asking > 1:
            return 1
        room = (now + self.burst - max(self.tat, now)) // self.interval
        return max(1, min(self.spent_before // 2, self.limit // _LEASES_OF_A_LIMIT, room))

    def granted(self, tokens: int, tat: int, now: int) -> None:
        """The table gave tokens at the moment `now`; they are spent until the lease ends."""
        self.asking -= 1
        self.tokens += tokens
        self.tokens_end = now + LEASE
        self.tat = max(self.tat, tat)
        self.refusals = 0

    def refused(self, tat: int, now: int) -> None:
        """The table had no such number of tokens: none is asked for before there may be one again."""
        self.asking -= 1
        self.tat = max(self.tat, tat)
        wait = min(_LONGEST_WAIT, _FIRST_WAIT << min(self.refusals, 10))
        self.refusals += 1
        self.refused_until = max(tat + self.interval - self.burst, now + wait)

    def unanswered(self) -> None:
        """The table could not be asked."""
        self.asking -= 1

    def remaining(self, now: int) -> int:
        """Calls that may pass at once, as far as this instance knows."""
        return max(0, now + self.burst - max(self.tat, now)) // self.interval + self.tokens

    def full_at(self, now: int) -> int:
        """The moment from which the whole burst may pass again, as far as this instance knows."""
        return max(self.tat, now)
