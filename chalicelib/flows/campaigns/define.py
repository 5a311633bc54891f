"""Create campaigns, change them, and move them between their statuses.

Each is one transaction over the campaign's version, and where others of the project are counted or named, over that of
all definitions too.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.core import events, ids
from chalicelib.core.errors import Conflict, Detail, ValidationFailed, detail
from chalicelib.core.rules.parse import parse
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.model import Campaign, Status, keyed, misfits
from chalicelib.features.projects import service as projects
from chalicelib.features.surveys import service as surveys
from chalicelib.features.templates import service as templates
from chalicelib.features.timers import service as timers
from chalicelib.features.waitlists import service as waitlists
from chalicelib.flows.campaigns import references
from chalicelib.platform import definitions, outbox, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.platform.retries import retried
from chalicelib.platform.table import Op

if TYPE_CHECKING:
    from chalicelib.features.campaigns.schemas import CampaignPatch, NewCampaign

_MOVES: dict[Status, tuple[Status, ...]] = {
    "active": ("draft", "paused"),
    "paused": ("active",),
    "archived": ("draft", "active", "paused", "completed"),
}
"""To each status the ones that it may be reached from by request."""


def create(tenant: Tenant, body: "NewCampaign", now: int, receipt: Receipt) -> Campaign:
    """A new campaign, as a draft. Raises ValidationFailed with every fault of its rules, Conflict over the limit."""
    from chalicelib.features.campaigns.schemas import defined, shown

    made = defined(body, ids.new_id("cmpgn"), now)
    _check(made)
    answer = shown(made).model_dump(mode="json")
    retried(lambda: receipt.commit(campaigns.creation(tenant, made), 201, answer))
    return made


def change(tenant: Tenant, campaign_id: str, patch: "CampaignPatch", now: int) -> Campaign:
    """Change a campaign; contacts in an active one keep their place.

    Raises NotFound; ValidationFailed; Conflict where it has ended, or a broadcast has begun and can't be changed so.
    """

    def act() -> Campaign:
        version = definitions.version(tenant)
        before = campaigns.get(tenant, campaign_id)
        after = _patched(before, patch, now)
        if after == before:
            return before
        _check_change(before, after)
        _check(after)
        is_going = after.status in ("active", "paused")
        if is_going and (faults := references.unknown(tenant, after)):
            raise ValidationFailed(
                "A campaign that is active or paused can't be changed to what can't be sent.", details=faults
            )
        table.transact(_change_ops(tenant, before, after, now, version if is_going else None))
        return after

    return retried(act)


def activate(tenant: Tenant, campaign_id: str, now: int, receipt: Receipt) -> Campaign:
    """Start a campaign, or go on with one that is paused.

    Raises NotFound, Conflict for another status or over the limit, and ValidationFailed with all that it lacks.
    """

    def ops(before: Campaign, after: Campaign, version: int) -> list[Op]:
        campaigns.check_room(tenant)
        if faults := _lacks(tenant, before):
            raise ValidationFailed("The campaign can't be sent yet.", details=faults)
        told = campaigns.change_ops(tenant, after, now, events.CAMPAIGN_ACTIVATED, version)
        return [*told, *_beginning(tenant, before, after, now)]

    return _move(tenant, campaign_id, "active", now, receipt, ops)


def pause(tenant: Tenant, campaign_id: str, now: int, receipt: Receipt) -> Campaign:
    """Stop a campaign's mails; contacts keep their place. Raises NotFound, Conflict where it is not active."""

    def ops(_before: Campaign, after: Campaign, _version: int) -> list[Op]:
        return campaigns.change_ops(tenant, after, now, events.CAMPAIGN_PAUSED)

    return _move(tenant, campaign_id, "paused", now, receipt, ops)


def archive(tenant: Tenant, campaign_id: str, now: int, receipt: Receipt) -> Campaign:
    """End a campaign for good. Raises NotFound, Conflict where that was done before."""

    def ops(before: Campaign, after: Campaign, _version: int) -> list[Op]:
        return [*campaigns.change_ops(tenant, after, now), *_unscheduled(tenant, before)]

    return _move(tenant, campaign_id, "archived", now, receipt, ops)


def _move(
    tenant: Tenant,
    campaign_id: str,
    status: Status,
    now: int,
    receipt: Receipt,
    ops: Callable[[Campaign, Campaign, int], list[Op]],
) -> Campaign:
    from chalicelib.features.campaigns.schemas import shown

    def act() -> Campaign:
        version = definitions.version(tenant)
        before = campaigns.get(tenant, campaign_id)
        if before.status not in _MOVES[status]:
            raise Conflict(f"A campaign that is {before.status} can't become {status}.")
        after = campaigns.moved(before, status, now)
        receipt.commit(ops(before, after, version), 200, shown(after).model_dump(mode="json"))
        return after

    return retried(act)


def _beginning(tenant: Tenant, before: Campaign, after: Campaign, now: int) -> list[Op]:
    """What makes a campaign that has not begun go out to those who are there already."""
    if before.started_at is not None and (after.type == "broadcast" or before.is_walked):
        return []
    if after.type == "broadcast":
        return _scheduled(tenant, before, after, now)
    if after.trigger is None or after.trigger.event is not None or not after.trigger.include_existing:
        return []
    return [outbox.emit(tenant, events.BROADCAST_DUE, {"campaign_id": after.id}, now)]


def _scheduled(tenant: Tenant, before: Campaign, after: Campaign, now: int) -> list[Op]:
    owner = campaigns.timers_partition(tenant, after.id)
    if after.scheduled_at is not None and after.scheduled_at > now:
        kind = campaigns.SCHEDULED
        return timers.set_ops(tenant, owner, kind, kind, after.scheduled_at, before=before.scheduled_at)
    due = outbox.emit(tenant, events.BROADCAST_DUE, {"campaign_id": after.id}, now)
    return [*_unscheduled(tenant, before), due]


def _unscheduled(tenant: Tenant, before: Campaign) -> list[Op]:
    if before.scheduled_at is None or before.started_at is not None:
        return []
    owner = campaigns.timers_partition(tenant, before.id)
    return timers.clear_ops(tenant, owner, campaigns.SCHEDULED, before=before.scheduled_at)


def _change_ops(tenant: Tenant, before: Campaign, after: Campaign, now: int, before_all: int | None) -> list[Op]:
    is_other = after.steps_version != before.steps_version
    told = events.CAMPAIGN_CHANGED if is_other and after.status == "active" else None
    ops = campaigns.change_ops(tenant, after, now, told, before_all)
    is_waiting = after.type == "broadcast" and after.status != "draft" and after.started_at is None
    if is_waiting and after.scheduled_at != before.scheduled_at:
        ops += _scheduled(tenant, before, after, now)
    return ops


def _patched(before: Campaign, patch: "CampaignPatch", now: int) -> Campaign:
    from chalicelib.features.campaigns.schemas import changes

    changed = changes(patch, before)
    if not changed:
        return before
    steps = changed.pop("steps", None)
    after = replace(before, **changed)
    if steps is not None:
        after = replace(after, steps=keyed(steps, before.steps))
    if after == before:
        return before
    is_other = after.steps != before.steps
    return replace(
        after,
        updated_at=now,
        version=before.version + 1,
        steps_version=before.steps_version + 1 if is_other else before.steps_version,
    )


def _check_change(before: Campaign, after: Campaign) -> None:
    if (
        before.status in ("completed", "archived")
        and replace(after, name=before.name, updated_at=before.updated_at, version=before.version) != before
    ):
        raise Conflict(f"A campaign that is {before.status} can't be changed, but for its name.")
    has_begun = before.type == "broadcast" and before.started_at is not None
    if has_begun and (after.segment_id, after.scheduled_at) != (before.segment_id, before.scheduled_at):
        raise Conflict("The broadcast has begun: its segment and its moment can't be changed.")


def _check(campaign: Campaign) -> None:
    """Raises ValidationFailed with all that does not fit together, and every fault of the rules in it."""
    faults: list[Detail] = [detail(field, "unfit", message) for field, message in misfits(campaign)]
    for path, rules in references.rules_of(campaign):
        try:
            parse(rules, path=path, has_cause=True)
        except ValidationFailed as refused:
            faults += refused.details
    for n, step in enumerate(campaign.steps):
        if step.subject is not None and (wrong := templates.subject_fault(step.subject, f"steps.{n}.subject")):
            faults.append(wrong)
    if faults:
        raise ValidationFailed("The campaign is not valid.", details=faults)


def _lacks(tenant: Tenant, campaign: Campaign) -> list[Detail]:
    """Whatever keeps a campaign from being sent, each with where it is named."""
    has_sender = projects.get(tenant).default_from_email is not None
    missing = detail("default_from_email", "missing", "Set default_from_email in the settings first.")
    return [*([] if has_sender else [missing]), *references.unknown(tenant, campaign)]


def remove_template(tenant: Tenant, template_id: str) -> None:
    """Delete a template. Raises NotFound, and Conflict where a campaign that is active or paused uses it, or a
    survey, or a waitlist."""

    def act() -> None:
        version = definitions.version(tenant)
        templates.get(tenant, template_id)
        campaigns.check_unused(tenant, template_id=template_id)
        surveys.check_unused(tenant, template_id=template_id)
        waitlists.check_unused(tenant, template_id)
        table.transact(templates.removal(tenant, template_id, version))

    retried(act)
