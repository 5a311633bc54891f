"""Names of what happens. Domain events go to the bus, and those of WEBHOOKS to endpoints too; reserved events stand on
a contact's timeline."""

CONTACT_CREATED = "contact.created"
CONTACT_UPDATED = "contact.updated"
CONTACT_DELETED = "contact.deleted"
CONTACT_MERGED = "contact.merged"
SEGMENT_ENTERED = "segment.entered"
SEGMENT_LEFT = "segment.left"
SEGMENT_DROPPED = "segment.dropped"
"""A member is gone with its contact. Told to the flows, for the count; not a webhook."""
CONTACT_PURGE_DUE = "contact.purge_due"
"""Told to the flows; not a webhook."""
SCORING_CHANGED = "scoring.changed"
SCORES_STALE = "contact.scores_stale"
"""Told to the flows, which compute scores anew; not webhooks."""
CONTACT_RESCORED = "contact.rescored"
"""Told to the flows, which judge by the new scores; not a webhook."""
SEGMENT_DEFINED = "segment.defined"
SEGMENT_REMOVED = "segment.removed"
"""Told to the flows, which build a segment and clean up behind it; not webhooks."""
VISITOR_MOVED = "visitor.moved"
"""An anonymous id went from one contact to another; not a webhook."""

EMAIL_CONTESTED = "email.contested"
"""Whoever claimed an address first is to be found anew; not a webhook."""

CAMPAIGN_ACTIVATED = "campaign.activated"
CAMPAIGN_PAUSED = "campaign.paused"
CAMPAIGN_COMPLETED = "campaign.completed"
CAMPAIGN_CHANGED = "campaign.changed"
BROADCAST_DUE = "broadcast.due"
BROADCAST_QUEUED = "broadcast.queued"
BROADCAST_WALKED = "broadcast.walked"
STEP_DUE = "campaign.step_due"
RUN_ENDED = "campaign.run_ended"
CAMPAIGN_START_ASKED = "campaign.start_asked"
"""Told to the flows, which move campaigns on: of a changed campaign its runs, of a broadcast its audience, of a contact
its next step, the end of a run without a mail, and a start that something else than the trigger asks for; not
webhooks."""

MAIL_SENT = "campaign.email.sent"
MAIL_DELIVERED = "campaign.email.delivered"
MAIL_OPENED = "campaign.email.opened"
MAIL_CLICKED = "campaign.email.clicked"
MAIL_BOUNCED = "campaign.email.bounced"
MAIL_COMPLAINED = "campaign.email.complained"
MAIL_UNSUBSCRIBED = "campaign.email.unsubscribed"
MAIL_SKIPPED = "campaign.email.skipped"
MAIL_UNCONFIRMED = "campaign.email.unconfirmed"
MAIL_FAILED = "campaign.email.failed"
MAIL_TEST_ASKED = "campaign.email.test_asked"
"""The last four are told to the flows, for the statistics and to send a sample; not webhooks."""

REFERRAL_LINK_CREATED = "referral.link.created"
REFERRAL_LINK_CLICKED = "referral.link.clicked"
REFERRAL_CONVERTED = "referral.link.converted"
REWARD_ISSUED = "referral.reward.issued"
REFERRAL_NAMED = "referral.named"
REFERRALS_TALLIED = "referral.tallied"
REFERRER_MOVED = "referral.stats_changed"
PROGRAM_MOVED = "referral.program_moved"
"""The last four are told to the flows: a contact came with a code, a program's figures change, or those of a referrer,
and a program's links lead elsewhere; not webhooks."""

KEY_CREATED = "key.created"
KEY_REVOKED = "key.revoked"
ENDPOINT_DISABLED = "endpoint.disabled"
WEBHOOK_DUE = "webhook.due"
WEBHOOKS_REPLAY_ASKED = "webhooks.replay_asked"
"""Told to the flows, which queue one attempt, or one of all that failed; not webhooks themselves."""

SURVEY_ANSWERED = "survey.response.created"
SURVEY_PROMOTER = "survey.nps.promoter"
SURVEY_DETRACTOR = "survey.nps.detractor"
SURVEY_CORRECTED = "survey.response.corrected"
SURVEY_MOVED = "survey.moved"
SURVEY_SWEEP_DUE = "survey.sweep_due"
SURVEY_ASK_DUE = "survey.ask_due"
SURVEY_SENT = "survey.sent"
"""The last five are told to the flows: an answer was changed, a survey goes on or has ended, its audience is to be
asked, or one contact, and somebody was asked; not webhooks."""

ENTRY_CREATED = "waitlist.entry.created"
ENTRY_APPROVED = "waitlist.entry.approved"
POSITION_CHANGED = "waitlist.position.changed"
WAITLIST_RELINKED = "waitlist.relinked"
WAITLIST_REMOVED = "waitlist.removed"
"""The last two are told to the flows, which let the codes of its entries lead elsewhere, and clean up behind it; not
webhooks."""

CLOCK_ADVANCE_ASKED = "clock.advance_asked"
"""Told to the flow that moves a test project's clock; not a webhook."""

ACTIVITY_RECORDED = "activity.recorded"
"""Told to the flows for each row of the timeline; not a webhook."""

IDENTIFY = "$identify"
PAGE_VIEW = "$page_view"
SCREEN_VIEW = "$screen_view"
GROUP = "$group"
ALIAS = "$alias"
TRAITS_OVERFLOW = "$traits_overflow"
IDENTITY_CONFLICT = "$identity_conflict"

NOTED_SENT = "$survey_sent"
NOTED_ANSWERED = "$survey_answered"
NOTED_CORRECTED = "$survey_corrected"
NOTED_EFFECT = "$survey_effect"
"""What surveys tell on a timeline."""

FIRST_TOUCH = "$first_touch"
LAST_TOUCH = "$last_touch"

WEBHOOKS = (
    CONTACT_CREATED,
    CONTACT_UPDATED,
    CONTACT_MERGED,
    CONTACT_DELETED,
    SEGMENT_ENTERED,
    SEGMENT_LEFT,
    REFERRAL_LINK_CREATED,
    REFERRAL_LINK_CLICKED,
    REFERRAL_CONVERTED,
    REWARD_ISSUED,
    CAMPAIGN_ACTIVATED,
    CAMPAIGN_PAUSED,
    CAMPAIGN_COMPLETED,
    MAIL_SENT,
    MAIL_DELIVERED,
    MAIL_OPENED,
    MAIL_CLICKED,
    MAIL_BOUNCED,
    MAIL_COMPLAINED,
    MAIL_UNSUBSCRIBED,
    SURVEY_ANSWERED,
    SURVEY_PROMOTER,
    SURVEY_DETRACTOR,
    ENTRY_CREATED,
    ENTRY_APPROVED,
    POSITION_CHANGED,
    KEY_CREATED,
    KEY_REVOKED,
    ENDPOINT_DISABLED,
)
"""All that an endpoint can ask for, whether it is told already or by a later version."""

WEBHOOK_ALIASES = {"referral.converted": REFERRAL_CONVERTED}
"""Other names that callers may use: the reference has both."""
