"""Make scores anew from the whole history, as a job: where the scoring settings changed, or where events went to or
came from another contact.

What: each contact whose scores other settings gave, in resumable pages; and one contact that the worker found so. The
contact's version guards it: events that come in meanwhile make it begin again. May be repeated.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chalicelib.core import scoring
from chalicelib.core.durations import parse_duration
from chalicelib.core.errors import Unavailable
from chalicelib.core.scoring import State
from chalicelib.features.activity import service as activity
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.service import Scoring
from chalicelib.platform import jobs, table
from chalicelib.platform.jobs import Later
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.table import ConditionFailed

KIND: Final = "rescore"
"""The kind of the job."""

_AT_ONCE = 25
_ATTEMPTS = 10
_WORKERS_END_S = 60
"""Seconds after which no invocation runs that has read the settings before."""


def start(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Begin with all contacts, on the bus, where the settings changed; may be repeated."""
    for event in told:
        jobs.send(tenant, KIND, {"scoring_version": event.data["scoring_version"]})


def one_by_one(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Begin with single contacts, on the bus; may be repeated. A long history takes longer than the bus may."""
    for contact_id, event_id in {str(event.data["contact_id"]): event.id for event in told}.items():
        # Jobs of one contact are told apart, so that one that ends does not speak for one that still runs.
        jobs.send(tenant, KIND, {"contact_id": contact_id, "event_id": event_id})


def run(tenant: Tenant, data: Mapping[str, Any], has_time: Callable[[], bool]) -> Mapping[str, Any] | Later | None:
    """Go through contacts as long as there is time; returns where to go on, None when all are done.

    `data` is `{contact_id, event_id}` for a single one, else `{scoring_version, position?, again?}`. Settings that have
    changed again end it: that change has a job of its own. A second walk finds contacts that a worker made meanwhile,
    still by the settings before.
    """
    now, progress = _scoring(tenant), dict(data)
    if "contact_id" in data:
        _rescore(tenant, str(data["contact_id"]), now)
        return None
    if now.version != data["scoring_version"]:
        return None
    while True:
        some, position = contacts.ids_page(tenant, _AT_ONCE, position=progress.get("position"))
        for contact_id in some:
            _rescore(tenant, contact_id, now)
        if position is None and progress.get("again"):
            return None
        if position is None:
            following = {"scoring_version": now.version, "again": True}
            return following if tenant.is_test else Later(following, _WORKERS_END_S)
        progress["position"] = position
        if not has_time():
            return progress


def _scoring(tenant: Tenant) -> Scoring:
    key = projects.key(tenant)
    return projects.scoring(table.batch_get([key]).get(key))


def _rescore(tenant: Tenant, contact_id: str, by: Scoring) -> None:
    key = contacts.key(tenant, contact_id)
    for _ in range(_ATTEMPTS):
        contact = contacts.read(table.batch_get([key]).get(key))
        if contact is None or contact.status != "active" or contact.scored_by is None:
            return
        if contact.scored_by >= by.version:
            return
        states = _states(tenant, contact, by.settings)
        try:
            table.transact(contacts.rescore(tenant, contact, states, by.version, projects.now(tenant)))
        except ConditionFailed:
            continue
        return
    raise Unavailable


def _states(tenant: Tenant, contact: Contact, settings: Mapping[str, Any]) -> dict[str, State]:
    states: dict[str, State] = {name: {} for name in settings}
    for page in activity.everything(tenant, contact.lineage):
        for event in page:
            if event.type == "system":
                continue  # what the server notes gives no points when it happens either
            for name, how in settings.items():
                points = scoring.points_of(event.name, event.type, how)
                states[name] = scoring.add(states[name], points, event.timestamp, parse_duration(how["half_life"]))
    return {name: state for name, state in states.items() if state}
