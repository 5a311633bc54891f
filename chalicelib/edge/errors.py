"""The one place that knows the envelope of errors."""

from typing import Any

from chalicelib.core.errors import AppError
from chalicelib.edge.responses import Outcome

_INTERNAL = "Something failed on our side. The request id finds it in our logs."


def envelope(error: AppError, request_id: str, *, at_root: bool = False) -> Outcome:
    """The answer that tells of `error`.

    `at_root` repeats code and message at the root of the body, where the Segment-style clients of ingest read them.
    """
    told = {"code": error.code, "message": error.message, "details": error.details}
    return Outcome(error.status, _body(told, request_id, at_root), dict(error.headers))


def internal_error(request_id: str, *, at_root: bool = False) -> Outcome:
    """The answer where our own code failed: nothing of the failure itself is told."""
    told = {"code": AppError.code, "message": _INTERNAL, "details": []}
    return Outcome(AppError.status, _body(told, request_id, at_root))


def _body(told: dict[str, Any], request_id: str, at_root: bool) -> dict[str, Any]:
    root = {"code": told["code"], "message": told["message"]} if at_root else {}
    return {"error": told, "request_id": request_id} | root
