"""Public verbs of the templates feature."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from chalicelib.core import ids, strict_json
from chalicelib.core.errors import Conflict, Detail, NotFound, Unavailable, ValidationFailed, detail
from chalicelib.features.templates import store
from chalicelib.features.templates.model import MAX_TEMPLATES, Rendered, RenderFailed, Template
from chalicelib.platform import cursor, definitions, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.platform.listing import Listed, escaped_size, within_answer
from chalicelib.platform.table import ConditionFailed, Op

if TYPE_CHECKING:
    from chalicelib.features.templates.schemas import NewTemplate, TemplatePatch

T = TypeVar("T")
_ENDPOINT = "templates"
_ATTEMPTS = 10
_KEPT_MAX = 64
_BESIDE_PARTS = 1_000
"""Bytes of the rest of a template in an answer, at the most."""

_kept: OrderedDict[tuple[Tenant, str], tuple[int, Template | None]] = OrderedDict()
_lock = threading.Lock()

SAMPLE: dict[str, Any] = {
    "now": 1_771_840_800_000,
    "contact": {
        "id": "cntct_01j8x2m4k00000000000000000",
        "email": "alice@example.com",
        "external_id": "user_123",
        "created_at": "2026-01-15T10:30:00Z",
        "traits": {"name": "Alice Chen", "first_name": "Alice", "plan": "growth"},
        "tags": ["beta"],
    },
    "event": {"name": "signup_completed", "timestamp": "2026-02-23T10:00:00Z", "properties": {}},
    "project": {"name": "Acme", "domain": "acme.com", "sender_name": "Acme", "postal_address": "1 Main Street"},
    "unsubscribe_url": "https://example.com/u/preview",
    "referral_link": "https://example.com/r/ALICE-ACME-7K2",
    "survey_link": "https://example.com/s/preview",
}
"""What templates are tried with when they are saved. The link leads nowhere: nobody gets this mail."""


def get(tenant: Tenant, template_id: str) -> Template:
    """The template. Raises NotFound."""
    found = store.load(tenant, template_id)
    if found is None:
        raise NotFound("There is no such template.")
    return found


def find(tenant: Tenant, template_id: str, version: int) -> Template | None:
    """The template as it stood at that version of the definitions, or later; no read where this instance knows it."""
    key = (tenant, template_id)
    with _lock:
        known = _kept.get(key)
        if known is not None and known[0] == version:
            _kept.move_to_end(key)
            return known[1]
    # Read after the version: it may be newer than that says, never older.
    found = store.load(tenant, template_id)
    with _lock:
        _kept[key] = (version, found)
        _kept.move_to_end(key)
        while len(_kept) > _KEPT_MAX:
            _kept.popitem(last=False)
    return found


def listing(tenant: Tenant, limit: int, after: str | None) -> tuple[list[Template], str | None]:
    """One page of templates, newest first, and the cursor of the next one. Raises BadRequest on a foreign cursor."""
    position = None if after is None else cursor.decode(after, tenant, _ENDPOINT, {})
    rows: list[Template] = []
    while len(rows) <= limit and (some := store.newest(tenant, limit + 1 - len(rows), position)):
        rows += some
        position = some[-1].id
    page = Listed(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)
    page = within_answer(page, _answer_bytes, lambda each: each.id)
    return page.rows, cursor.encode(tenant, _ENDPOINT, {}, page.position) if page.position else None


def _answer_bytes(template: Template) -> int:
    return _BESIDE_PARTS + sum(escaped_size(strict_json.dumps(part)) for part in template.parts.values())


def create(tenant: Tenant, body: "NewTemplate", now: int, receipt: Receipt) -> Template:
    """A new template.

    Raises ValidationFailed for a part that can't be rendered, Conflict where the project has too many.
    """
    from chalicelib.features.templates.schemas import fields, shown

    made = Template(id=ids.new_id("tmpl"), created_at=now, updated_at=now, **fields(body))
    _check(made)

    def write() -> Template:
        version = definitions.version(tenant)
        if store.count(tenant, MAX_TEMPLATES) >= MAX_TEMPLATES:
            raise Conflict(f"A project has at most {MAX_TEMPLATES:,} templates.")
        ops = [store.put(tenant, made), definitions.raise_op(tenant, version)]
        receipt.commit(ops, 201, shown(made).model_dump(mode="json"))
        return made

    return _retried(write)


def update(tenant: Tenant, template_id: str, patch: "TemplatePatch", now: int) -> Template:
    """Change a template. Raises NotFound, and ValidationFailed for a part that can't be rendered."""
    from chalicelib.features.templates.schemas import changes

    def write() -> Template:
        before = get(tenant, template_id)
        after = replace(before, **changes(patch))
        if after == before:
            return before
        after = replace(after, updated_at=now, version=before.version + 1)
        _check(after)
        table.transact([store.put(tenant, after), definitions.raise_op(tenant, None)])
        return after

    return _retried(write)


def removal(tenant: Tenant, template_id: str, before_all: int) -> list[Op]:
    """The operations that delete the template; refused where it is gone, or definitions were changed since that
    version."""
    return [store.remove(tenant, template_id), definitions.raise_op(tenant, before_all)]


def rendered(template: Template, context: dict[str, Any], subject: str | None = None) -> Rendered:
    """The mail that the template makes. Raises RenderFailed."""
    # The renderer and its libraries load slowly, and most functions never render.
    from chalicelib.features.templates.rendering import render

    return render(template, context, subject=subject)


def subject_fault(subject: str, field: str) -> Detail | None:
    """What is wrong with the merge tags of a subject that stands there in the request; None where nothing is."""
    from chalicelib.features.templates.merging import check

    try:
        check("subject", subject)
    except RenderFailed as failed:
        return _fault(failed, field)
    return None


def refusal(faults: Sequence[RenderFailed]) -> ValidationFailed:
    """What a caller is told of parts that can't be rendered."""
    return ValidationFailed("The template can't be rendered.", details=[_fault(each, each.field) for each in faults])


def _fault(failed: RenderFailed, field: str) -> Detail:
    at = "" if failed.line is None else f"Line {failed.line}: "
    fault = detail(field, "template", f"{at}{failed.message}")
    if failed.line is not None:
        fault["line"] = failed.line
    return fault


def _check(template: Template) -> None:
    from chalicelib.features.templates.rendering import faults

    if found := faults(template, SAMPLE):
        raise refusal(found)


def _retried(write: Callable[[], T]) -> T:
    for _ in range(_ATTEMPTS):
        try:
            return write()
        except ConditionFailed:
            continue
    raise Unavailable
