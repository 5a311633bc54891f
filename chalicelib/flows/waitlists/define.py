"""Create waitlists, change them, and delete them. Each is one transaction over the version of all definitions."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.core import events, ids
from chalicelib.core.errors import ValidationFailed, detail
from chalicelib.features.projects import service as projects
from chalicelib.features.templates import service as templates
from chalicelib.features.waitlists import service as waitlists
from chalicelib.features.waitlists.model import Stats, Waitlist
from chalicelib.platform import definitions, outbox, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import ConditionFailed, Op

if TYPE_CHECKING:
    from chalicelib.features.waitlists.schemas import NewWaitlist, WaitlistPatch

_TEMPLATES = ("welcome_email_template_id", "invite_email_template_id")


def create(tenant: Tenant, body: "NewWaitlist", now: int, receipt: Receipt) -> Waitlist:
    """A new waitlist. Raises ValidationFailed for templates that are not there, Conflict for a slug that is taken, or
    over the limit."""
    from chalicelib.features.waitlists.schemas import shown

    given = body.model_dump()
    domain = projects.get(tenant).domain
    if given["landing_url"] is None and domain is not None:
        given["landing_url"] = f"https://{domain}"
    made = Waitlist(id=ids.new_id("wl"), created_at=now, updated_at=now, **given)
    answer = shown(made, Stats(0, 0)).model_dump(mode="json")

    def act() -> Waitlist:
        ops = waitlists.creation(tenant, made)
        _check_templates(tenant, made, _TEMPLATES)
        _refusing_slug(made.slug, lambda: receipt.commit(ops, 201, answer))
        return made

    return waitlists.retried(act)


def change(tenant: Tenant, waitlist_id: str, patch: "WaitlistPatch", now: int) -> Waitlist:
    """Change a waitlist. Raises NotFound; ValidationFailed for templates that are not there, Conflict for a slug that
    is taken."""
    changes = {name: getattr(patch, name) for name in patch.model_fields_set}

    def act() -> Waitlist:
        version = definitions.version(tenant)
        before = waitlists.get(tenant, waitlist_id)
        after = replace(before, **changes)
        if after == before:
            return before
        after = replace(after, updated_at=now, version=before.version + 1)
        _check_templates(tenant, after, [name for name in _TEMPLATES if name in changes])
        ops = [*waitlists.change_ops(tenant, before, after, version), *_relinked(tenant, before, after, now)]
        _refusing_slug(after.slug if after.slug != before.slug else None, lambda: table.transact(ops))
        return after

    return waitlists.retried(act)


def remove(tenant: Tenant, waitlist_id: str, now: int) -> Waitlist:
    """Delete a waitlist: nobody joins or is found in it any more; its entries go in the background. Raises NotFound."""

    def act() -> Waitlist:
        known = waitlists.get(tenant, waitlist_id)
        told = outbox.emit(tenant, events.WAITLIST_REMOVED, {"waitlist_id": known.id}, now)
        table.transact([*waitlists.removal_ops(tenant, known), told])
        return known

    return waitlists.retried(act)


def _relinked(tenant: Tenant, before: Waitlist, after: Waitlist, now: int) -> Sequence[Op]:
    if after.landing_url == before.landing_url:
        return []
    return [outbox.emit(tenant, events.WAITLIST_RELINKED, {"waitlist_id": after.id}, now)]


def _check_templates(tenant: Tenant, known: Waitlist, fields: Iterable[str]) -> None:
    """Raises ValidationFailed where one of the fields names a template that is not there."""
    version = definitions.version(tenant)
    named = {field: getattr(known, field) for field in fields}
    faults = [
        detail(field, "unknown", "There is no such template.")
        for field, template_id in named.items()
        if template_id is not None and templates.find(tenant, template_id, version) is None
    ]
    if faults:
        raise ValidationFailed("The waitlist names what is not there.", details=faults)


def _refusing_slug(slug: str | None, write: Callable[[], None]) -> None:
    """Write. Raises Conflict where the slug, if one is claimed by the first operation, is taken."""
    try:
        write()
    except ConditionFailed as refused:
        if slug is not None and 0 in refused.failed:
            raise waitlists.taken(slug) from None
        raise
