"""Bodies and answers of the contact endpoints."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from chalicelib.core import strict_json
from chalicelib.core.bounds import MAX_NAME_BYTES, MAX_NESTING, MAX_VALUE_BYTES, has_control, trait_name_fault
from chalicelib.core.clock import iso
from chalicelib.core.schema import Answer, Body, NotNull
from chalicelib.features.contacts.model import (
    MAX_TAG_BYTES,
    MAX_TAGS,
    MAX_TRAIT_KEYS,
    Group,
    Person,
    Preference,
    normal_email,
)


def _trait_name(name: str) -> str:
    if fault := trait_name_fault(name):
        raise ValueError(fault[1])
    return name


def _trait_value(value: Any) -> Any:
    if len(strict_json.dumps(value).encode()) > MAX_VALUE_BYTES:
        raise ValueError(f"a trait's value has at most {MAX_VALUE_BYTES} bytes")
    if strict_json.depth(value) > MAX_NESTING - 1:
        raise ValueError(f"traits are nested at most {MAX_NESTING} deep")
    return value


def _tag(tag: str) -> str:
    if not tag.strip() or len(tag.encode()) > MAX_TAG_BYTES or has_control(tag):
        raise ValueError(f"a tag has 1 to {MAX_TAG_BYTES} bytes and no control character")
    return tag


def _email(text: str) -> str:
    address = normal_email(text)
    if address is None:
        raise ValueError("not an email address")
    return address


def _external_id(text: str) -> str:
    if not text.strip() or len(text.encode()) > MAX_NAME_BYTES or has_control(text):
        raise ValueError(f"an external id has 1 to {MAX_NAME_BYTES} bytes and no control character")
    return text


TraitName = Annotated[str, AfterValidator(_trait_name)]
TraitValue = Annotated[Any, AfterValidator(_trait_value)]
Traits = Annotated[dict[TraitName, TraitValue], Field(max_length=MAX_TRAIT_KEYS)]
Tags = Annotated[list[Annotated[str, AfterValidator(_tag)]], Field(max_length=MAX_TAGS)]
Email = Annotated[str, StringConstraints(max_length=320), AfterValidator(_email)]
ExternalId = Annotated[str, AfterValidator(_external_id)]


class ContactPatch(Body):
    """What to change; fields that are not sent stay as they are."""

    traits: Annotated[Traits, Field(description="Merged key by key; null removes a key.")] = Field(
        default_factory=dict, examples=[{"plan": "scale", "company_size": 50}]
    )
    tags: Annotated[Tags | None, NotNull, Field(description="Replaces all tags.")] = Field(
        default=None, examples=[["enterprise", "active", "upgraded"]]
    )
    add_tags: Tags = Field(default_factory=list)
    remove_tags: Tags = Field(default_factory=list)
    unsubscribed: Annotated[
        bool | None, NotNull, Field(description="Whether the contact may be sent mail no more.")
    ] = None


class ContactImport(ContactPatch):
    """A contact to create, or to update where its external id, else its email, is known."""

    external_id: ExternalId | None = None
    email: Email | None = None


class ContactMerge(Body):
    """Which contact becomes part of this one."""

    source_contact_id: Annotated[str, Field(min_length=1, max_length=64, examples=["cntct_dup_9z3n"])]
    conflict_resolution: Annotated[
        Preference,
        Field(description="Which side's trait stands, of what was said before the merge; what is said later wins."),
    ] = "prefer_target"


class ContactAnswer(Answer):
    """A contact as lists show it."""

    id: str = Field(examples=["cntct_01j8x2m4k00000000000000000"])
    email: str | None
    external_id: str | None
    traits: dict[str, Any]
    tags: list[str]
    created_at: str
    updated_at: str
    last_seen_at: str | None = None
    unsubscribed_at: str | None = None
    marketing_paused_until: Annotated[
        str | None, Field(description="Until then the contact gets no marketing mail: a survey's action has paused it.")
    ] = None


class GroupAnswer(Answer):
    """An organisation that a contact belongs to."""

    id: str
    joined_at: str


class DeletedAnswer(Answer):
    """What is gone."""

    id: str
    deleted: bool


def group_shown(group: Group) -> GroupAnswer:
    """The group as its callers see it."""
    return GroupAnswer(id=group.id, joined_at=iso(group.joined_at))


def fields(contact: Person) -> dict[str, Any]:
    """What a ContactAnswer says of a contact."""
    return {
        "id": contact.id,
        "email": contact.email,
        "external_id": contact.external_id,
        "traits": contact.traits,
        "tags": contact.tags,
        "created_at": iso(contact.created_at),
        "updated_at": iso(contact.updated_at),
        "last_seen_at": None if contact.last_seen_at is None else iso(contact.last_seen_at),
        "unsubscribed_at": None if contact.unsubscribed_at is None else iso(contact.unsubscribed_at),
        "marketing_paused_until": None
        if contact.marketing_paused_until is None
        else iso(contact.marketing_paused_until),
    }


def shown(contact: Person) -> ContactAnswer:
    """The contact as its callers see it."""
    return ContactAnswer(**fields(contact))
