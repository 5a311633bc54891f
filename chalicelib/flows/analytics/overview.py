"""What a dashboard begins with: figures that counters keep, and those of events, which the lake answers."""

from datetime import date, timedelta
from typing import Any

from chalicelib.core import clock
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.referrals import ledger
from chalicelib.features.referrals import service as referrals
from chalicelib.features.surveys import service as surveys
from chalicelib.flows.analytics import ask
from chalicelib.platform.keys import Tenant

_NPS_DAYS = 90


def run(tenant: Tenant, now: int) -> dict[str, Any]:
    """The figures as of `now`. Raises Unavailable."""
    zone = projects.get(tenant).timezone
    return {
        "total_contacts": contacts.count(tenant),
        **ask.figures(tenant, now, zone),
        "active_campaigns": sum(each.status == "active" for each in campaigns.catalog(tenant).campaigns.values()),
        "nps_score": _nps(tenant, zone, now),
        "referral_conversion_rate": _conversion_rate(tenant),
    }


def _nps(tenant: Tenant, zone: str, now: int) -> int | None:
    """The net promoter score of all responses of the last 90 days of the zone, today included; None without any."""
    last = clock.local_day(now, zone)
    first = (date.fromisoformat(last) - timedelta(days=_NPS_DAYS - 1)).isoformat()
    balance, responses = 0, 0
    for survey in surveys.catalog(tenant).surveys.values():
        if survey.type == "nps":
            for figures in surveys.by_day(tenant, survey, first, last).values():
                balance += figures.breakdown.get("promoter", 0) - figures.breakdown.get("detractor", 0)
                responses += sum(figures.breakdown.values())
    return round(100 * balance / responses) if responses else None


def _conversion_rate(tenant: Tenant) -> float | None:
    """The share of referrals that were converted, of all programs and all time; None without any."""
    figures = [referrals.figures(tenant, program_id) for program_id in referrals.catalog(tenant).programs]
    made = sum(each.get(ledger.REFERRALS, 0) for each in figures)
    converted = sum(each.get(ledger.CONVERSIONS, 0) for each in figures)
    return round(converted / made, 2) if made else None
