"""Render a template for a contact, as a step would. Nothing is sent or kept."""

from typing import Any

from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.templates import service as templates
from chalicelib.features.templates.model import Rendered, RenderFailed
from chalicelib.features.templates.schemas import RenderBody
from chalicelib.platform.keys import Tenant
from chalicelib.readings import compose, referral_link


def run(tenant: Tenant, template_id: str, body: RenderBody, now: int) -> Rendered:
    """The mail. Raises NotFound for the template or the contact, ValidationFailed where it can't be rendered."""
    template, project = templates.get(tenant, template_id), projects.get(tenant)
    context: dict[str, Any] = templates.SAMPLE | {"now": now, "project": compose.project_tags(project)}
    if body.contact_id is not None:
        context["contact"] = compose.contact_tags(contacts.get(tenant, body.contact_id))
        context["referral_link"] = referral_link.known_url(tenant, body.contact_id, project) or context["referral_link"]
    elif body.contact is not None:
        context["contact"] = body.contact
    if body.event is not None:
        context["event"] = body.event
    try:
        return templates.rendered(template, context)
    except RenderFailed as failed:
        raise templates.refusal([failed]) from None
