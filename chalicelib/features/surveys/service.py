"""Public verbs of the surveys feature."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from chalicelib.core import events, ids, strict_json
from chalicelib.core.errors import Conflict, NotFound, ValidationFailed, detail
from chalicelib.features.surveys import ledger, store
from chalicelib.features.surveys.catalog import Catalog
from chalicelib.features.surveys.ledger import Figures, OfQuestion
from chalicelib.features.surveys.model import (
    MAX_ACTIVE,
    MAX_SURVEYS,
    Mail,
    Response,
    Send,
    Status,
    Survey,
)
from chalicelib.platform import counters, cursor, definitions, mail_queue, outbox
from chalicelib.platform.keys import Tenant, moment_sk
from chalicelib.platform.listing import FIRST, Entry, Merge, Range, escaped_size, fill, within_answer
from chalicelib.platform.table import Item, Op

Row = TypeVar("Row", Send, Response)

_ENDPOINT: Final = "surveys"
_MAX_BYTES: Final = 64_000
_BESIDE_ANSWERS: Final = 2_500
"""Bytes of the rest of a row in an answer, at the most: ids, moments and effects, escaped."""

SWEEP: Final = "survey_sweep"
DUE: Final = "survey_send"
"""Kinds of the timers of a recurring survey, and of a send or its reminder."""

find = store.load
send = store.send
save_send = store.save_send
remove_send = store.remove_send
send_key = store.send_key
sends_of = store.sends_of
surveyed = store.surveyed
save_surveyed = store.save_surveyed
remove_surveyed = store.remove_surveyed
surveyed_key = store.surveyed_key
response = store.response
save_response = store.save_response
remove_response = store.remove_response
response_key = store.response_key
responses_of = store.responses_of
held = store.held
release = store.release
dispatch = mail_queue.dispatch


@dataclass(frozen=True, slots=True)
class SurveyMail:
    """What is due of a send, as it travels to the worker that mails.

    `turn` is the real moment at which it has its turn in the account's rate, None where none was given.
    """

    contact_id: str
    survey_id: str
    send_id: str
    mail: Mail
    turn: int | None = None

    @property
    def mark(self) -> str:
        """Names it among all work of the project."""
        return f"{self.survey_id}#{self.contact_id}#{self.send_id}#{self.mail}"


def _catalog(tenant: Tenant, version: int) -> Catalog:
    return Catalog(version, store.load_all(tenant) if version else [])


_catalogs = definitions.Kept(_catalog)


def catalog(tenant: Tenant) -> Catalog:
    """All surveys as they stand now; one consistent read where this instance knows them already."""
    return _catalogs.at(tenant, definitions.version(tenant))


def catalog_of(tenant: Tenant, item: Item | None) -> Catalog:
    """The same, given the row of the definitions' version as it was just read."""
    return _catalogs.at(tenant, definitions.version_in(item))


def get(tenant: Tenant, survey_id: str) -> Survey:
    """The survey. Raises NotFound."""
    found = store.load(tenant, survey_id)
    if found is None:
        raise NotFound("There is no such survey.")
    return found


def listing(
    tenant: Tenant, kind: str | None, status: str | None, limit: int, after: str | None
) -> tuple[list[Survey], str | None]:
    """One page of surveys, newest first, and the cursor of the next one. Raises BadRequest on a foreign cursor."""
    filters = {"type": kind, "status": status}
    position = None if after is None else cursor.decode(after, tenant, _ENDPOINT, filters)
    older = [
        each
        for each in reversed(store.load_all(tenant))
        if (position is None or each.id < position) and kind in (None, each.type) and status in (None, each.status)
    ]
    shown = older[:limit]
    return shown, cursor.encode(tenant, _ENDPOINT, filters, shown[-1].id) if len(older) > limit else None


def creation(tenant: Tenant, survey: Survey) -> list[Op]:
    """The operations that write a new survey; refused where definitions were changed meanwhile.

    Raises Conflict over MAX_SURVEYS.
    """
    version = definitions.version(tenant)
    if len(store.load_all(tenant)) >= MAX_SURVEYS:
        raise Conflict(f"A project has at most {MAX_SURVEYS:,} surveys.")
    return [store.put(tenant, _checked_size(survey)), definitions.raise_op(tenant, version)]


def change_ops(tenant: Tenant, after: Survey, before_all: int | None = None) -> list[Op]:
    """The operations that write a survey over the version before, `after.version - 1`.

    With `before_all` they are refused where definitions were changed since that version.
    """
    return [store.put(tenant, _checked_size(after)), definitions.raise_op(tenant, before_all)]


def _checked_size(survey: Survey) -> Survey:
    """The survey. Raises ValidationFailed where its definition is too large."""
    parts = [[each.text, *each.options] for each in survey.questions]
    if len(strict_json.dumps([parts, survey.trigger.filters]).encode()) > _MAX_BYTES:
        message = f"A survey's questions and filters together have at most {_MAX_BYTES:,} bytes of JSON."
        raise ValidationFailed(message, details=[detail("questions", "too_large", message)])
    return survey


def moved(before: Survey, status: Status, now: int) -> Survey:
    """The survey in another status."""
    after = replace(before, status=status, updated_at=now, version=before.version + 1)
    if status == "active":
        return replace(after, activated_at=before.activated_at or now, since=ids.new_ulid())
    return after


def check_room(tenant: Tenant) -> None:
    """Raises Conflict where no further survey may be active."""
    if sum(each.status == "active" for each in store.load_all(tenant)) >= MAX_ACTIVE:
        raise Conflict(f"A project has at most {MAX_ACTIVE} active surveys.")


def check_unused(
    tenant: Tenant, *, segment_id: str | None = None, template_id: str | None = None, program_id: str | None = None
) -> None:
    """Raises Conflict where a survey that is active or paused names the segment, the template or the program."""
    using = catalog(tenant).using(segment_id=segment_id, template_id=template_id, program_id=program_id)
    if using:
        raise Conflict(
            "Surveys that are active or paused use this.",
            details=[detail("id", "in_use", f"Used by {each}.") for each in using[:20]],
        )


def timers_partition(tenant: Tenant, survey_id: str) -> str:
    """The partition in which a survey's timers stand."""
    return tenant.survey_timers(survey_id)


def timer_name(survey_id: str, send_id: str) -> str:
    """The name of the timer of a send, beside its contact."""
    return f"{DUE}#{survey_id}#{send_id}"


def hold_ops(tenant: Tenant, survey: Survey, of: Send, mail: Mail) -> list[Op]:
    """The operations that keep what is due until the survey goes on; refused where it has done so meanwhile."""
    return [
        store.still(tenant, survey),
        store.hold(tenant, survey.id, of.contact_id, of.id, mail),
    ]


def due_event(tenant: Tenant, of: Send, mail: Mail, now: int) -> Op:
    """What tells the bus that something of the send is due."""
    data = {"contact_id": of.contact_id, "survey_id": of.survey_id, "send_id": of.id, "mail": mail}
    return outbox.emit(tenant, events.SURVEY_ASK_DUE, data, now)


def sends(
    tenant: Tenant, survey_id: str, state: str | None, limit: int, after: str | None, now: int, is_shown: "Shows"
) -> tuple[list[Send], str | None]:
    """A page of a survey's sends, newest first, and the cursor of the next one. Raises BadRequest on a foreign
    cursor. `is_shown` gives each as it is to be seen by now, None for what is not."""

    def hydrate(found: list[Entry]) -> list[Send | None]:
        rows = store.rows_of(found)
        read = [store.send(tenant, rows.get(entry.key)) for entry in found]
        seen = is_shown([each for each in read if each is not None])
        shown = [None if each is None or each.contact_id not in seen else each for each in read]
        return [
            replace(each, contact_id=seen[each.contact_id])
            if each is not None and state in (None, each.shown_as(now))
            else None
            for each in shown
        ]

    return _page(tenant, "survey_sends", survey_id, state, limit, after, tenant.send_partitions(survey_id), hydrate)


def responses(
    tenant: Tenant, survey_id: str, category: str | None, limit: int, after: str | None, is_shown: "Shows"
) -> tuple[list[Response], str | None]:
    """The same of its responses."""

    def hydrate(found: list[Entry]) -> list[Response | None]:
        rows = store.rows_of(found)
        read = [store.response(tenant, rows.get(entry.key)) for entry in found]
        seen = is_shown([each for each in read if each is not None])
        return [
            replace(each, contact_id=seen[each.contact_id])
            if each is not None and each.contact_id in seen and category in (None, each.category)
            else None
            for each in read
        ]

    partitions = tenant.response_partitions(survey_id)
    return _page(tenant, "survey_responses", survey_id, category, limit, after, partitions, hydrate)


Shows = Callable[[Sequence[Send] | Sequence[Response]], Mapping[str, str]]
"""Given rows, for each of their contacts that is there the one that it leads to by now."""


def _page(
    tenant: Tenant,
    endpoint: str,
    survey_id: str,
    only: str | None,
    limit: int,
    after: str | None,
    partitions: Sequence[str],
    hydrate: Callable[[list[Entry]], list[Row | None]],
) -> tuple[list[Row], str | None]:
    filters = {"survey": survey_id, "only": only}
    span = Range() if after is None else Range(FIRST, cursor.decode(after, tenant, endpoint, filters))
    page = fill(iter([Merge(partitions, "list", span, limit + 1)]), limit, hydrate)
    page = within_answer(page, _answer_bytes, _position)
    return page.rows, cursor.encode(tenant, endpoint, filters, page.position) if page.position else None


def _answer_bytes(row: Send | Response) -> int:
    said = [row.comment, dict(row.answers)] if isinstance(row, Response) else []
    return _BESIDE_ANSWERS + escaped_size(strict_json.dumps(said))


def _position(row: Send | Response) -> str:
    """Where a row stands in its list, as its key says."""
    if isinstance(row, Response):
        return moment_sk(row.responded_at, row.id)
    return moment_sk(row.created_at, f"{row.id}#{row.contact_id}")


def tally(tenant: Tenant, survey_id: str, day: str, deltas: Mapping[str, int], told_by: str) -> None:
    """Count in the survey's figures, in those of the month, and of its questions, what is told; each once."""
    parts = ledger.parts(day, deltas)
    to = {_counter(survey_id): parts.whole, _counter(survey_id, day[:7]): parts.month}
    to |= {_of_question(survey_id, question_id): fields for question_id, fields in parts.questions.items()}
    for counter, fields in to.items():
        if fields:
            counters.tally(tenant, counter, {told_by: fields})


def counts(tenant: Tenant, survey_id: str) -> dict[str, int]:
    """All that is counted of a survey; lags by less than 2 s."""
    counted = counters.tallied(tenant, _counter(survey_id))
    names = {_of_question(survey_id, each): each for each in ledger.question_ids(counted)}
    for counter, fields in counters.tallied_each(tenant, names).items():
        counted |= {f"q/{names[counter]}/{how}": n for how, n in fields.items()}
    return counted


def figures(survey: Survey, counted: Mapping[str, int]) -> tuple[Figures, list[OfQuestion]]:
    """What the counts say, and for each question of a custom survey."""
    return ledger.figures(survey.type, counted), ledger.of_questions(survey, counted)


def by_day(tenant: Tenant, survey: Survey, first: str, last: str) -> dict[str, Figures]:
    """The figures of each day that has any, from the first to the last, as `YYYY-MM-DD`, both included."""
    found: dict[str, Figures] = {}
    months = {_counter(survey.id, month): month for month in _months(first, last)}
    for counter, counted in counters.tallied_each(tenant, months).items():
        for day, its in sorted(ledger.days(counted, months[counter]).items()):
            if first <= day <= last and any(its.values()):
                found[day] = ledger.figures(survey.type, its)
    return found


def _months(first: str, last: str) -> list[str]:
    """The months from that of the first day to that of the last, as `YYYY-MM`."""
    begin, end = (int(day[:4]) * 12 + int(day[5:7]) - 1 for day in (first, last))
    return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(begin, end + 1)]


def _of_question(survey_id: str, question_id: str) -> str:
    """The counter of one question's answers."""
    return f"SRVY#{survey_id}#Q#{question_id}"


def _counter(survey_id: str, month: str | None = None) -> str:
    return f"SRVY#{survey_id}" if month is None else f"SRVY#{survey_id}#{month}"


def new_response_id() -> str:
    """The id of a new response."""
    return ids.new_id("resp")
