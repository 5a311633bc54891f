"""What the reference of the Management API has: calls, and examples as JSON."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TEXT = (Path(__file__).parents[1] / "reference" / "management-api.txt").read_text(encoding="utf-8")

SLIPS: tuple[tuple[dict[str, Any], str, Any], ...] = (
    ({"score": 6, "category": "passive"}, "category", "detractor"),
    ({"nps_score": 47, "total_responses": 210}, "nps_score", 49),
)
"""What the reference's own rules refute, and what is right: a 6 is a detractor's, and 130 of 210 less 28 make 49."""

_CALL = re.compile(r"(GET|POST|PATCH|DELETE) (/v1/\S+)")


def examples() -> Iterator[tuple[str, str, str, Any]]:
    """Each JSON example of the reference: method, path, `request` or `answer`, value."""
    method = path = ""
    lines = _TEXT.splitlines()
    kind, block = "answer", ""
    for line in lines:
        if not block and (call := _CALL.fullmatch(line)):
            (method, path), kind = call.groups(), "answer"
        elif not block and line.startswith("Content-Type:"):
            kind = "request"
        elif block or line == "{":
            block += line + "\n"
            try:
                value = json.loads(block, object_hook=_mended)
            except ValueError:
                continue
            yield method, path, kind, value
            kind, block = "answer", ""


def _mended(value: dict[str, Any]) -> dict[str, Any]:
    return value | {
        name: right for slip, name, right in SLIPS if all(value.get(each) == told for each, told in slip.items())
    }


def calls() -> list[tuple[str, str]]:
    """Method and path, with its query, of each call that it names."""
    return _CALL.findall(_TEXT)
