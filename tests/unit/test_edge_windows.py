"""Rate windows hold their bounds whatever instances do, and let an even caller through."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.edge.windows import Lease


class Fleet:
    """Instances over one counter, as the table keeps it."""

    def __init__(self, limit: int, instances: int, *, leased: bool = True) -> None:
        self.limit = limit
        self.leases = [Lease(limit, leased) for _ in range(instances)]
        self.taken: dict[int, int] = {}
        self.passed: list[float] = []
        self.refused = 0
        self.questions = 0

    def call(self, instance: int, moment: float) -> bool:
        lease, second = self.leases[instance], int(moment)
        lease.enter(second)
        while not lease.spend():
            wanted = lease.ask()
            if wanted == 0:
                self.refused += 1
                return False
            self.questions += 1
            taken = self.taken.get(second, 0) + wanted
            if taken > self.limit:
                lease.refused(wanted)
            else:
                self.taken[second] = taken
                lease.granted(wanted, taken)
        self.passed.append(moment)
        return True


def most_within(moments: list[float], seconds: float) -> int:
    first, most = 0, 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


@given(
    limit=st.sampled_from([10, 50, 100, 500]),
    instances=st.integers(1, 20),
    leased=st.booleans(),
    gaps=st.lists(st.integers(0, 900), min_size=1, max_size=60),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=60, deadline=None)
def test_no_second_passes_twice_the_limit_nor_ten_seconds_eleven_times(
    limit: int, instances: int, leased: bool, gaps: list[int], seed: int
) -> None:
    fleet, rng, moment = Fleet(limit, instances, leased=leased), random.Random(seed), 0.0
    for gap in gaps:
        moment += gap / 1000
        for _ in range(rng.randrange(limit)):
            fleet.call(rng.randrange(instances), moment)
    assert most_within(fleet.passed, 1) <= 2 * limit
    assert most_within(fleet.passed, 10) <= 11 * limit


@given(
    limit=st.sampled_from([100, 500, 1000]),
    instances=st.integers(1, 20),
    start=st.floats(0, 1),
    routed=st.sampled_from(["in turn", "at random"]),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=60, deadline=None)
def test_an_even_caller_at_nine_tenths_of_the_limit_is_never_refused(
    limit: int, instances: int, start: float, routed: str, seed: int
) -> None:
    fleet, rng = Fleet(limit, instances), random.Random(seed)
    rate = limit * 0.9
    for n in range(int(rate * 5)):
        instance = n % instances if routed == "in turn" else rng.randrange(instances)
        fleet.call(instance, start + n / rate)
    assert fleet.refused == 0


@pytest.mark.parametrize("limit", [500, 1000])
def test_a_warm_instance_asks_the_table_for_few_of_its_calls(limit: int) -> None:
    fleet = Fleet(limit, 1)
    for n in range(limit * 5):
        fleet.call(0, n / limit)
    assert fleet.questions < len(fleet.passed) / 10


def test_an_instance_that_found_the_window_empty_asks_no_more_in_it() -> None:
    fleet = Fleet(10, 1, leased=False)
    answers = [fleet.call(0, 5.0) for _ in range(1_000)]
    assert (answers.count(True), fleet.questions) == (10, 11)


def test_unspent_tokens_end_with_their_window() -> None:
    lease = Lease(100, leased=True)
    lease.enter(1)
    lease.ask()
    lease.granted(5, 5)
    lease.enter(2)
    assert not lease.spend()


def test_a_refused_lease_is_followed_by_single_tokens() -> None:
    lease = Lease(100, leased=True, second=1, used=40)
    lease.enter(2)
    assert lease.ask() == 5
    lease.refused(5)
    assert lease.ask() == 1


def test_threads_do_not_take_the_same_lease_twice() -> None:
    lease = Lease(100, leased=True, second=1, used=40)
    lease.enter(2)
    assert [lease.ask(), lease.ask(), lease.ask()] == [5, 1, 1]


def test_a_pause_of_a_window_ends_the_expectation() -> None:
    lease = Lease(100, leased=True, second=1, used=40)
    lease.enter(3)
    assert lease.ask() == 1
