"""Bodies and answers of the template endpoints."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from chalicelib.core import strict_json
from chalicelib.core.bounds import MAX_NESTING
from chalicelib.core.clock import iso
from chalicelib.core.schema import Answer, Body, Line, NotNull
from chalicelib.features.templates.model import (
    MAX_SOURCE_BYTES,
    MAX_TEXT_BYTES,
    PREHEADER_MAX,
    SUBJECT_MAX,
    Rendered,
    Template,
)

_NAME_MAX = 128
_CONTEXT_MAX = 64 * 1024


def _source(text: str) -> str:
    return _bounded(text, MAX_SOURCE_BYTES)


def _plain(text: str) -> str:
    return _bounded(text, MAX_TEXT_BYTES)


def _bounded(text: str, most: int) -> str:
    if not text.strip():
        raise ValueError("this is blank")
    if len(text.encode(errors="replace")) > most:
        raise PydanticCustomError("too_long", f"This has at most {most // 1024} KB of UTF-8.")
    return text


def _free(value: dict[str, Any]) -> dict[str, Any]:
    if len(strict_json.dumps(value).encode()) > _CONTEXT_MAX:
        raise PydanticCustomError("too_large", f"This has at most {_CONTEXT_MAX // 1024} KB of JSON.")
    if _depth(value) > MAX_NESTING:
        raise PydanticCustomError("too_deep", f"Objects and lists nest at most {MAX_NESTING} deep.")
    return value


def _depth(value: object) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max((_depth(each) for each in children if isinstance(each, dict | list)), default=0)


Name = Annotated[Line, Field(min_length=1, max_length=_NAME_MAX, examples=["Welcome"])]
Subject = Annotated[Line, Field(min_length=1, max_length=SUBJECT_MAX, examples=["Welcome, {{ contact.first_name }}!"])]
Preheader = Annotated[Line, Field(min_length=1, max_length=PREHEADER_MAX)]
Source = Annotated[str, AfterValidator(_source)]
Text = Annotated[str, AfterValidator(_plain)]
Free = Annotated[dict[str, Any], AfterValidator(_free)]


class NewTemplate(Body):
    """A mail in MJML or HTML, one of the two, with Liquid merge tags.

    They read `contact`, `event`, `project`, `unsubscribe_url`, `referral_link` and `survey_link`.
    """

    name: Name
    subject: Annotated[Subject | None, Field(description="What a campaign's step may say otherwise.")] = None
    preheader: Preheader | None = None
    mjml: Source | None = None
    html: Annotated[Source | None, Field(examples=["<p>Hi {{ contact.first_name | default: 'there' }}!</p>"])] = None
    text: Annotated[Text | None, Field(description="Made from the HTML without it.")] = None

    @model_validator(mode="after")
    def _one(self) -> "NewTemplate":
        if (self.mjml is None) == (self.html is None):
            raise ValueError("give either mjml or html")
        return self


class TemplatePatch(Body):
    """What to change; fields that are not sent stay as they are. `mjml` and `html` take each other's place."""

    name: Annotated[Name | None, NotNull] = None
    subject: Subject | None = None
    preheader: Preheader | None = None
    mjml: Annotated[Source | None, NotNull] = None
    html: Annotated[Source | None, NotNull] = None
    text: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> "TemplatePatch":
        if self.mjml is not None and self.html is not None:
            raise ValueError("give either mjml or html")
        return self


class RenderBody(Body):
    """For whom to render: a contact by its id, or one that is made up; a sample without both."""

    contact_id: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    contact: Annotated[Free | None, Field(examples=[{"email": "alice@example.com", "traits": {"name": "Alice"}}])] = (
        None
    )
    event: Annotated[Free | None, Field(description="`name`, `timestamp` and `properties` of what started it.")] = None

    @model_validator(mode="after")
    def _one(self) -> "RenderBody":
        if self.contact_id is not None and self.contact is not None:
            raise ValueError("give either contact_id or contact")
        for given, name in ((self.contact, "traits"), (self.event, "properties")):
            if given is not None and not isinstance(given.get(name) or {}, dict):
                raise ValueError(f"{name} is an object")
        return self


class TemplateAnswer(Answer):
    """A template."""

    id: Annotated[str, Field(examples=["tmpl_01j8x2m4k00000000000000000"])]
    name: str
    subject: str | None
    preheader: str | None
    mjml: str | None
    html: str | None
    text: str | None
    created_at: str
    updated_at: str


class RenderedAnswer(Answer):
    """A mail as it would be sent, but for its links."""

    subject: str
    html: str
    text: str


class RemovedTemplate(Answer):
    """What is gone."""

    id: str
    deleted: Literal[True] = True


def fields(body: NewTemplate) -> dict[str, Any]:
    """The template's fields that a body gives."""
    return {
        "name": body.name,
        "format": "mjml" if body.mjml is not None else "html",
        "source": body.mjml if body.mjml is not None else body.html,
        "subject": body.subject,
        "preheader": body.preheader,
        "text": body.text,
    }


def changes(patch: TemplatePatch) -> dict[str, Any]:
    """What a patch changes, by the template's fields."""
    given = patch.model_fields_set
    changed: dict[str, Any] = {
        name: getattr(patch, name) for name in ("name", "subject", "preheader", "text") if name in given
    }
    for format_, source in (("mjml", patch.mjml), ("html", patch.html)):
        if source is not None:
            changed |= {"format": format_, "source": source}
    return changed


def shown(template: Template) -> TemplateAnswer:
    """The template as its callers see it."""
    return TemplateAnswer(
        id=template.id,
        name=template.name,
        subject=template.subject,
        preheader=template.preheader,
        mjml=template.source if template.format == "mjml" else None,
        html=template.source if template.format == "html" else None,
        text=template.text,
        created_at=iso(template.created_at),
        updated_at=iso(template.updated_at),
    )


def rendering_shown(rendered: Rendered) -> RenderedAnswer:
    """A rendered mail as its callers see it."""
    return RenderedAnswer(subject=rendered.subject, html=rendered.html, text=rendered.text)
