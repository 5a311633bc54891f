"""A crowd whose members do much around a change of the clock, and all that one asks of such, for analytics' oracle.

Where random histories have few events and odd ones, these have many: medians, ranks and rates of more than one or two.
Many moments are whole hours from one another, so that windows, spans and buckets end exactly where something happens.
"""

from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any

from chalicelib.features.analytics.model import (
    CohortQuestion,
    Filter,
    FunnelQuestion,
    Interval,
    Measure,
    Path,
    Question,
    Series,
    Span,
    Step,
)
from tests.support.analytics_histories import HOUR, MINUTE, SCALARS, changes
from tests.support.analytics_oracle import DAY, SECOND, at, midnight
from tests.support.analytics_people import Act

_INTERVALS: tuple[Interval, ...] = ("hour", "day", "week", "month")
_MEASURES: tuple[Measure, ...] = ("event_count", "unique_contacts")
_GROUPS = (Path("traits", "plan"), Path("properties", "page"), Path("properties", "a.b"), Path("properties", "a.b.c"))
_EVENTS = ("visit", "visit", "visit", "signup", "signup", "pay")
_PLANS = ("free", "pro", "pro", "PRO", 1, 1.0, "1", True, "true", ["pro"], None)
_ODD = Path("properties", 'it\'s "odd" \\ größe -- %_[0]')
_ODDITIES = (*SCALARS, None, [], ["pro", 1], {"b": 1})
_PAGES = 70
"""More than are told of."""

_AFTER = 13 * DAY
"""From the middle to the receipt of all."""


class Crowd:
    """So many events of so many contacts around the last change of a zone's clock."""

    def __init__(self, seed: int, zone: str, count: int, people: int) -> None:
        self.zone = zone
        self.middle = changes(zone)[-1]
        self.received_at = self.middle + _AFTER + 137
        self._chance = Random(seed)
        local = at(self.middle, zone).date()
        first, last = local - timedelta(days=60), local + timedelta(days=10)
        self._whole = Span(midnight(first, zone), midnight(last, zone), zone)
        self._lately = Span(self.middle - 2 * DAY, self.middle + 30 * HOUR, zone)
        self.acts = [self._signs_in(n) for n in range(people)]
        self.acts += [self._does(self._chance.randrange(people)) for _ in range(count)]
        self.acts += self._on_edges()
        later = self.received_at + HOUR
        for n in range(0, people - 2, 9):
            self.acts.append(Act(kind="merge", received_at=later + 2 * n, user=f"u{n}", source=f"u{n + 1}"))
            self.acts.append(Act(kind="delete", received_at=later + 2 * n + 1, user=f"u{n + 2}"))

    def _signs_in(self, n: int) -> Act:
        """As somebody who may have been here before as a visitor."""
        return Act(
            kind="identify",
            received_at=self.received_at + n,
            user=f"u{n}",
            visitor=f"v{n}",
            message_id=f"sign-in {n}",
            timestamp=self.middle - self._chance.randrange(60) * DAY,
            traits={"plan": self._chance.choice(_PLANS)},
        )

    def _does(self, who: int) -> Act:
        chance = self._chance
        distances = (chance.randrange(-60 * DAY, 12 * DAY), chance.randrange(-2 * DAY, 2 * DAY))
        hours = HOUR * chance.choice((chance.randrange(-100, 100), chance.randrange(-1_400, 280)))
        is_known = chance.random() < 0.8
        properties: dict[str, Any] = {
            "page": f"p{int(_PAGES * chance.random() ** 2):02}",
            "a": {"b": chance.choice((1, "1", 2.5, 1e-7, 1e22, [1], None, {"c": "in"})), "b.c": "beside"},
            "a.b": chance.choice(("literal", {"c": "within"})),
            _ODD.name: chance.choice(_ODDITIES),
        }
        return Act(
            kind="track",
            received_at=self.received_at + HOUR // 2,
            user=f"u{who}" if is_known else None,
            visitor=None if is_known else f"v{who}",
            event=chance.choice(_EVENTS),
            timestamp=self.middle + chance.choice((*distances, hours, hours)),
            properties={name: value for name, value in properties.items() if chance.random() < 0.7},
        )

    def _on_edges(self) -> list[Act]:
        """What happens just where windows and spans end, whatever chance says."""
        done = [("visit", 0, 0), ("signup", DAY, 0), ("pay", 3 * DAY, 0)]
        edges = [("sharp", *each) for each in done] + [("halfway", *each) for each in done[:2]]
        edges += [("late", "visit", each.until - self.middle, 0) for each in (self._lately, self._whole)]
        # Of one moment: by their receipt in another order than by their ids, then in the order of these, then not.
        edges += [("tied", "signup", 0, 2), ("tied", "visit", 0, 1)]
        edges += [("paired", "visit", 0, 3), ("paired", "signup", 0, 3)]
        edges += [("crossed", "signup", 0, 3), ("crossed", "visit", 0, 3)]
        return [
            Act(
                kind="track",
                received_at=self.received_at + HOUR // 2 + receipt,
                user=who,
                event=event,
                timestamp=self.middle + after,
                properties={"page": "edge"},
            )
            for who, event, after, receipt in edges
        ]

    def moments(self) -> list[int]:
        """When to ask: soon, on a moment that windows end at, around the beginning of a week, and much later."""
        local = at(self.middle, self.zone).date()
        monday = midnight(local + timedelta(days=14 - local.weekday()), self.zone)
        return [self.middle + 3 * DAY, monday - 1, monday, self.middle + 40 * DAY]

    def questions(self) -> Iterator[Question]:
        """Of each kind."""
        lately, whole = self._lately, self._whole
        local = at(self.middle, self.zone).date()
        yield from self._series(lately, whole)
        yield from self._funnels(lately, whole)
        yield Series("event_count", None, "month", whole, (), _ODD)
        for each in SCALARS:
            yield Series("event_count", None, "month", whole, (Filter(_ODD, (each,)),))
        pro = Step("visit", (Filter(Path("traits", "plan"), ("pro", 1)),))
        weeks = Span(whole.since, midnight(local - timedelta(days=20), self.zone), self.zone)
        yield CohortQuestion(Step("visit"), Step("pay"), "week", 8, whole)
        yield CohortQuestion(Step("signup"), Step("visit"), "week", 12, weeks)
        yield CohortQuestion(Step("signup"), Step("visit"), "month", 3, whole)
        yield CohortQuestion(pro, pro, "week", 4, lately)

    def _series(self, lately: Span, whole: Span) -> Iterator[Question]:
        plans = Filter(Path("traits", "plan"), ("pro", 1))
        true = Filter(Path("traits", "plan"), (True, "never"))
        values = Filter(Path("properties", "a.b"), (1, 2.5, 1e22, "literal"))
        for interval in _INTERVALS:
            span = lately if interval == "hour" else whole
            for measure in _MEASURES:
                yield Series(measure, None, interval, span)
                for n, group_by in enumerate(_GROUPS):
                    yield Series(measure, ("visit", None, "pay", "signup")[n], interval, span, (), group_by)
                yield Series(measure, "visit", interval, span, (plans, values))
                yield Series(measure, "visit", interval, span, (true,), _GROUPS[1])

    def _funnels(self, lately: Span, whole: Span) -> Iterator[Question]:
        visit, signup, pay = Step("visit"), Step("signup"), Step("pay")
        pro = Step("signup", (Filter(Path("traits", "plan"), ("pro", 1)),))
        dear = Step("pay", (Filter(Path("properties", "a.b"), (1, "literal")),))
        for window in (30 * MINUTE, HOUR, DAY, 3 * DAY, 60 * DAY):
            yield FunnelQuestion((visit, signup, pay), window, whole)
            yield FunnelQuestion((visit, visit, visit, signup), window, lately)
            yield FunnelQuestion((pro, dear), window, whole)
        yield FunnelQuestion((visit,), SECOND, lately)
