"""The HTTP edge: one file for each section of the reference."""

from chalice.app import Blueprint

from chalicelib.api import (
    analytics,
    campaigns,
    contacts,
    docs,
    feedback,
    ingest,
    mail_links,
    referral_links,
    referrals,
    segments,
    settings,
    survey_pages,
    surveys,
    templates,
    test_clock,
    waitlists,
    webhooks,
)
from chalicelib.edge.router import Router, fallback

_SECTIONS = (
    contacts.router,
    segments.router,
    referrals.router,
    campaigns.router,
    templates.router,
    surveys.router,
    webhooks.router,
    waitlists.router,
    analytics.router,
    settings.router,
    test_clock.router,
    ingest.router,
)

ROUTERS: tuple[Router, ...] = (
    *_SECTIONS,
    mail_links.router,
    survey_pages.router,
    referral_links.router,
    feedback.router,
    docs.router_for(_SECTIONS),
)
"""Every section; OpenAPI, the isolation test and the app are made from it."""


def blueprints() -> list[Blueprint]:
    """What app.py registers."""
    return [*(router.blueprint() for router in ROUTERS), fallback()]
