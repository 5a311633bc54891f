"""Public verbs of the campaigns feature."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from chalicelib.core import events, ids, strict_json
from chalicelib.core.errors import Conflict, NotFound, ValidationFailed, detail
from chalicelib.core.pacing import Turns
from chalicelib.features.campaigns import store
from chalicelib.features.campaigns.catalog import Catalog
from chalicelib.features.campaigns.model import (
    MAX_ACTIVE,
    MAX_BYTES,
    MAX_CAMPAIGNS,
    Campaign,
    Run,
    Status,
)
from chalicelib.platform import counters, cursor, definitions, mail_queue, outbox, table, turns
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.table import Item, Op, Update

T = TypeVar("T")
_ENDPOINT = "campaigns"
_RUNS_AT_ONCE = 100

SCHEDULED: Final = "scheduled_broadcast"
STEP: Final = "step_of_campaign"
"""Kinds of the timers of a broadcast and of a run."""

DONE = "done"
"""The field of a broadcast's counter that has the runs which have ended."""

_GIVEN = "given"

save_run = store.save_run
remove_run = store.remove_run
run_key = store.run_key
run = store.run
runs_of = store.runs_of
note_happened = store.note_happened
find = store.load
dispatch = mail_queue.dispatch


def _catalog(tenant: Tenant, version: int) -> Catalog:
    return Catalog(version, store.load_all(tenant) if version else [])


_catalogs = definitions.Kept(_catalog)


def catalog(tenant: Tenant, at_least: int = 0) -> Catalog:
    """All campaigns as they stand now; one consistent read where this instance knows them already."""
    return _catalogs.at(tenant, definitions.version(tenant, at_least))


def catalog_of(tenant: Tenant, item: Item | None) -> Catalog:
    """The same, given the row of the definitions' version as it was just read."""
    return _catalogs.at(tenant, definitions.version_in(item))


def get(tenant: Tenant, campaign_id: str) -> Campaign:
    """The campaign. Raises NotFound."""
    found = store.load(tenant, campaign_id)
    if found is None:
        raise NotFound("There is no such campaign.")
    return found


def listing(
    tenant: Tenant, kind: str | None, status: str | None, limit: int, after: str | None
) -> tuple[list[Campaign], str | None]:
    """One page of campaigns, newest first, and the cursor of the next one. Raises BadRequest on a foreign cursor."""
    filters = {"type": kind, "status": status}
    position = None if after is None else cursor.decode(after, tenant, _ENDPOINT, filters)
    older = [
        each
        for each in reversed(store.load_all(tenant))
        if (position is None or each.id < position) and kind in (None, each.type) and status in (None, each.status)
    ]
    shown = older[:limit]
    return shown, cursor.encode(tenant, _ENDPOINT, filters, shown[-1].id) if len(older) > limit else None


def checked_size(campaign: Campaign) -> Campaign:
    """The campaign. Raises ValidationFailed where its definition is too large."""
    parts = [[step.conditions, step.subject, step.id] for step in campaign.steps]
    rules = campaign.trigger.filters if campaign.trigger is not None else None
    if len(strict_json.dumps([parts, rules, list(campaign.exit_on)]).encode()) > MAX_BYTES:
        message = f"A campaign's steps and rules together have at most {MAX_BYTES:,} bytes of JSON."
        raise ValidationFailed(message, details=[detail("steps", "too_large", message)])
    return campaign


def creation(tenant: Tenant, campaign: Campaign) -> list[Op]:
    """The operations that write a new campaign; refused where definitions were changed meanwhile.

    Raises Conflict over MAX_CAMPAIGNS.
    """
    version = definitions.version(tenant)
    if len(store.load_all(tenant)) >= MAX_CAMPAIGNS:
        raise Conflict(f"A project has at most {MAX_CAMPAIGNS:,} campaigns.")
    return [store.put(tenant, checked_size(campaign)), definitions.raise_op(tenant, version)]


def change_ops(
    tenant: Tenant, after: Campaign, now: int, told: str | None = None, before_all: int | None = None
) -> list[Op]:
    """The operations that write a campaign over the version before, `after.version - 1`, and tell of it by that name.

    With `before_all` they are refused where definitions were changed since that version.
    """
    ops = [store.put(tenant, checked_size(after)), definitions.raise_op(tenant, before_all)]
    if told is not None:
        data = {"campaign_id": after.id, "name": after.name, "type": after.type, "version": after.version}
        ops.append(outbox.emit(tenant, told, data, now))
    return ops


def moved(before: Campaign, status: Status, now: int) -> Campaign:
    """The campaign in another status."""
    after = replace(before, status=status, updated_at=now, version=before.version + 1)
    if status == "active":
        after = replace(after, activated_at=now, since=ids.new_ulid())
    return replace(after, completed_at=now) if status == "completed" else after


def check_room(tenant: Tenant) -> None:
    """Raises Conflict where no further campaign may be active."""
    if sum(each.status == "active" for each in store.load_all(tenant)) >= MAX_ACTIVE:
        raise Conflict(f"A project has at most {MAX_ACTIVE} active campaigns.")


def check_unused(tenant: Tenant, *, segment_id: str | None = None, template_id: str | None = None) -> None:
    """Raises Conflict where a campaign that is active or paused names the segment, or uses the template."""
    using = catalog(tenant).using(segment_id=segment_id, template_id=template_id)
    if using:
        raise Conflict(
            "Campaigns that are active or paused use this.",
            details=[detail("id", "in_use", f"Used by {each}.") for each in using[:20]],
        )


def running(tenant: Tenant, campaign_id: str, before: str | None) -> tuple[list[Run], str | None]:
    """A page of the runs of a campaign that go on, and the position of the next page; lags a write by a second."""
    return store.running(tenant, campaign_id, _RUNS_AT_ONCE, before)


def turns_used(tenant: Tenant, campaign_id: str) -> Turns | None:
    """How far the campaign's rate is used."""
    return turns.used(tenant.pace(campaign_id))


def take_turn(tenant: Tenant, campaign: Campaign, now: int, count: int = 1) -> list[int]:
    """The moments of the next `count` turns in the campaign's rate; `now` for each where it has none."""
    rate = campaign.rate_per_second
    return [now] * count if rate is None else turns.take(tenant.pace(campaign.id), rate, now, count)


@dataclass(frozen=True, slots=True)
class Due:
    """A run whose next step is due, as it travels to the worker that mails."""

    contact_id: str
    campaign_id: str
    run_id: str

    @property
    def mark(self) -> str:
        """Names it among all work of the project."""
        return f"{self.campaign_id}#{self.contact_id}#{self.run_id}"


@dataclass(frozen=True, slots=True)
class Sample:
    """A mail that shows a step to its makers, as it travels to the worker that mails."""

    message_id: str
    campaign_id: str
    step_index: int
    email: str

    @property
    def mark(self) -> str:
        """Names it among all work of the project."""
        return self.message_id


def due_event(tenant: Tenant, due: Run, now: int) -> Op:
    """What tells the bus that the run's next step is due."""
    data = {"contact_id": due.contact_id, "campaign_id": due.campaign_id, "run_id": due.id}
    return outbox.emit(tenant, events.STEP_DUE, data, now)


def keys(tenant: Tenant, contact_id: str, campaign_ids: Iterable[str]) -> dict[str, Key]:
    """The rows of a contact's runs, by campaign."""
    return {each: store.run_key(tenant, contact_id, each) for each in campaign_ids}


def timers_partition(tenant: Tenant, campaign_id: str) -> str:
    """The partition in which a campaign's timers stand."""
    return tenant.campaign_timers(campaign_id)


def timer_name(campaign_id: str) -> str:
    """The name of the timer of a contact's run."""
    return f"{STEP}#{campaign_id}"


def tally(tenant: Tenant, campaign_id: str, changes: Mapping[str, Mapping[str, int]]) -> None:
    """Count what happened in a campaign: deltas of the counter's fields by the id of each thing, counted once."""
    counters.tally(tenant, f"CMPGN#{campaign_id}", changes)


def tallied(tenant: Tenant, campaign_id: str) -> dict[str, int]:
    """All fields of a campaign's counter."""
    return counters.tallied(tenant, f"CMPGN#{campaign_id}")


def given_op(tenant: Tenant, campaign_id: str, count: int) -> Op:
    """Count runs of a broadcast in the transaction that writes them: what the bus counts lags behind."""
    return Update(_given(tenant, campaign_id), add={_GIVEN: count})


def is_over(tenant: Tenant, campaign_id: str) -> bool:
    """True where every run of a broadcast that was given has ended."""
    given = (table.get(_given(tenant, campaign_id)) or {}).get(_GIVEN, 0)
    return bool(tallied(tenant, campaign_id).get(DONE, 0) >= given)


def _given(tenant: Tenant, campaign_id: str) -> Key:
    return tenant.counter(f"GIVEN#{campaign_id}", 0)


def facts_of(found: Iterable[Run]) -> dict[str, Any]:
    """What contacts have got and done, by campaign, as rules read it."""
    return {each.campaign_id: each.happened for each in found}
