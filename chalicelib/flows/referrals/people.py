"""The two sides of a referral as they stand now. Reads only."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from chalicelib.core import events
from chalicelib.features.activity import service as activity
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.messaging import service as messaging
from chalicelib.features.referrals.fraud import Known
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Check, attr
from chalicelib.readings.known import known

_LOOKED_AT: Final = 25
"""Events of each name."""

_TELLING: Final = (events.IDENTIFY, events.PAGE_VIEW)
"""What tells of a device, as clients send it."""


def active(tenant: Tenant, contact_id: str) -> Contact | None:
    """The contact that the id leads to by now; None where it is gone."""
    found = contacts.heir(tenant, contact_id)
    return found if found is not None and found.status == "active" else None


def still_active(tenant: Tenant, *people: Contact) -> list[Check]:
    """Hold as long as these contacts are neither merged nor deleted."""
    return [
        Check(contacts.key(tenant, each), attr("status").eq("active"))
        for each in dict.fromkeys(contact.id for contact in people)
    ]


def seen(tenant: Tenant, contact: Contact) -> Known:
    """As `known`, with the devices that it came by lately: an anonymous id is one contact's, whoever else uses it.

    Read by name, which takes no index: the bus may read none.
    """
    devices: set[str] = set()
    for name in _TELLING:
        latest = next(activity.history(tenant, contact.lineage, name, page_size=_LOOKED_AT), [])
        devices |= {each.anonymous_id for each in latest if each.anonymous_id is not None}
    of = known(contact)
    return replace(of, devices=of.devices | devices)


def first_mail_bounced(tenant: Tenant, contact: Contact) -> bool:
    """True where the contact's address does not exist, as far as its mails tell: none has ever arrived."""
    address = contact.email
    if address is None or messaging.suppressions(tenant, [address]).get(address) != "bounced":
        return False
    lying = [contact.id, *contacts.absorbed(tenant, contact.id)]
    return all(mail.delivered_at is None for each in lying for mail in messaging.of_contact(tenant, each))


def shown(tenant: Tenant, contact_ids: Iterable[str]) -> tuple[dict[str, str], dict[str, Contact]]:
    """The contact that each id leads to by now, and those of them that are there, by id."""
    wanted = list(dict.fromkeys(contact_ids))
    leads = contacts.heirs(tenant, wanted)
    rows = table.batch_get(contacts.key(tenant, each) for each in set(leads.values()))
    read = [contacts.read(item) for item in rows.values()]
    return leads, {each.id: each for each in read if each is not None and each.status == "active"}
