"""The jobs' worker: runs one page, and queues the next one before it reports success. JOBS is all kinds there are."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from chalicelib.flows import advance_clock, relocate_events, start_advance, start_relocation
from chalicelib.flows.campaigns import broadcast, realign, track
from chalicelib.flows.referrals import define as referral_programs
from chalicelib.flows.segments import build, clean, purge, rescore
from chalicelib.flows.surveys import resume, sweep
from chalicelib.flows.waitlists import clean as clean_waitlists
from chalicelib.flows.waitlists import leave
from chalicelib.flows.webhooks import ask
from chalicelib.platform import jobs, observability
from chalicelib.platform.jobs import HasTime, Later
from chalicelib.platform.keys import Tenant
from chalicelib.workers import timers

Job = Callable[[Tenant, Mapping[str, Any], HasTime], Mapping[str, Any] | Later | None]
"""Does one page of a job, given its data; returns the data of the next page, or None when the job is done."""


def _advance(tenant: Tenant, data: Mapping[str, Any], has_time: HasTime) -> Mapping[str, Any] | Later | None:
    return advance_clock.run(tenant, data, has_time, timers.fire_due)


def _purge(tenant: Tenant, data: Mapping[str, Any], has_time: HasTime) -> Mapping[str, Any] | Later | None:
    """The bus takes a deleted contact out of its queues, or has failed until now: what leads there is purged too."""
    leave.of_contact(tenant, str(data["contact_id"]))
    return purge.run(tenant, data, has_time)


JOBS: dict[str, Job] = {
    start_advance.KIND: _advance,
    start_relocation.KIND: relocate_events.run,
    build.KIND: build.run,
    clean.KIND: clean.run,
    purge.KIND: _purge,
    rescore.KIND: rescore.run,
    ask.KIND: ask.run,
    broadcast.KIND: broadcast.run,
    realign.KIND: realign.run,
    track.KIND: track.run,
    referral_programs.KIND: referral_programs.rewrite,
    clean_waitlists.KIND: clean_waitlists.run,
    clean_waitlists.RELINK: clean_waitlists.relink,
    sweep.KIND: sweep.run,
    resume.KIND: resume.run,
}

_RESERVE = 10_000
"""Milliseconds before the invocation's end at which a page is told to return."""


def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Run each page of a batch; those that failed are told by id, and come again alone."""
    failed = [record["messageId"] for record in event["Records"] if not _run(record["body"], context)]
    return {"batchItemFailures": [{"itemIdentifier": ident} for ident in failed]}


def _run(body: str, context: Any) -> bool:
    def has_time() -> bool:
        return bool(context.get_remaining_time_in_millis() > _RESERVE)

    try:
        page = jobs.Page.from_body(body)
        observability.bind(project_id=page.tenant.project_id)
        following = JOBS[page.kind](page.tenant, page.data, has_time)
        if following is None:
            jobs.finish(page)
        elif isinstance(following, Later):
            jobs.queue(replace(page, data=following.data), following.delay_s)
        else:
            jobs.queue(replace(page, data=following))
    except Exception:  # whatever it is, the queue delivers again and its dead-letter queue keeps the message
        observability.log_failure("job page failed")
        observability.metric("JobPageFailed")
        return False
    finally:
        observability.unbind()
    return True
