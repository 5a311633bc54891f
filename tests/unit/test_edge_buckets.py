"""Rate buckets hold their bounds whatever instances do, and let an even caller through."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.edge.buckets import LEASE, SECOND, Bucket


class Fleet:
    """Instances over one bucket, as the table keeps it; moments in ms."""

    def __init__(self, limit: int, instances: int, *, leased: bool = True) -> None:
        self.buckets = [Bucket(limit, leased) for _ in range(instances)]
        self.tat = 0
        self.passed: list[int] = []
        self.refused = 0
        self.questions = 0

    def call(self, instance: int, now: int) -> bool:
        bucket = self.buckets[instance]
        bucket.enter(now)
        for single in (False, True):
            if bucket.spend():
                self.passed.append(now)
                return True
            wanted = bucket.ask(now, single=single)
            if wanted and self._take(bucket, wanted, now) and bucket.spend():
                self.passed.append(now)
                return True
            if wanted <= 1:
                break
        self.refused += 1
        return False

    def _take(self, bucket: Bucket, wanted: int, now: int) -> bool:
        self.questions += 1
        begins = self.tat if self.tat >= now - bucket.slack else now
        paid = begins + wanted * bucket.interval
        if paid > now + bucket.burst:
            bucket.refused(self.tat, now)
            return False
        self.tat = paid
        bucket.granted(wanted, paid, now)
        return True


def most_within(moments: list[int], span: int) -> int:
    first, most = 0, 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - span:
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
@settings(max_examples=100, deadline=None)
def test_no_second_passes_twice_the_limit_nor_ten_seconds_eleven_times(
    limit: int, instances: int, leased: bool, gaps: list[int], seed: int
) -> None:
    fleet, rng, now = Fleet(limit, instances, leased=leased), random.Random(seed), SECOND
    for gap in gaps:
        now += gap
        for _ in range(rng.randrange(limit)):
            fleet.call(rng.randrange(instances), now)
    assert most_within(fleet.passed, SECOND) <= 2 * limit
    assert most_within(fleet.passed, 10 * SECOND) <= 11 * limit


def test_a_flood_is_held_to_the_bounds_and_gets_the_whole_limit() -> None:
    fleet = Fleet(10, 4, leased=False)
    for n in range(20_000):
        fleet.call(n % 4, SECOND + n)
    assert most_within(fleet.passed, SECOND) == 10 + 9
    assert len(fleet.passed) == 10 + 10 * 20 - 1


@given(
    limit=st.sampled_from([100, 500, 1000]),
    instances=st.integers(1, 20),
    start=st.integers(SECOND, 2 * SECOND),
    routed=st.sampled_from(["in turn", "at random"]),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=60, deadline=None)
def test_an_even_caller_at_nine_tenths_of_the_limit_is_never_refused(
    limit: int, instances: int, start: int, routed: str, seed: int
) -> None:
    fleet, rng = Fleet(limit, instances), random.Random(seed)
    rate = limit * 0.9
    for n in range(int(rate * 5)):
        instance = n % instances if routed == "in turn" else rng.randrange(instances)
        fleet.call(instance, start + int(SECOND * n / rate))
    assert fleet.refused == 0


@given(delays=st.lists(st.integers(0, 800), min_size=90, max_size=90), instances=st.integers(1, 8))
def test_calls_that_are_late_by_most_of_a_second_are_not_refused(delays: list[int], instances: int) -> None:
    fleet = Fleet(10, instances, leased=False)
    moments = sorted(SECOND + n * SECOND // 9 + delay for n, delay in enumerate(delays))
    for n, moment in enumerate(moments):
        fleet.call(n % instances, moment)
    assert fleet.refused == 0


@pytest.mark.parametrize("limit", [500, 1000])
def test_a_warm_instance_asks_the_table_for_few_of_its_calls(limit: int) -> None:
    fleet = Fleet(limit, 1)
    for n in range(limit * 5):
        fleet.call(0, SECOND + SECOND * n // limit)
    assert fleet.questions < len(fleet.passed) / 10


def test_an_instance_that_found_the_bucket_empty_asks_no_more_until_it_has_a_token() -> None:
    fleet = Fleet(10, 1, leased=False)
    answers = [fleet.call(0, 5_000) for _ in range(1_000)]
    assert (answers.count(True), fleet.questions) == (10, 11)
    assert not fleet.call(0, 5_099)
    assert fleet.questions == 11
    assert fleet.call(0, 5_100)


def test_who_is_refused_again_and_again_asks_later_each_time() -> None:
    bucket = Bucket(1_000, leased=False)
    waits = []
    for _ in range(7):
        bucket.ask(1_000)
        bucket.refused(1_000 + bucket.burst, 1_000)
        waits.append(bucket.refused_until - 1_000)
        bucket.refused_until = 0
    assert waits == [25, 50, 100, 200, 400, 400, 400]


def warm(spent: int) -> Bucket:
    """An instance that spent so many tokens in the slot before."""
    return Bucket(100, leased=True, slot=1_000 // LEASE - 1, spent=spent)


def test_unspent_tokens_end_with_their_lease() -> None:
    bucket = warm(40)
    bucket.enter(1_000)
    bucket.granted(bucket.ask(1_000), 1_050, 1_000)
    bucket.enter(1_000 + LEASE)
    assert not bucket.spend()


def test_threads_do_not_take_the_same_lease_twice() -> None:
    bucket = warm(40)
    bucket.enter(1_000)
    assert [bucket.ask(1_000) for _ in range(3)] == [5, 1, 1]


@pytest.mark.parametrize(
    ("spent", "now", "wanted"), [(40, 1_000, 5), (6, 1_000, 3), (0, 1_000, 1), (40, 1_000 + LEASE, 1)]
)
def test_a_lease_is_half_of_what_was_spent_lately_and_bounded(spent: int, now: int, wanted: int) -> None:
    bucket = warm(spent)
    bucket.enter(now)
    assert bucket.ask(now) == wanted


def test_a_lease_asks_for_no_more_than_there_is_room_for() -> None:
    bucket = warm(40)
    bucket.tat = 1_000 + bucket.burst - 2 * bucket.interval
    bucket.enter(1_000)
    assert bucket.ask(1_000) == 2


@pytest.mark.parametrize("told", [lambda bucket: bucket.remaining(1_000), lambda bucket: bucket.full_at(1_000)])
def test_what_is_told_changes_with_what_is_taken(told: Callable[[Bucket], int]) -> None:
    bucket = Bucket(10, leased=False)
    before = told(bucket)
    bucket.ask(1_000)
    bucket.granted(1, 1_100, 1_000)
    bucket.spend()
    assert told(bucket) != before
