"""Every route with a key, called with what belongs to another project, and what it answers then."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Foreign:
    """How a route is called with what belongs to somebody else, and what it answers then."""

    status: int = 200
    body: dict[str, Any] | None = None
    query: dict[str, str] = field(default_factory=dict)


NOT_FOUND = Foreign(status=404)
OWN = Foreign()
EVENT = {"event": "x", "user_id": "shared_user", "context": {"contact_id": "{contact_id}"}}

NAMING = {"operator": "AND", "conditions": [{"field": "segments", "op": "contains", "value": "{segment_id}"}]}

CAMPAIGN = {
    "name": "Mine",
    "type": "broadcast",
    "segment_id": "seg_mine",
    "steps": [{"template_id": "tmpl_mine"}],
}

FUNNEL = {"name": "Mine", "steps": [{"event": "theirs"}, {"event": "y"}], "window": "7d"}
COHORT = {"name": "Mine", "entry_event": "theirs", "return_event": "y", "interval": "week"}

ASKS = {"name": "Mine", "type": "nps", "question": "How likely?"}

CALLS: dict[tuple[str, str], list[Foreign]] = {
    ("GET", "/v1/contacts"): [
        OWN,
        Foreign(query={"external_id": "theirs"}),
        Foreign(query={"email": "them@x.io"}),
        Foreign(query={"tag": "theirs"}),
        Foreign(404, query={"segment_id": "{segment_id}"}),
    ],
    ("POST", "/v1/contacts"): [Foreign(201, {"external_id": "theirs"}), Foreign(201, {"email": "them@x.io"})],
    ("GET", "/v1/contacts/{contact_id}"): [NOT_FOUND],
    ("PATCH", "/v1/contacts/{contact_id}"): [Foreign(404, {"traits": {"stolen": True}})],
    ("DELETE", "/v1/contacts/{contact_id}"): [NOT_FOUND],
    ("GET", "/v1/contacts/{contact_id}/events"): [NOT_FOUND],
    ("GET", "/v1/contacts/{contact_id}/segments"): [NOT_FOUND],
    ("GET", "/v1/contacts/{contact_id}/export"): [NOT_FOUND],
    ("POST", "/v1/contacts/{contact_id}/merge"): [Foreign(404, {"source_contact_id": "cntct_mine"})],
    ("POST", "/v1/segments"): [
        Foreign(201, {"name": "Mine", "type": "static"}),
        Foreign(422, {"name": "Mine", "type": "static", "contact_ids": ["{contact_id}"]}),
        Foreign(422, {"name": "Mine", "rules": NAMING}),
    ],
    ("GET", "/v1/segments"): [OWN],
    ("GET", "/v1/segments/{segment_id}"): [NOT_FOUND],
    ("PATCH", "/v1/segments/{segment_id}"): [Foreign(404, {"name": "Stolen"})],
    ("DELETE", "/v1/segments/{segment_id}"): [NOT_FOUND],
    ("GET", "/v1/segments/{segment_id}/contacts"): [NOT_FOUND],
    ("POST", "/v1/segments/{segment_id}/contacts"): [Foreign(404, {"contact_ids": ["{contact_id}"]})],
    ("DELETE", "/v1/segments/{segment_id}/contacts"): [Foreign(404, {"contact_ids": ["{contact_id}"]})],
    ("POST", "/v1/segments/{segment_id}/estimate"): [Foreign(404, {"rules": NAMING})],
    ("GET", "/v1/segments/{segment_id}/explain"): [Foreign(404, query={"contact_id": "{contact_id}"})],
    ("POST", "/v1/referrals/programs"): [Foreign(201, {"name": "Mine"})],
    ("GET", "/v1/referrals/programs"): [OWN],
    ("GET", "/v1/referrals/programs/{program_id}"): [NOT_FOUND],
    ("PATCH", "/v1/referrals/programs/{program_id}"): [Foreign(404, {"name": "Stolen"})],
    ("DELETE", "/v1/referrals/programs/{program_id}"): [NOT_FOUND],
    ("GET", "/v1/referrals/programs/{program_id}/links"): [NOT_FOUND],
    ("POST", "/v1/referrals/links"): [Foreign(422, {"program_id": "{program_id}", "contact_id": "{contact_id}"})],
    ("GET", "/v1/referrals/links/{code}"): [NOT_FOUND],
    ("GET", "/v1/referrals/links/{code}/conversions"): [NOT_FOUND],
    ("POST", "/v1/referrals/conversions"): [
        Foreign(422, {"link_code": "{code}", "referred_contact_id": "{contact_id}"})
    ],
    ("GET", "/v1/referrals/conversions"): [OWN, Foreign(query={"program_id": "{program_id}"})],
    ("POST", "/v1/referrals/conversions/{conversion_id}/approve"): [NOT_FOUND],
    ("POST", "/v1/referrals/conversions/{conversion_id}/reject"): [NOT_FOUND],
    ("POST", "/v1/referrals/conversions/{conversion_id}/reverse"): [NOT_FOUND],
    ("GET", "/v1/referrals/rewards"): [OWN, Foreign(query={"contact_id": "{contact_id}"})],
    ("POST", "/v1/referrals/rewards/{reward_id}/issue"): [NOT_FOUND],
    ("GET", "/v1/referrals/leaderboard"): [Foreign(404, query={"program_id": "{program_id}"})],
    ("POST", "/v1/campaigns"): [Foreign(201, CAMPAIGN)],
    ("GET", "/v1/campaigns"): [OWN],
    ("GET", "/v1/campaigns/{campaign_id}"): [NOT_FOUND],
    ("PATCH", "/v1/campaigns/{campaign_id}"): [Foreign(404, {"name": "Stolen"})],
    ("POST", "/v1/campaigns/{campaign_id}/activate"): [NOT_FOUND],
    ("POST", "/v1/campaigns/{campaign_id}/pause"): [NOT_FOUND],
    ("POST", "/v1/campaigns/{campaign_id}/archive"): [NOT_FOUND],
    ("POST", "/v1/campaigns/{campaign_id}/test"): [Foreign(404, {"email": "me@x.io"})],
    ("GET", "/v1/campaigns/{campaign_id}/stats"): [NOT_FOUND],
    ("GET", "/v1/campaigns/{campaign_id}/messages"): [NOT_FOUND],
    ("GET", "/v1/campaigns/{campaign_id}/preview"): [NOT_FOUND],
    ("POST", "/v1/campaigns/{campaign_id}/simulate"): [NOT_FOUND],
    ("POST", "/v1/templates"): [Foreign(201, {"name": "Mine", "html": "<p>Hi</p>"})],
    ("GET", "/v1/templates"): [OWN],
    ("GET", "/v1/templates/{template_id}"): [NOT_FOUND],
    ("PATCH", "/v1/templates/{template_id}"): [Foreign(404, {"name": "Stolen"})],
    ("DELETE", "/v1/templates/{template_id}"): [NOT_FOUND],
    ("POST", "/v1/templates/{template_id}/render"): [NOT_FOUND],
    ("GET", "/v1/test_mailbox"): [NOT_FOUND],
    ("POST", "/v1/webhooks/endpoints"): [Foreign(201, {"url": "https://x.invalid/mine", "events": ["*"]})],
    ("GET", "/v1/webhooks/endpoints"): [OWN],
    ("GET", "/v1/webhooks/endpoints/{endpoint_id}"): [NOT_FOUND],
    ("PATCH", "/v1/webhooks/endpoints/{endpoint_id}"): [Foreign(404, {"events": ["*"]})],
    ("DELETE", "/v1/webhooks/endpoints/{endpoint_id}"): [NOT_FOUND],
    ("POST", "/v1/webhooks/endpoints/{endpoint_id}/rotate-secret"): [NOT_FOUND],
    ("POST", "/v1/webhooks/endpoints/{endpoint_id}/test"): [Foreign(404, {"event": "contact.created"})],
    ("GET", "/v1/webhooks/endpoints/{endpoint_id}/logs"): [NOT_FOUND],
    ("POST", "/v1/webhooks/endpoints/{endpoint_id}/logs/{log_id}/replay"): [NOT_FOUND],
    ("POST", "/v1/webhooks/endpoints/{endpoint_id}/replay"): [Foreign(404, {"since": "2026-01-01"})],
    ("POST", "/v1/surveys"): [Foreign(201, ASKS)],
    ("GET", "/v1/surveys"): [OWN],
    ("GET", "/v1/surveys/{survey_id}"): [NOT_FOUND],
    ("PATCH", "/v1/surveys/{survey_id}"): [Foreign(404, {"name": "Stolen"})],
    ("POST", "/v1/surveys/{survey_id}/activate"): [NOT_FOUND],
    ("POST", "/v1/surveys/{survey_id}/pause"): [NOT_FOUND],
    ("POST", "/v1/surveys/{survey_id}/archive"): [NOT_FOUND],
    ("GET", "/v1/surveys/{survey_id}/sends"): [NOT_FOUND],
    ("GET", "/v1/surveys/{survey_id}/responses"): [NOT_FOUND],
    ("POST", "/v1/surveys/{survey_id}/responses"): [
        Foreign(404, {"contact_id": "{contact_id}", "score": 0}),
        Foreign(404, {"token": "{survey_token}", "score": 0}),
    ],
    ("GET", "/v1/surveys/{survey_id}/stats"): [NOT_FOUND],
    ("GET", "/v1/surveys/{survey_id}/explain"): [Foreign(404, query={"contact_id": "{contact_id}"})],
    ("POST", "/v1/waitlists"): [
        Foreign(201, {"name": "Mine", "slug": "their-list"}),
        Foreign(422, {"name": "Mine", "slug": "mine", "welcome_email_template_id": "{template_id}"}),
    ],
    ("GET", "/v1/waitlists"): [OWN],
    ("GET", "/v1/waitlists/{waitlist_id}"): [NOT_FOUND],
    ("PATCH", "/v1/waitlists/{waitlist_id}"): [Foreign(404, {"name": "Stolen"})],
    ("DELETE", "/v1/waitlists/{waitlist_id}"): [NOT_FOUND],
    ("GET", "/v1/waitlists/{waitlist_id}/entries"): [NOT_FOUND],
    ("POST", "/v1/waitlists/{waitlist_id}/entries"): [Foreign(404, {"email": "me@x.io"})],
    ("DELETE", "/v1/waitlists/{waitlist_id}/entries/{entry_id}"): [NOT_FOUND],
    ("POST", "/v1/waitlists/{waitlist_id}/entries/{entry_id}/approve"): [NOT_FOUND],
    ("POST", "/v1/waitlists/{waitlist_id}/entries/approve-batch"): [Foreign(404, {"count": 1})],
    ("POST", "/v1/waitlists/{waitlist_id}/join"): [Foreign(404, {"email": "them@x.io"})],
    ("GET", "/v1/waitlists/{waitlist_id}/status"): [Foreign(404, query={"token": "{status_token}"})],
    ("POST", "/v1/analytics/query"): [Foreign(200, {"type": "event_count", "event": "theirs"})],
    ("GET", "/v1/analytics/overview"): [OWN],
    ("POST", "/v1/analytics/funnels"): [Foreign(201, FUNNEL)],
    ("GET", "/v1/analytics/funnels"): [OWN],
    ("GET", "/v1/analytics/funnels/{funnel_id}"): [NOT_FOUND],
    ("PATCH", "/v1/analytics/funnels/{funnel_id}"): [Foreign(404, {"name": "Stolen"})],
    ("DELETE", "/v1/analytics/funnels/{funnel_id}"): [NOT_FOUND],
    ("POST", "/v1/analytics/funnels/{funnel_id}/segment"): [Foreign(404, {"step": 1, "outcome": "dropped"})],
    ("POST", "/v1/analytics/cohorts"): [Foreign(201, COHORT)],
    ("GET", "/v1/analytics/cohorts"): [OWN],
    ("GET", "/v1/analytics/cohorts/{cohort_id}"): [NOT_FOUND],
    ("PATCH", "/v1/analytics/cohorts/{cohort_id}"): [Foreign(404, {"name": "Stolen"})],
    ("DELETE", "/v1/analytics/cohorts/{cohort_id}"): [NOT_FOUND],
    ("GET", "/v1/analytics/events"): [
        OWN,
        Foreign(query={"event": "their_event"}),
        Foreign(query={"contact_id": "{contact_id}"}),
    ],
    ("GET", "/v1/settings"): [OWN],
    ("PATCH", "/v1/settings"): [Foreign(200, {"name": "Mine"})],
    ("GET", "/v1/settings/keys"): [OWN],
    ("POST", "/v1/settings/keys"): [Foreign(201, {"name": "Mine", "scopes": ["contacts:read"]})],
    ("DELETE", "/v1/settings/keys/{key_id}"): [NOT_FOUND],
    ("GET", "/v1/test_clock"): [NOT_FOUND],
    ("POST", "/v1/test_clock/advance"): [Foreign(404, {"by": "5d"})],
    ("POST", "/v1/identify"): [Foreign(202, EVENT | {"traits": {"email": "them@x.io"}})],
    ("POST", "/v1/track"): [Foreign(202, EVENT)],
    ("POST", "/v1/page"): [Foreign(202, EVENT)],
    ("POST", "/v1/screen"): [Foreign(202, EVENT)],
    ("POST", "/v1/group"): [Foreign(202, EVENT | {"group_id": "theirs"})],
    ("POST", "/v1/alias"): [Foreign(202, EVENT | {"previous_id": "theirs"})],
    ("POST", "/v1/batch"): [Foreign(202, {"batch": [EVENT | {"type": "track"}]})],
    ("POST", "/v1/import"): [Foreign(202, {"batch": [EVENT | {"type": "track"}]})],
    ("GET", "/v1/decide"): [Foreign(query={"user_id": "theirs"})],
}
