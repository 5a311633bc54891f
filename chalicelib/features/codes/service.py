"""Public verbs of the codes feature."""

import secrets
from collections.abc import Callable
from typing import Final, TypeVar

from chalicelib.core.errors import Unavailable
from chalicelib.features.codes import model, store
from chalicelib.features.codes.model import Code
from chalicelib.platform.address import public_url
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import ConditionFailed, Op

T = TypeVar("T")

_ATTEMPTS: Final = 12

claim_op = store.claim
remove_op = store.remove
normal = model.normal


def draft(name: object, company: object, length: int = model.TAIL) -> str:
    """A random code with a tail of that length; nobody has been asked whether it is free."""
    return model.draft(name, company, length, secrets.choice)


def claiming(write: Callable[[int], T]) -> T:
    """What `write` returns, which is given the length of the tail and called with a longer one where the table refuses
    what it writes. Raises Unavailable."""
    for attempt in range(_ATTEMPTS):
        try:
            return write(model.TAIL + attempt)
        except ConditionFailed:
            continue
    raise Unavailable


def find(text: str) -> tuple[Tenant, Code] | None:
    """Whose the code is that a person may have typed so; one read, none for what can't be a code."""
    code = model.normal(text)
    return None if code is None else store.load(code)


def change_op(tenant: Tenant, code: str, **changed: str | None) -> Op:
    """Change `contact_id` or `landing_url` of a code; refused where it is not the project's."""
    return store.change(tenant, code, changed)


def url(base: str | None, code: str) -> str:
    """Where a code is shared: below the project's `referral_base_url`, or else at this deployment."""
    return f"{(base or f'{public_url()}/r').rstrip('/')}/{code}"
