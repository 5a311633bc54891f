"""The bases of every model that a caller sees: bodies, queries and answers.

Models are built when first used (`defer_build`): a container uses few of them, and building all costs its start.
"""

import re
from typing import Annotated, Any, Generic, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from chalicelib.core.bounds import has_control
from chalicelib.core.clock import parse_instant

T = TypeVar("T")

_WHOLE = re.compile(r"-?[0-9]+")


class Body(BaseModel):
    """A request's JSON: unknown fields are refused, and no type is coerced into another."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class Query(BaseModel):
    """A request's query parameters: unknown ones are refused; numbers and booleans are read from their text.

    A number is decimal digits, a boolean `true` or `false`: pydantic alone takes ` 1`, `1_0`, `1.0` and `yes` too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any, info: ValidationInfo) -> Any:
        known = cls.model_fields[info.field_name or ""]
        if not isinstance(value, str) or any(isinstance(entry, BeforeValidator) for entry in known.metadata):
            return value
        kinds = get_args(known.annotation) or (known.annotation,)
        if bool in kinds and value not in ("true", "false"):
            raise ValueError("This is true or false.")
        if int in kinds and not _WHOLE.fullmatch(value):
            raise ValueError("This is a whole number in decimal digits.")
        return value


class Answer(BaseModel):
    """What an endpoint answers; fields that are None are shown as null."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class PageQuery(Query):
    """The two parameters that every list takes."""

    limit: Annotated[int, Field(ge=1, le=100, description="Items for each page.")] = 25
    cursor: Annotated[
        str | None, Field(max_length=4096, description="`next_cursor` of the page before, as it was given.")
    ] = None


class Page(Answer, Generic[T]):
    """One page of a list."""

    data: list[T]
    has_more: bool
    next_cursor: Annotated[str | None, Field(description="Where the next page goes on; null at the end.")]


def _line(text: str) -> str:
    if not text.strip() or has_control(text):
        raise ValueError("This must not be blank, nor have control characters.")
    return text


Line = Annotated[str, AfterValidator(_line)]
"""Text that is not blank and has no control character, line breaks included."""


def _instant(text: object) -> object:
    if not isinstance(text, str):
        raise ValueError("an ISO 8601 moment as text")  # noqa: TRY004 - pydantic takes ValueError
    try:
        return parse_instant(text)
    except ValueError:
        raise ValueError("not an ISO 8601 moment") from None


Instant = Annotated[int, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
"""A moment given as ISO 8601 text, a date being midnight UTC; milliseconds inside."""


def _given(value: Any) -> Any:
    if value is None:
        raise ValueError("leave the field out, or give a value")
    return value


NotNull = BeforeValidator(_given)
"""Of a field of a PATCH that may be left out and not be null."""


class EmptyBody(Body):
    """A request that says all by its path."""
