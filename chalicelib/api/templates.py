"""Templates: what mails are made from."""

from chalicelib.core.schema import Page, PageQuery
from chalicelib.edge.call import Call
from chalicelib.edge.router import Router
from chalicelib.features.templates import service as templates
from chalicelib.features.templates.schemas import (
    NewTemplate,
    RemovedTemplate,
    RenderBody,
    RenderedAnswer,
    TemplateAnswer,
    TemplatePatch,
    rendering_shown,
    shown,
)
from chalicelib.flows.campaigns import define, render_template

router = Router("Templates")


@router.post(
    "/v1/templates", scope="campaigns:write", body=NewTemplate, answer=TemplateAnswer, status=201, idempotent=True
)
def create_template(call: Call[None, NewTemplate]) -> TemplateAnswer:
    """Create a template. Its merge tags and its MJML are tried; a fault is told with its line."""
    return shown(templates.create(call.tenant, call.body, call.now, call.receipt))


@router.get("/v1/templates", scope="campaigns:read", query=PageQuery, answer=Page[TemplateAnswer])
def list_templates(call: Call[PageQuery, None]) -> Page[TemplateAnswer]:
    """List templates, newest first."""
    rows, following = templates.listing(call.tenant, call.query.limit, call.query.cursor)
    return Page(data=[shown(row) for row in rows], has_more=following is not None, next_cursor=following)


@router.get("/v1/templates/{template_id}", scope="campaigns:read", answer=TemplateAnswer)
def get_template(call: Call[None, None]) -> TemplateAnswer:
    """Get a template."""
    return shown(templates.get(call.tenant, call.path["template_id"]))


@router.patch("/v1/templates/{template_id}", scope="campaigns:write", body=TemplatePatch, answer=TemplateAnswer)
def update_template(call: Call[None, TemplatePatch]) -> TemplateAnswer:
    """Change a template. Mails that are sent from then on are made from it as it is then."""
    return shown(templates.update(call.tenant, call.path["template_id"], call.body, call.now))


@router.delete("/v1/templates/{template_id}", scope="campaigns:write", answer=RemovedTemplate)
def delete_template(call: Call[None, None]) -> RemovedTemplate:
    """Delete a template that no active or paused campaign uses, and no waitlist."""
    define.remove_template(call.tenant, call.path["template_id"])
    return RemovedTemplate(id=call.path["template_id"])


@router.post(
    "/v1/templates/{template_id}/render",
    scope="campaigns:read",
    body=RenderBody,
    may_be_empty=True,
    answer=RenderedAnswer,
)
def render_a_template(call: Call[None, RenderBody]) -> RenderedAnswer:
    """Render a template for a contact, or for a sample. Nothing is sent."""
    return rendering_shown(render_template.run(call.tenant, call.path["template_id"], call.body, call.now))
