"""Answer a question from the lake, in the function that has the engine.

What: the live objects are read anew for each question; the answer to the same question over the same objects is kept
for a minute. Where an object was compacted away meanwhile, the question is put again to those that are live then.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from chalicelib.core import clock, strict_json
from chalicelib.core.errors import Unavailable, ValidationFailed, detail
from chalicelib.features.analytics import answers, queries
from chalicelib.features.analytics.model import Question
from chalicelib.features.analytics.wire import to_wire
from chalicelib.features.lake import service as lake
from chalicelib.features.lake.model import Live
from chalicelib.platform.keys import Tenant
from chalicelib.platform.objects import ObjectGone
from chalicelib.readings.lake import route, span

_ATTEMPTS: Final = 5
_KEPT: Final = 256
_KEPT_BYTES: Final = 200_000
_MOST_BYTES: Final = 4_500_000
"""Lambda answers at most 6 MB, and the gateway 10."""

_AGE: Final = clock.MINUTE
"""Milliseconds for which an answer is given again; its `as_of` tells when it was found."""

_answers: OrderedDict[tuple[Tenant, str, object], tuple[int, dict[str, Any]]] = OrderedDict()


def run(tenant: Tenant, question: Question, now: int) -> dict[str, Any]:
    """The answer, as of `now` in the project's time.

    Raises Unavailable, and ValidationFailed where the answer is larger than a function may give.
    """
    if question.span.since >= question.span.until:
        return answers.answer(question, [], now)
    # As text: 1 and true are equal, and different questions.
    asked = strict_json.dumps(to_wire(question))
    for _ in range(_ATTEMPTS):
        live = lake.live(tenant)
        key = (tenant, asked, live.state)
        if (kept := _answers.get(key)) and abs(now - kept[0]) < _AGE:
            return dict(kept[1])
        try:
            told = answers.answer(question, _rows(tenant, live, question, now), now)
        except ObjectGone:
            continue
        _keep(key, now, told)
        return dict(told)
    raise Unavailable


def _keep(key: tuple[Tenant, str, object], now: int, told: dict[str, Any]) -> None:
    size = len(strict_json.dumps(told).encode())
    if size > _MOST_BYTES:
        message = "The answer is too large. Ask for a shorter time, a longer interval, or fewer groups."
        raise ValidationFailed(message, details=[detail("interval", "range", message)])
    if size <= _KEPT_BYTES:
        _answers[key] = now, told
        while len(_answers) > _KEPT:
            _answers.popitem(last=False)


def forget() -> None:
    """Keep no answer any longer; for tests, whose projects come and go."""
    _answers.clear()


def _rows(tenant: Tenant, live: Live, question: Question, now: int) -> Sequence[Sequence[Any]]:
    statement = queries.statement(tenant.project_id, question, now, span.recent_of(live))
    return route.engine(live)(tenant, live, statement, question.span.since, queries.until_of(question))
