"""Tokens by which widgets and people ask where somebody stands in a waitlist: sealed, so that nobody can make or read
one. A widget's is for the waitlist that it names beside it; a page's is all that there is."""

from dataclasses import dataclass
from typing import Final

from chalicelib.core import ids, strict_json
from chalicelib.platform import token_text
from chalicelib.platform.keys import Tenant

_PURPOSE: Final = "entry-tokens"
_PAGE: Final = "page"


@dataclass(frozen=True, slots=True)
class Named:
    """The entry that a page is about."""

    tenant: Tenant
    waitlist_id: str
    entry_id: str


def make(tenant: Tenant, waitlist_id: str, entry_id: str) -> str:
    """The token, URL-safe."""
    return token_text.make(_PURPOSE, ids.ulid_of(entry_id).encode(), _bound(tenant, waitlist_id))


def read(text: str, tenant: Tenant, waitlist_id: str) -> str:
    """The id of the entry. Raises BadToken for any text but one that `make` gave for that waitlist."""
    return f"wl_entry_{token_text.read(_PURPOSE, text, _bound(tenant, waitlist_id)).decode()}"


def make_for_page(named: Named) -> str:
    """The token of a page, URL-safe."""
    about = [*map(ids.ulid_of, (named.tenant.project_id, named.waitlist_id, named.entry_id))]
    return token_text.make(_PURPOSE, strict_json.dumps(about).encode(), _PAGE)


def read_of_page(text: str) -> Named:
    """What the page is about. Raises BadToken for any text but one that `make_for_page` gave."""
    project, waitlist, entry = strict_json.loads(token_text.read(_PURPOSE, text, _PAGE))
    return Named(Tenant(f"proj_{project}"), f"wl_{waitlist}", f"wl_entry_{entry}")


def _bound(tenant: Tenant, waitlist_id: str) -> str:
    return strict_json.dumps([tenant.project_id, waitlist_id])
