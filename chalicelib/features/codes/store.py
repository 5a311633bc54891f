"""Referral codes in the table. They are unique in the deployment: a link says nothing of whose project it is.

| item | attributes |
|---|---|
| `CODE#<code>` | the fields of `model.Code`, and the project |
"""

from typing import Any

from chalicelib.features.codes.model import Code
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant, referral_code
from chalicelib.platform.table import Delete, Op, Put, Update, attr

_FIELDS = ("kind", "parent_id", "contact_id", "item_id", "landing_url")


def load(code: str) -> tuple[Tenant, Code] | None:
    """The code with its project, read consistently."""
    item = table.get(referral_code(code))
    if item is None:
        return None
    fields: dict[str, Any] = {name: item.get(name) for name in _FIELDS}
    return Tenant(item["project_id"]), Code(code, **fields)


def claim(tenant: Tenant, code: Code) -> Op:
    """Take the code; refused where somebody has it."""
    attrs = {"project_id": tenant.project_id} | {name: getattr(code, name) for name in _FIELDS}
    return Put(referral_code(code.code), attrs, attr("PK").not_exists())


def change(tenant: Tenant, code: str, changed: dict[str, str | None]) -> Op:
    """Change whose the code is or where it leads; refused where it is not the project's."""
    set_ = {name: value for name, value in changed.items() if value is not None}
    remove = [name for name, value in changed.items() if value is None]
    return Update(referral_code(code), set_=set_, remove=remove, condition=attr("project_id").eq(tenant.project_id))


def remove(tenant: Tenant, code: str) -> Op:
    """Free the code; refused where it is another project's."""
    is_ours = attr("PK").not_exists() | attr("project_id").eq(tenant.project_id)
    return Delete(referral_code(code), is_ours)
