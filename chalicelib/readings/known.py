"""What is known of a contact that tells whether it is somebody else, too."""

from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact, anonymous_id_of
from chalicelib.features.referrals import fraud
from chalicelib.features.referrals.fraud import Known


def known(contact: Contact) -> Known:
    """What tells of two contacts that they are one person."""
    said = {address for part in contact.parts.values() for address in part.emails}
    own = {contact.email, contacts.normal_email(contact.traits.get("email")), *said} - {None}
    devices = {each for name in contact.parts if (each := anonymous_id_of(name)) is not None}
    phone = contact.traits.get("phone") or contact.traits.get("phone_number")
    return Known(
        emails=frozenset(each for each in own if each is not None),
        external_ids=frozenset(contact.users),
        devices=frozenset(devices | contact.ceding.keys()),
        phone=fraud.phone(phone),
    )
