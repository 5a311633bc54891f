"""Answer a question from the lake, in the function that has the engine.

What: the live objects are read anew for each question; the answer to the same question over the same objects is kept
for a minute. Where an object was compacted away meanwhile, the question is put again to those that are live then.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from chalicelib.core import clock, strict_json
from chalicelib.core.errors import Unavailable
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
_AGE: Final = clock.MINUTE
"""Milliseconds for which an answer is given again; its `as_of` tells when it was found."""

_answers: OrderedDict[tuple[Tenant, str, object], tuple[int, dict[str, Any]]] = OrderedDict()


def run(tenant: Tenant, question: Question, now: int) -> dict[str, Any]:
    """The answer, as of `now` in the project's time. Raises Unavailable."""
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
        _answers[key] = now, told
        while len(_answers) > _KEPT:
            _answers.popitem(last=False)
        return dict(told)
    raise Unavailable


def forget() -> None:
    """Keep no answer any longer; for tests, whose projects come and go."""
    _answers.clear()


def _rows(tenant: Tenant, live: Live, question: Question, now: int) -> Sequence[Sequence[Any]]:
    statement = queries.statement(tenant.project_id, question, now, span.recent_of(live))
    return route.engine(live)(tenant, live, statement, question.span.since, queries.until_of(question))
