"""Questions of every shape, as examples for tests of their SQL."""

from itertools import product
from typing import Literal

from chalicelib.features.analytics import queries
from chalicelib.features.analytics.model import (
    CohortQuestion,
    Figures,
    Filter,
    FunnelQuestion,
    Interval,
    Measure,
    Path,
    Question,
    Scalar,
    Series,
    Span,
    Step,
)

NOW = 1_796_342_400_000
DAY = 86_400_000
SPAN = Span(NOW - 60 * DAY, NOW, "America/New_York")


def every_shape(
    event: str = "signup", path: str = "plan", values: tuple[Scalar, ...] = ("growth", "5", 5, True)
) -> list[Question]:
    """Each type with and without filters and groups, of all intervals, where clocks change within the span."""
    filters = tuple(Filter(each, values) for each in (Path("traits", path), Path("properties", path)))
    groups = (None, Path("traits", path), Path("properties", path))
    measures: tuple[Measure, ...] = ("event_count", "unique_contacts")
    intervals: tuple[Interval, ...] = ("hour", "day", "week", "month")
    asked: list[Question] = [
        Series(measure, name, interval, SPAN, filtered, group)
        for measure, name, interval, filtered, group in product(
            measures, (None, event), intervals, ((), filters), groups
        )
    ]
    weeks_and_months: tuple[Literal["week", "month"], ...] = ("week", "month")
    for count in (1, 2, 4, 10):
        steps = tuple(Step(f"{event}{n}", filters if n == 1 else ()) for n in range(count))
        asked.append(FunnelQuestion(steps, 7 * DAY, SPAN))
    asked += [CohortQuestion(Step(event, filters), Step(event), each, 8, SPAN) for each in weeks_and_months]
    return [*asked, Figures(SPAN, NOW - 30 * DAY, NOW - 31 * DAY, NOW - DAY)]


def texts(asked: list[Question]) -> list[str]:
    """Their SQL, where everything is compacted and where some is not."""
    recents = (None, queries.Recent(NOW - DAY, NOW))
    return [queries.statement("proj_one", each, NOW, recent).sql().text for each in asked for recent in recents]
