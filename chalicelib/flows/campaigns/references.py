"""What a campaign names: segments and templates, which may have gone."""

from chalicelib.core.errors import Detail, ValidationFailed, detail
from chalicelib.core.rules.needs import reads
from chalicelib.core.rules.parse import parse
from chalicelib.features.campaigns.model import Campaign
from chalicelib.features.segments import service as segments
from chalicelib.features.templates import service as templates
from chalicelib.platform import definitions
from chalicelib.platform.keys import Tenant


def rules_of(campaign: Campaign) -> list[tuple[str, object]]:
    """All rules of a campaign, each with where it stands."""
    filters = campaign.trigger.filters if campaign.trigger is not None else None
    own: list[tuple[str, object]] = [] if filters is None else [("trigger.filters", filters)]
    return own + [
        (f"steps.{n}.conditions", step.conditions)
        for n, step in enumerate(campaign.steps)
        if step.conditions is not None
    ]


def unknown(tenant: Tenant, campaign: Campaign) -> list[Detail]:
    """The segments and templates that it names and that do not exist, each with where it is named."""
    faults = unknown_segments(tenant, campaign)
    version = definitions.version(tenant)
    for n, step in enumerate(campaign.steps):
        if templates.find(tenant, step.template_id, version) is None:
            faults.append(detail(f"steps.{n}.template_id", "unknown", "There is no such template."))
    return faults


def unknown_segments(tenant: Tenant, campaign: Campaign) -> list[Detail]:
    """The segments that it names and that do not exist, each with where it is named."""
    faults: list[Detail] = []
    known = segments.catalog(tenant).segments.keys()
    named = (("trigger.segment_id", campaign.trigger.segment_id if campaign.trigger else None),)
    for path, segment_id in (*named, ("segment_id", campaign.segment_id)):
        if segment_id is not None and segment_id not in known:
            faults.append(detail(path, "unknown", "There is no such segment."))
    for path, rules in rules_of(campaign):
        missing = sorted(reads(parse(rules, has_cause=True)).segments - known)
        faults += [detail(path, "unknown", f"There is no segment {each}.") for each in missing]
    return faults


def check_segments(tenant: Tenant, campaign: Campaign) -> None:
    """Raises ValidationFailed where a segment that the campaign names does not exist: nobody is in it."""
    if faults := unknown_segments(tenant, campaign):
        raise ValidationFailed("The campaign names what is not there.", details=faults)
