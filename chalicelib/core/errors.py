"""Every error that a caller can see, with its status and code. `edge/errors.py` alone knows the envelope."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

Detail = dict[str, Any]

_KEY = re.compile(r"gos_[sw]k_[A-Za-z0-9_-]*")


def detail(field: str, reason: str, message: str) -> Detail:
    """One entry of an error's `details`; `field` is the dotted path, list positions included.

    What looks like an API key is left out: callers log the errors that they get.
    """
    return {"field": _KEY.sub("gos_***", field), "reason": reason, "message": _KEY.sub("gos_***", message)}


class AppError(Exception):
    """Base of all errors that are told to the caller as they are. `message` is written for the caller."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, *, details: Sequence[Detail] = (), headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = list(details)
        self.headers = headers or {}


class BadRequest(AppError):
    """Malformed JSON, a bad cursor or a bad query parameter."""

    status, code = 400, "bad_request"


class Unauthenticated(AppError):
    """No key, an unknown key, a key past its grace period, or the wrong kind of key."""

    status, code = 401, "unauthenticated"


class InsufficientScope(AppError):
    """The key lacks the scope that the endpoint needs."""

    status, code = 403, "insufficient_scope"

    def __init__(self, required: str, granted: Sequence[str]) -> None:
        super().__init__(
            f"This key lacks the scope {required}.",
            details=[{"required_scope": required, "granted_scopes": sorted(granted)}],
        )


class IpNotAllowed(AppError):
    """The project has an IP allow-list and the caller is not on it."""

    status, code = 403, "ip_not_allowed"


class NotFound(AppError):
    """The resource does not exist in the caller's project."""

    status, code = 404, "not_found"


class MethodNotAllowed(AppError):
    """The path is known and does not serve this method."""

    status, code = 405, "method_not_allowed"

    def __init__(self, allow: Sequence[str]) -> None:
        allowed = ", ".join(sorted(allow))
        super().__init__(f"This path serves {allowed}.", headers={"Allow": allowed})


class Conflict(AppError):
    """A duplicate, a version conflict, or an idempotency key that came with another body."""

    status, code = 409, "conflict"


class PayloadTooLarge(AppError):
    """The body is over the endpoint's bound."""

    status, code = 413, "payload_too_large"


class ValidationFailed(AppError):
    """Valid JSON that breaks a rule; `details` has one entry for each field."""

    status, code = 422, "validation_error"


class RateLimited(AppError):
    """The key's rate is used up; `retry_after` is whole seconds."""

    status, code = 429, "rate_limited"

    def __init__(self, retry_after: int) -> None:
        super().__init__("The rate limit of this key is used up.", headers={"Retry-After": str(retry_after)})


class Unavailable(AppError):
    """A dependency throttles or fails; the call may be repeated after `retry_after` seconds."""

    status, code = 503, "unavailable"

    def __init__(self, message: str = "A dependency is busy. Try again.", *, retry_after: int = 1) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after)})
