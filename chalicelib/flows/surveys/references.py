"""What a survey says and names: rules, and segments, templates, campaigns and programs, which may have gone."""

from chalicelib.core.errors import Detail, ValidationFailed, detail
from chalicelib.core.rules.needs import reads
from chalicelib.core.rules.parse import parse
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.projects import service as projects
from chalicelib.features.referrals import service as referrals
from chalicelib.features.segments import service as segments
from chalicelib.features.surveys.misfits import misfits
from chalicelib.features.surveys.model import Survey
from chalicelib.features.templates import service as templates
from chalicelib.platform import definitions
from chalicelib.platform.keys import Tenant


def check(survey: Survey) -> None:
    """Raises ValidationFailed with all that does not fit together, and every fault of the rules in it."""
    faults: list[Detail] = [detail(field, "unfit", message) for field, message in misfits(survey)]
    if survey.trigger.filters is not None:
        try:
            parse(survey.trigger.filters, path="trigger.filters", has_cause=True)
        except ValidationFailed as refused:
            faults += refused.details
    if survey.subject is not None and (wrong := templates.subject_fault(survey.subject, "subject")):
        faults.append(wrong)
    if faults:
        raise ValidationFailed("The survey is not valid.", details=faults)


def lacks(tenant: Tenant, survey: Survey) -> list[Detail]:
    """Whatever keeps a survey from being sent, each with where it is named."""
    return [*_of_mail(tenant, survey), *_of_segments(tenant, survey), *_of_actions(tenant, survey)]


def _of_mail(tenant: Tenant, survey: Survey) -> list[Detail]:
    faults: list[Detail] = []
    if "email" in survey.channels and projects.get(tenant).default_from_email is None:
        faults.append(detail("default_from_email", "missing", "Set default_from_email in the settings first."))
    if survey.email_template_id is None:
        return faults
    template = templates.find(tenant, survey.email_template_id, definitions.version(tenant))
    if template is None:
        faults.append(detail("email_template_id", "unknown", "There is no such template."))
    elif template.subject is None and survey.subject is None:
        faults.append(detail("subject", "missing", "The template has no subject, so the survey needs one."))
    return faults


def _of_segments(tenant: Tenant, survey: Survey) -> list[Detail]:
    known = segments.catalog(tenant).segments.keys()
    trigger, faults = survey.trigger, list[Detail]()
    if trigger.segment_id is not None and trigger.segment_id not in known:
        faults.append(detail("trigger.segment_id", "unknown", "There is no such segment."))
    if trigger.filters is not None:
        missing = sorted(reads(parse(trigger.filters, has_cause=True)).segments - known)
        faults += [detail("trigger.filters", "unknown", f"There is no segment {each}.") for each in missing]
    return faults


def _of_actions(tenant: Tenant, survey: Survey) -> list[Detail]:
    faults: list[Detail] = []
    for attitude, action in survey.actions.items():
        campaign_id, program_id = action.start_campaign_id, action.referral_program_id
        if campaign_id is not None:
            campaign = campaigns.find(tenant, campaign_id)
            if campaign is None or campaign.type != "lifecycle":
                message = "There is no such lifecycle campaign."
                faults.append(detail(f"actions.{attitude}.start_campaign_id", "unknown", message))
        if program_id is not None and referrals.find(tenant, program_id) is None:
            message = "There is no such referral program."
            faults.append(detail(f"actions.{attitude}.referral_program_id", "unknown", message))
    return faults
