"""Names of what happens. Domain events go to the bus and to webhooks; reserved events stand on a contact's timeline."""

CONTACT_CREATED = "contact.created"
CONTACT_UPDATED = "contact.updated"
CONTACT_DELETED = "contact.deleted"
KEY_CREATED = "key.created"
KEY_REVOKED = "key.revoked"
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

FIRST_TOUCH = "$first_touch"
LAST_TOUCH = "$last_touch"
