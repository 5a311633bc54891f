"""Let follow from an answer what the survey says, on the bus: each effect once for a response.

What: each is written in one transaction with the note on the response that it has happened, and with what the timeline
tells of it. A correction lets follow what its own category says and takes nothing back. May be repeated at any point.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.core import clock, events
from chalicelib.core.clock import iso
from chalicelib.features.activity import service as activity
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.referrals import service as referrals
from chalicelib.features.surveys import service as surveys
from chalicelib.features.surveys.model import Action, Effect, EffectName, Response, Survey, attitude_of
from chalicelib.flows.surveys import standing
from chalicelib.flows.surveys.standing import Standing
from chalicelib.platform import outbox, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.retries import retried
from chalicelib.platform.table import Op
from chalicelib.readings import referral_link


@dataclass(frozen=True, slots=True)
class _Answer:
    """The response that something follows from, as it was read; `event` has what it said when this was told."""

    at: Standing
    survey: Survey
    response: Response
    action: Action
    event: DomainEvent
    now: int

    @property
    def category(self) -> str:
        return str(self.event.data["category"])

    @property
    def score(self) -> int | None:
        return None if self.event.data["score"] is None else int(self.event.data["score"])


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Let follow what these answers cause."""
    for event in told:
        if event.data["category"] is not None:
            for act in (_add_tags, _start_campaign, _issue_link, _pause_marketing):
                retried(lambda act=act, event=event: _do(tenant, event, act))  # type: ignore[misc]


def _do(tenant: Tenant, event: DomainEvent, act: Callable[[Tenant, _Answer], None]) -> None:
    data = event.data
    at = standing.read(tenant, str(data["contact_id"]), str(data["survey_id"]), str(data["send_id"]))
    if at is None or at.survey is None or at.response is None:
        return
    action = at.survey.actions.get(attitude_of(data["category"]))
    if action is not None:
        act(tenant, _Answer(at, at.survey, at.response, action, event, projects.now(tenant)))


def effect_ops(
    tenant: Tenant, before: Response, effect: Effect, said: Mapping[str, Any] | None = None
) -> tuple[Response, list[Op]]:
    """The response with an effect, and the operations by which the timeline tells of it and why it came."""
    after = replace(before, effects=(*before.effects, effect))
    told = {
        "effect": effect.name,
        "outcome": effect.outcome,
        "category": effect.category,
        "survey_id": before.survey_id,
        "response_id": before.id,
        **(said or {}),
    }
    note = activity.note(before.contact_id, events.NOTED_EFFECT, told, effect.at)
    return after, list(activity.event_ops(tenant, note))


def _commit(
    tenant: Tenant,
    answer: _Answer,
    name: EffectName,
    about: str,
    outcome: str,
    said: Mapping[str, Any],
    ops: Sequence[Op],
) -> None:
    effect = Effect(name, about, answer.category, outcome, answer.now)
    after, told = effect_ops(tenant, answer.response, effect, {"score": answer.score, **said})
    table.transact([surveys.save_response(tenant, after), *told, *ops])


def _add_tags(tenant: Tenant, answer: _Answer) -> None:
    tags, contact = answer.action.add_tags, answer.at.contact
    if not tags or answer.response.effect("add_tags", answer.category):
        return
    before = list(contact.tags)
    fits = contacts.add_tags(contact, tags)
    if not fits or contact.tags == before:
        outcome = "had_them" if fits else "too_many_tags"
        _commit(tenant, answer, "add_tags", answer.category, outcome, {"tags": list(tags)}, [])
        return
    contact.updated_at = max(contact.updated_at, answer.now)
    told = outbox.emit(tenant, events.CONTACT_UPDATED, {"contact_id": contact.id, "changed": ["tags"]}, answer.now)
    ops = [contacts.save(tenant, contact), *contacts.tagged(tenant, contact, before), told]
    _commit(tenant, answer, "add_tags", answer.category, "added", {"tags": list(tags)}, ops)


def _start_campaign(tenant: Tenant, answer: _Answer) -> None:
    campaign_id = answer.action.start_campaign_id
    if campaign_id is None or answer.response.effect("start_campaign", campaign_id):
        return
    campaign = campaigns.find(tenant, campaign_id)
    said = {"campaign_id": campaign_id}
    if campaign is None or campaign.status != "active":
        _commit(tenant, answer, "start_campaign", campaign_id, "campaign_not_active", said, [])
        return
    run = campaigns.run(tenant, table.get(campaigns.run_key(tenant, answer.at.contact.id, campaign_id)))
    if run is not None and (run.is_running or not campaign.reentry):
        _commit(tenant, answer, "start_campaign", campaign_id, "had_it_before", said, [])
        return
    response = answer.response
    data = {
        "contact_id": answer.at.contact.id,
        "campaign_id": campaign_id,
        "event": events.SURVEY_ANSWERED,
        "moment": answer.event.created_at,
        "properties": {
            "survey_id": response.survey_id,
            "survey_name": answer.survey.name,
            "response_id": response.id,
            "score": answer.score,
            "comment": answer.event.data["comment"],
            "category": answer.category,
        },
    }
    asked = outbox.emit(tenant, events.CAMPAIGN_START_ASKED, data, answer.now)
    _commit(
        tenant, answer, "start_campaign", campaign_id, "started", said, [standing.unchanged(tenant, answer.at), asked]
    )


def _issue_link(tenant: Tenant, answer: _Answer) -> None:
    program_id = answer.action.referral_program_id
    if program_id is None or answer.response.effect("referral_link", program_id):
        return
    program = referrals.find(tenant, program_id)
    said: dict[str, Any] = {"program_id": program_id}
    if program is None or program.status != "active":
        _commit(tenant, answer, "referral_link", program_id, "program_not_active", said, [])
        return
    at = answer.at
    link, _ = referral_link.run(tenant, program, at.contact, at.project, referral_link.MAILS, answer.now)
    said["code"] = link.code
    mail = None if answer.response.effect("referral_mail") else at.send
    asked = [] if mail is None else [surveys.due_event(tenant, mail, "referral", answer.now)]
    _commit(tenant, answer, "referral_link", program_id, "issued", said, [standing.unchanged(tenant, at), *asked])


def _pause_marketing(tenant: Tenant, answer: _Answer) -> None:
    days, contact = answer.action.pause_marketing_days, answer.at.contact
    if days is None or answer.response.effect("pause_marketing", answer.category):
        return
    until = answer.event.created_at + days * clock.DAY
    said = {"days": days, "until": iso(until)}
    if not contacts.pause_marketing(contact, until):
        _commit(tenant, answer, "pause_marketing", answer.category, "was_paused_longer", said, [])
        return
    contact.updated_at = max(contact.updated_at, answer.now)
    told = {"contact_id": contact.id, "changed": ["marketing_paused_until"]}
    ops = [contacts.save(tenant, contact), outbox.emit(tenant, events.CONTACT_UPDATED, told, answer.now)]
    _commit(tenant, answer, "pause_marketing", answer.category, "paused", said, ops)
