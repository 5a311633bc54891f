"""The one timer of each run, and what it does when it fires.

A step that is due at once is told to the bus instead: no timer is faster.
"""

from contextlib import suppress

from chalicelib.core import events
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.model import Run
from chalicelib.features.contacts import service as contacts
from chalicelib.features.timers import service as timers
from chalicelib.features.timers.service import Timer
from chalicelib.platform import outbox, table
from chalicelib.platform.keys import Tenant, contact_of, timed_by
from chalicelib.platform.table import ConditionFailed, Op


def follow_ops(tenant: Tenant, run: Run, now: int, *, before: int | None) -> list[Op]:
    """The operations by which the run is heard of again at `run.due_at`, where it goes on, and at no other moment.

    `before` is where its timer stands, if it has one.
    """
    owner, name = contacts.key(tenant, run.contact_id).pk, campaigns.timer_name(run.campaign_id)
    if run.is_running and run.due_at > now:
        return timers.set_ops(tenant, owner, name, campaigns.STEP, run.due_at, data={"run_id": run.id}, before=before)
    gone = [] if before is None or before <= now else timers.clear_ops(tenant, owner, name, before=before)
    return [*gone, *([campaigns.due_event(tenant, run, now)] if run.is_running else [])]


def step(tenant: Tenant, owner_pk: str, timer: Timer, now: int) -> None:
    """Tell the bus that a run's next step is due."""
    campaign_id = timer.name.removeprefix(f"{campaigns.STEP}#")
    data = {"contact_id": contact_of(owner_pk), "campaign_id": campaign_id, "run_id": timer.data["run_id"]}
    _tell(tenant, owner_pk, timer, events.STEP_DUE, data, now)


def broadcast(tenant: Tenant, owner_pk: str, timer: Timer, now: int) -> None:
    """Tell the bus that a scheduled broadcast is due."""
    _tell(tenant, owner_pk, timer, events.BROADCAST_DUE, {"campaign_id": timed_by(owner_pk)}, now)


def _tell(tenant: Tenant, owner_pk: str, timer: Timer, name: str, data: dict[str, str | None], now: int) -> None:
    with suppress(ConditionFailed):  # told before
        table.transact([*timers.taken_ops(tenant, owner_pk, timer), outbox.emit(tenant, name, data, now)])
