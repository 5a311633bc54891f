"""The list of a project's contacts, and how many there are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chalicelib.core import strict_json
from chalicelib.features.contacts import store
from chalicelib.features.contacts.model import MAX_CONTACT_BYTES, MAX_TRAIT_BYTES, Contact, Person, normal_email
from chalicelib.features.contacts.names import Names
from chalicelib.platform import cursor, table
from chalicelib.platform.keys import Tenant, contact_of, moment_sk
from chalicelib.platform.listing import FIRST, LAST, Listed, Range, escaped_size, fill, within_answer
from chalicelib.platform.table import ConditionFailed

_BESIDE_TRAITS = 2 * (MAX_CONTACT_BYTES - MAX_TRAIT_BYTES)
_COUNTED_AT_ONCE = 90
_MEASURED_FROM = 5_000_000
"""Bytes that a page may have before it is worth to measure it."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which contacts to list; moments in ms, `created_after` and `created_before` exclusive."""

    tag: str | None = None
    created_after: int | None = None
    created_before: int | None = None
    email: str | None = None
    external_id: str | None = None
    segment_id: str | None = None


def listing(
    tenant: Tenant, only: Filter, limit: int, after: str | None, endpoint: str = "contacts"
) -> tuple[list[Person], str | None]:
    """A page of contacts, newest first, and the cursor of the next one, bound to `endpoint`.

    Raises BadRequest on a cursor of another list.
    """
    filters = {
        "tag": only.tag,
        "created_after": only.created_after,
        "created_before": only.created_before,
        "email": only.email,
        "external_id": only.external_id,
        "segment_id": only.segment_id,
    }
    position = LAST if after is None else cursor.decode(after, tenant, endpoint, filters)
    span = _span(only, position)
    if only.email is not None or only.external_id is not None:
        found: list[Person] = [contact for contact in _exact(tenant, only) if _matches(contact, only, span)]
        return found, None
    tag = None if only.segment_id is not None else only.tag
    sources = store.entries(tenant, tag, span, limit, only.segment_id)
    page: Listed[Person] = fill(sources, limit, lambda entries: _with_tag(store.hydrate(tenant, entries), only.tag))
    if 2 * len(page.rows) * MAX_CONTACT_BYTES > _MEASURED_FROM:
        page = within_answer(page, _answer_bytes, lambda person: moment_sk(person.created_at, person.id))
    following = cursor.encode(tenant, endpoint, filters, page.position) if page.position else None
    return page.rows, following


def ids_page(
    tenant: Tenant, limit: int, *, since: int | None = None, before: int | None = None, position: str | None = None
) -> tuple[list[str], str | None]:
    """Ids of contacts, newest first, and where to go on: from `position` on, or of those created before `before` (ms).

    With `since` (ms) only those created then or later. An index, which lags; contacts that are gone may be among them.
    """
    start = LAST if before is None else moment_sk(before, "")
    span = Range(FIRST if since is None else moment_sk(max(0, since), ""), position or start)
    page = fill(store.entries(tenant, None, span, limit), limit, lambda found: [one.key.pk for one in found])
    return [contact_of(partition) or "" for partition in page.rows], page.position


def oldest(tenant: Tenant) -> int | None:
    """When the oldest contact was created, in ms; None where there is none. An index, which lags."""
    return store.oldest(tenant)


def count(tenant: Tenant) -> int:
    """How many contacts the project has; lags a write by less than 2 s."""
    return store.count(tenant)


def count_changes(tenant: Tenant, contact_ids: Iterable[str], name: str, delta: int) -> None:
    """Add `delta` to the project's count for each of the contacts, once for each contact and event name."""
    waiting = list(dict.fromkeys(contact_ids))
    while waiting:
        some, waiting = waiting[:_COUNTED_AT_ONCE], waiting[_COUNTED_AT_ONCE:]
        try:
            table.transact(store.count_ops(tenant, dict.fromkeys(some, name), delta * len(some)))
        except ConditionFailed as refused:
            # Counted before: those are left out and the rest is tried again.
            waiting = [contact_id for n, contact_id in enumerate(some) if n not in refused.failed] + waiting


def _with_tag(found: Sequence[Person | None], tag: str | None) -> list[Person | None]:
    return [one if one is None or tag is None or tag in one.tags else None for one in found]


def _answer_bytes(person: Person) -> int:
    return escaped_size(strict_json.dumps(person.traits)) + _BESIDE_TRAITS


def _span(only: Filter, position: str) -> Range:
    # An instant is exclusive on both sides, so the first position after it is that of the next millisecond.
    low = FIRST if only.created_after is None else moment_sk(max(0, only.created_after + 1), "")
    high = LAST if only.created_before is None else moment_sk(max(0, only.created_before), "")
    return Range(low, min(high, position))


def _exact(tenant: Tenant, only: Filter) -> list[Contact]:
    email = normal_email(only.email) if only.email is not None else None
    if only.email is not None and email is None:
        return []
    names = Names(user=only.external_id, email=email)
    found = store.identity_pointers(tenant, names.identities())
    return list(store.fetch(tenant, {pointer.contact for pointer in found.values()}).values())


def _matches(contact: Contact, only: Filter, span: Range) -> bool:
    position = moment_sk(contact.created_at, contact.id)
    return (
        contact.status == "active"
        and (only.email is None or contact.email == normal_email(only.email))
        and (only.external_id is None or only.external_id in contact.users)
        and (only.tag is None or only.tag in contact.tags)
        and span.low <= position < span.high
    )
