"""Campaigns and runs in the table.

| item | attributes |
|---|---|
| campaign | the fields of `model.Campaign`; `steps` and `trigger` as JSON text |
| `RUN#<campaign id>` of a contact | the fields of `model.Run`; `cause` as JSON text; listed while it is running |
| `PACE` of a campaign | `second used`, as `core.pacing.Turns` |
| counters `CMPGN#<campaign id>` | `<step id>/<outcome>` for each; `queued` and `done` of a broadcast |
"""

from dataclasses import asdict
from typing import Any

from chalicelib.core import strict_json
from chalicelib.features.campaigns.model import Campaign, Cause, Run, Step, Trigger
from chalicelib.platform import table
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.listing import Entry, Merge, Range, fill, walk
from chalicelib.platform.table import Delete, Item, Op, Put, Update, attr

_PAGE = 200


def load_all(tenant: Tenant) -> list[Campaign]:
    """All campaigns, the oldest first, read consistently."""
    return [campaign(item) for item in walk(tenant.campaigns_partition(), a_page=_PAGE)]


def load(tenant: Tenant, campaign_id: str) -> Campaign | None:
    """The campaign, read consistently."""
    item = table.get(tenant.campaign(campaign_id))
    return None if item is None else campaign(item)


def put(tenant: Tenant, after: Campaign) -> Op:
    """Write the campaign over the version before."""
    unchanged = attr("PK").not_exists() if after.version == 1 else attr("version").eq(after.version - 1)
    attrs: dict[str, Any] = {
        name: getattr(after, name) for name in Campaign.__slots__ if name not in ("id", "steps", "trigger")
    }
    attrs["exit_on"] = list(after.exit_on)
    attrs["steps"] = strict_json.dumps([asdict(step) for step in after.steps])
    attrs["trigger"] = None if after.trigger is None else strict_json.dumps(asdict(after.trigger))
    return Put(tenant.campaign(after.id), attrs, unchanged)


def campaign(item: Item) -> Campaign:
    """The campaign that a row stands for."""
    fields = {name: item[name] for name in Campaign.__slots__ if name in item}
    trigger = strict_json.stored(item["trigger"]) if "trigger" in item else None
    return Campaign(
        **fields
        | {
            "id": item["SK"],
            "steps": tuple(Step(**each) for each in strict_json.stored(item["steps"])),
            "trigger": None if trigger is None else Trigger(**trigger),
            "exit_on": tuple(item.get("exit_on", ())),
        }
    )


def run_key(tenant: Tenant, contact_id: str, campaign_id: str) -> Key:
    return tenant.run(contact_id, campaign_id)


def save_run(tenant: Tenant, run: Run) -> Op:
    """Write the run over the version that was read."""
    cause: dict[str, Any] = {"id": run.cause.id, "moment": run.cause.moment, "name": run.cause.name}
    if run.cause.is_asked:
        cause["is_asked"] = True
    attrs: dict[str, Any] = {
        "id": run.id,
        "cause": strict_json.dumps(cause | {"properties": dict(run.cause.properties)}),
        "entered_at": run.entered_at,
        "anchor": run.anchor,
        "due_at": run.due_at,
        "number": run.number,
        "status": run.status,
        "done": list(run.done),
        "index": run.index,
        "held": run.held,
        "paced_by": run.paced_by,
        "happened": run.happened or None,
        "claimed": run.claimed,
        "version": run.version + 1,
    }
    if run.is_running:
        entry = tenant.run_entry(run.campaign_id, run.contact_id, run.entered_at)
        attrs |= {"list_pk": entry.pk, "list_sk": entry.sk}
    unchanged = attr("PK").not_exists() if run.version == 0 else attr("version").eq(run.version)
    return Put(tenant.run(run.contact_id, run.campaign_id), attrs, unchanged)


def remove_run(tenant: Tenant, run: Run) -> Op:
    """Remove the run over the version that was read."""
    return Delete(tenant.run(run.contact_id, run.campaign_id), attr("version").eq(run.version))


def note_happened(tenant: Tenant, contact_id: str, campaign_id: str, what: str) -> Op:
    """Note what a contact has done of a campaign; refused where it has no run there."""
    key = tenant.run(contact_id, campaign_id)
    return Update(key, add={"happened": {what}, "version": 1}, condition=attr("PK").exists())


def run(tenant: Tenant, item: Item | None) -> Run | None:
    """The run that a row stands for."""
    if item is None:
        return None
    contact_id, campaign_id = tenant.run_of(Key(item["PK"], item["SK"]))
    cause = strict_json.stored(item["cause"])
    return Run(
        id=item["id"],
        contact_id=contact_id,
        campaign_id=campaign_id,
        cause=Cause(**cause),
        entered_at=item["entered_at"],
        anchor=item["anchor"],
        due_at=item["due_at"],
        number=item["number"],
        status=item["status"],
        done=tuple(item.get("done", ())),
        index=item["index"],
        held=item.get("held"),
        paced_by=item.get("paced_by"),
        happened=frozenset(item.get("happened", ())),
        claimed=item.get("claimed"),
        version=item["version"],
    )


def runs_of(tenant: Tenant, contact_id: str) -> list[Run]:
    """All runs of a contact, read consistently."""
    rows = walk(*tenant.runs(contact_id))
    return [each for item in rows if (each := run(tenant, item)) is not None]


def running(tenant: Tenant, campaign_id: str, limit: int, before: str | None) -> tuple[list[Run], str | None]:
    """A page of the runs of a campaign that go on, newest first, and the position of the next one."""

    def hydrate(found: list[Entry]) -> list[Run | None]:
        items = table.batch_get([entry.key for entry in found])
        return [run(tenant, items.get(entry.key)) for entry in found]

    span = Range() if before is None else Range(high=before)
    page = fill(iter([Merge(tenant.run_partitions(campaign_id), "list", span, limit + 1)]), limit, hydrate)
    return page.rows, page.position
