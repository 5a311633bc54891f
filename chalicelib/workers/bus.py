"""The bus: reads the table's stream and calls what is wired to each event. EVENT_FLOWS is the whole wiring.

A stream keeps order for each item only, and delivers at least once: flows take an event as a hint and act once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.core import clock, events, strict_json
from chalicelib.features.timers import service as timers
from chalicelib.features.timers.service import Due
from chalicelib.flows import award_emails, count_contacts, index_days, start_advance, start_relocation
from chalicelib.flows.campaigns import broadcast, follow_merge, realign
from chalicelib.flows.campaigns import count as count_mails
from chalicelib.flows.campaigns import on_events as on_campaign_events
from chalicelib.flows.campaigns import queue_due as queue_steps
from chalicelib.flows.referrals import attribute, convert, decide
from chalicelib.flows.referrals import count as count_referrals
from chalicelib.flows.referrals import define as referral_programs
from chalicelib.flows.referrals import follow_merge as follow_referrals
from chalicelib.flows.referrals import link as referral_links
from chalicelib.flows.segments import build, clean, on_events, purge, rescore
from chalicelib.flows.segments import count as count_members
from chalicelib.flows.surveys import count as count_answers
from chalicelib.flows.surveys import effects, resume, sweep, timing
from chalicelib.flows.surveys import follow_merge as move_sends
from chalicelib.flows.surveys import leave as leave_surveys
from chalicelib.flows.surveys import on_events as on_survey_events
from chalicelib.flows.waitlists import clean as clean_waitlists
from chalicelib.flows.waitlists import follow_merge as move_entries
from chalicelib.flows.waitlists import greet, leave, refer
from chalicelib.flows.webhooks import ask, fan_out, queue_due
from chalicelib.platform import definitions, observability, outbox, pending, queues
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Key, Tenant, tenant_of
from chalicelib.platform.outbox import DomainEvent

Flow = Callable[[Tenant, Sequence[DomainEvent]], None]

EVENT_FLOWS: dict[str, tuple[Flow, ...]] = {
    events.ACTIVITY_RECORDED: (
        index_days.run,
        on_events.run,
        on_campaign_events.run,
        on_survey_events.run,
        convert.on_activity,
    ),
    events.CONTACT_CREATED: (count_contacts.run, on_events.run, fan_out.run),
    events.CONTACT_UPDATED: (on_events.run, fan_out.run),
    events.CONTACT_DELETED: (
        count_contacts.run,
        on_events.run,
        on_campaign_events.deleted,
        referral_links.contact_deleted,
        leave.deleted,
        leave_surveys.deleted,
        award_emails.run,
        start_relocation.run,
        purge.start,
        fan_out.run,
    ),
    events.CONTACT_PURGE_DUE: (purge.start,),
    events.CONTACT_MERGED: (
        count_contacts.run,
        follow_merge.run,
        follow_referrals.run,
        move_entries.run,
        move_sends.run,
        on_events.run,
        start_relocation.run,
        fan_out.run,
    ),
    events.VISITOR_MOVED: (on_events.run, start_relocation.run),
    events.EMAIL_CONTESTED: (award_emails.run,),
    events.CONTACT_RESCORED: (on_events.run,),
    events.SCORING_CHANGED: (rescore.start,),
    events.SCORES_STALE: (rescore.one_by_one,),
    events.SEGMENT_DEFINED: (build.start,),
    events.SEGMENT_REMOVED: (clean.start,),
    events.SEGMENT_ENTERED: (count_members.run, on_campaign_events.run, on_survey_events.run, fan_out.run),
    events.SEGMENT_LEFT: (count_members.run, fan_out.run),
    events.SEGMENT_DROPPED: (count_members.run,),
    events.CAMPAIGN_ACTIVATED: (realign.start, fan_out.run),
    events.CAMPAIGN_PAUSED: (fan_out.run,),
    events.CAMPAIGN_COMPLETED: (fan_out.run,),
    events.CAMPAIGN_CHANGED: (realign.start,),
    events.BROADCAST_DUE: (broadcast.start,),
    events.BROADCAST_QUEUED: (broadcast.queue,),
    events.BROADCAST_WALKED: (count_mails.walked,),
    events.STEP_DUE: (queue_steps.run,),
    events.RUN_ENDED: (count_mails.run,),
    events.CAMPAIGN_START_ASKED: (on_campaign_events.asked,),
    events.MAIL_TEST_ASKED: (queue_steps.sample,),
    events.MAIL_SENT: (count_mails.run, on_events.run, fan_out.run),
    events.MAIL_DELIVERED: (count_mails.run, fan_out.run),
    events.MAIL_OPENED: (count_mails.run, on_events.run, fan_out.run),
    events.MAIL_CLICKED: (count_mails.run, on_events.run, fan_out.run),
    events.MAIL_BOUNCED: (count_mails.run, decide.bounced, fan_out.run),
    events.MAIL_COMPLAINED: (count_mails.run, fan_out.run),
    events.MAIL_UNSUBSCRIBED: (count_mails.run, fan_out.run),
    events.MAIL_SKIPPED: (count_mails.run,),
    events.MAIL_UNCONFIRMED: (count_mails.run,),
    events.MAIL_FAILED: (count_mails.run,),
    events.REFERRAL_LINK_CREATED: (count_referrals.run, fan_out.run),
    events.REFERRAL_LINK_CLICKED: (count_referrals.run, fan_out.run),
    events.REFERRAL_NAMED: (attribute.named,),
    events.REFERRAL_CONVERTED: (fan_out.run,),
    events.REWARD_ISSUED: (fan_out.run,),
    events.REFERRALS_TALLIED: (count_referrals.run,),
    events.REFERRER_MOVED: (on_events.run,),
    events.PROGRAM_MOVED: (referral_programs.start,),
    events.KEY_CREATED: (fan_out.run,),
    events.KEY_REVOKED: (fan_out.run,),
    events.ENDPOINT_DISABLED: (fan_out.run,),
    events.WEBHOOK_DUE: (queue_due.run,),
    events.WEBHOOKS_REPLAY_ASKED: (ask.start,),
    events.SURVEY_ANSWERED: (count_answers.run, on_events.run, effects.run, fan_out.run),
    events.SURVEY_CORRECTED: (count_answers.run, on_events.run, effects.run),
    events.SURVEY_PROMOTER: (fan_out.run,),
    events.SURVEY_DETRACTOR: (fan_out.run,),
    events.SURVEY_SENT: (count_answers.run,),
    events.SURVEY_MOVED: (resume.start,),
    events.SURVEY_SWEEP_DUE: (sweep.start,),
    events.SURVEY_ASK_DUE: (timing.queue,),
    events.ENTRY_CREATED: (refer.run, attribute.joined, greet.welcome, fan_out.run),
    events.ENTRY_APPROVED: (greet.invite, fan_out.run),
    events.POSITION_CHANGED: (fan_out.run,),
    events.WAITLIST_RELINKED: (clean_waitlists.start_relinking,),
    events.WAITLIST_REMOVED: (clean_waitlists.start,),
    events.CLOCK_ADVANCE_ASKED: (start_advance.run,),
}

_TRIES = 5
_PAUSE = 0.05
_RESERVE = 5_000
"""Milliseconds of the invocation that one more record may need."""

Record = Mapping[str, Any]


def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Work through a batch of the stream; returns the first record that could neither be handled nor kept.

    The mapping delivers that record again with all that follow it, so every other one is worked on first.
    """
    records: Sequence[Record] = event["Records"]
    by_tenant: dict[Tenant, dict[int, _News]] = {}
    for n, record in enumerate(records):
        if news := _news(record):
            by_tenant.setdefault(news.tenant, {})[n] = news
    left: list[int] = []
    for tenant, its_news in by_tenant.items():
        if not _attempt(tenant, list(its_news.values())):
            left += [
                n for n, news in its_news.items() if not (_has_time(context) and (_persist(news) or _keep(records[n])))
            ]
    failures = [{"itemIdentifier": records[n]["dynamodb"]["SequenceNumber"]} for n in sorted(left)[:1]]
    return {"batchItemFailures": failures}


def handle_retry(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Work through records that failed on the stream, kept whole on the bus's own queue."""
    failed: list[str] = []
    for message in event["Records"]:
        news = _news(strict_json.loads(message["body"].encode()))
        if news is not None and not _attempt(news.tenant, [news]):
            failed.append(message["messageId"])
    return {"batchItemFailures": [{"itemIdentifier": ident} for ident in failed]}


@dataclass(frozen=True, slots=True)
class _News:
    """What one record asks for: events for their flows, and a timer that was set and may fall due soon."""

    tenant: Tenant
    events: Sequence[DomainEvent]
    timer: Due | None

    @property
    def mark(self) -> Key | None:
        """What tells a test project's clock that this is not handled yet."""
        return outbox.mark_of(self.events)


def _news(record: Record) -> _News | None:
    """None for a record that asks for nothing."""
    tenant = tenant_of(record["dynamodb"]["Keys"]["PK"]["S"])
    domain_events, timer = outbox.told_by(record), timers.set_by(record)
    if tenant is None or not (domain_events or timer):
        return None
    return _News(tenant, domain_events, timer)


def _attempt(tenant: Tenant, news: Sequence[_News]) -> bool:
    """Queue the timers that are due soon, call each flow once with all of its events, and remove their marks."""
    observability.bind(project_id=tenant.project_id)
    wanted: dict[Flow, list[DomainEvent]] = {}
    for domain_event in [domain_event for each in news for domain_event in each.events]:
        for flow in EVENT_FLOWS.get(domain_event.name, ()):
            wanted.setdefault(flow, []).append(domain_event)
    try:
        timers.queue_soon([each.timer for each in news if each.timer], clock.system_ms())
        with definitions.read_once():
            for flow, its_events in wanted.items():
                flow(tenant, its_events)
        pending.remove(each.mark for each in news if each.mark)
    except Exception:  # one event's fault must not stop the stream for everybody
        observability.log_failure("bus flow failed")
        return False
    finally:
        observability.unbind()
    return True


def _has_time(context: Any) -> bool:
    return bool(context.get_remaining_time_in_millis() > _RESERVE)


def _persist(news: _News) -> bool:
    """Handle one record alone, a few times over."""
    for attempt in range(_TRIES):
        if _attempt(news.tenant, [news]):
            return True
        clock.sleep(_PAUSE * 2**attempt)
    return False


def _keep(record: Record) -> bool:
    """Put a record that keeps failing aside, whole, so that the stream goes on."""
    observability.metric("BusRecordSetAside")
    try:
        queues.send(settings().bus_queue_url, strict_json.dumps(record))
    except Exception:
        observability.log_failure("bus record could not be kept")
        return False
    return True
