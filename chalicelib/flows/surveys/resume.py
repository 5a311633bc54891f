"""Do what fell due while a survey was paused, in resumable pages: sends and reminders go out once, or end with it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from chalicelib.features.surveys import service as surveys
from chalicelib.features.surveys.service import SurveyMail
from chalicelib.platform import jobs
from chalicelib.platform.jobs import HasTime
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent

KIND: Final = "survey_resume"
"""The kind of the job."""

_AT_ONCE = 25


def start(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Begin where surveys go on or have ended, on the bus; may be repeated."""
    for event in told:
        jobs.send(tenant, KIND, {"survey_id": event.data["survey_id"], "of": event.id})


def run(tenant: Tenant, data: Mapping[str, Any], has_time: HasTime) -> Mapping[str, Any] | None:
    """Queue what was held back, as long as there is time; returns the same again while something is left.

    It is queued before it is forgotten here: whoever mails judges it anew, and does it once.
    """
    survey_id = str(data["survey_id"])
    while has_time():
        survey = surveys.find(tenant, survey_id)
        some = surveys.held(tenant, survey_id, _AT_ONCE)
        # One that is paused again holds all of it again: whoever lets it go on comes back here.
        if not some or survey is None or survey.status == "paused":
            return None
        surveys.dispatch(tenant, [SurveyMail(each.contact_id, survey_id, each.send_id, each.mail) for each in some])
        for each in some:
            surveys.release(tenant, survey_id, each)
    return data
