"""Ask everybody of a segment, in resumable pages: of a recurring survey each time, of another one who is in already.

What: those who are members when the sweep begins, each by a send of its own that the sweep and the contact name, so a
page may be done again. It stops where the survey is paused, and begins anew when that goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from chalicelib.features.projects import service as projects
from chalicelib.features.segments import service as segments
from chalicelib.features.surveys import service as surveys
from chalicelib.features.surveys.model import Cause
from chalicelib.flows.surveys import on_events
from chalicelib.platform import jobs, listing, table
from chalicelib.platform.jobs import HasTime, Later
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.retries import retried

KIND: Final = "survey_sweep"
"""The kind of the job."""

_AT_ONCE = 20
_BUILDING_S = 2
"""Seconds until the next look, where the segment is still being built."""


def start(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Begin sweeps that are due, on the bus; may be repeated.

    Lists lag a write by a second: who has just entered is to be seen.
    """
    for event in told:
        jobs.send(tenant, KIND, dict(event.data), delay_s=0 if tenant.is_test else listing.LAGS_S)


def run(tenant: Tenant, data: Mapping[str, Any], has_time: HasTime) -> Mapping[str, Any] | Later | None:
    """Make sends for members as long as there is time; returns where to go on, None once all have one.

    `data` is `{survey_id, sweep_id, moment, position?, was_building?, entered_by?}`.
    """
    survey_id, sweep_id, moment = str(data["survey_id"]), str(data["sweep_id"]), int(data["moment"])
    cause = Cause("sweep", f"evt_{sweep_id}", moment)
    position = data.get("position")
    while True:
        survey = surveys.find(tenant, survey_id)
        if survey is None or not survey.takes(cause) or survey.trigger.segment_id is None:
            return None
        # By its row: the catalog is not told that a segment has been built.
        segment = segments.find(tenant, survey.trigger.segment_id)
        if segment is not None and segment.status == "building":
            return Later(dict(data) | {"was_building": True}, _BUILDING_S)
        if data.get("was_building"):
            # Whom the builder put in last is to be seen in the list.
            again = {name: value for name, value in data.items() if name != "was_building"}
            return Later(again | {"entered_by": projects.now(tenant)}, listing.LAGS_S)
        page, position = segments.members_page(
            tenant, survey.trigger.segment_id, _AT_ONCE, position=position, entered_by=data.get("entered_by", moment)
        )
        for contact_id in page:
            on_events.begin(tenant, contact_id, survey_id, cause, moment)
        if position is None:
            _end(tenant, survey_id, sweep_id)
            return None
        data = dict(data) | {"position": position}
        if not has_time():
            return data


def _end(tenant: Tenant, survey_id: str, sweep_id: str) -> None:
    """Note that everybody was asked."""

    def act() -> None:
        survey = surveys.find(tenant, survey_id)
        if survey is not None and survey.sweeping is not None and survey.sweeping[0] == sweep_id:
            ended = replace(survey, sweeping=None, version=survey.version + 1)
            table.transact(surveys.change_ops(tenant, ended))

    retried(act)
