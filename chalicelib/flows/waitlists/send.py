"""Send a welcome or an invite to somebody in a waitlist, once.

Order: the mail is claimed in one transaction, which notes the message on the entry and writes it as being sent; it
holds only over the contact and the entry that were read, and where the address may get mail. Then the mail is given to
the mail service, and then the outcome is recorded. A death after the claim leaves a message in doubt, which is never
sent again by itself. Who has unsubscribed from marketing still gets these mails, and who gets none has a message that
says why.
"""

from dataclasses import dataclass, replace
from typing import Final

from chalicelib.features.codes import service as codes
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.messaging import model as messages
from chalicelib.features.messaging import service as messaging
from chalicelib.features.messaging.model import Message
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.model import Project
from chalicelib.features.templates import service as templates
from chalicelib.features.templates.model import Template
from chalicelib.features.waitlists import service as waitlists
from chalicelib.features.waitlists.model import Entry, MailKind, Waitlist
from chalicelib.features.waitlists.service import EntryMail
from chalicelib.platform import definitions, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Check, attr
from chalicelib.readings import compose, doubt, outcome
from chalicelib.readings.compose import Composed

_AGAIN_S: Final = 60
"""How long a mail waits that the mail service did not take for the time being."""

_EVENTS: dict[MailKind, str] = {"welcome": "waitlist.entry.created", "invite": "waitlist.entry.approved"}

_INVITE = Template(
    id="",
    name="Invite",
    format="html",
    source=(
        "<p>Hello{% if contact.traits.name %} {{ contact.traits.name }}{% endif %},</p>"
        "<p>your place is ready: you are off the waitlist {{ event.properties.waitlist_name }}.</p>"
        "{% if event.properties.landing_url %}"
        '<p><a href="{{ event.properties.landing_url }}">Get started</a></p>'
        "{% endif %}"
    ),
    subject="You are in: {{ event.properties.waitlist_name }}",
    created_at=0,
    updated_at=0,
)
"""What invites where the waitlist has no template of its own."""


@dataclass(frozen=True, slots=True)
class _Letter:
    """One mail as it was read what it is about; `now` in ms on the project's clock."""

    wanted: EntryMail
    waitlist: Waitlist
    entry: Entry
    contact: Contact
    project: Project
    now: int


def run(tenant: Tenant, wanted: EntryMail) -> None:
    """Send the mail, unless that was begun before or is not to be any more."""
    waitlists.retried(lambda: _act(tenant, wanted))


def _act(tenant: Tenant, wanted: EntryMail) -> None:
    letter = _read(tenant, wanted)
    if letter is None:
        return
    claimed = letter.entry.message_of(wanted.mail)
    if claimed is not None:
        doubt.note(tenant, messaging.load(tenant, *claimed), letter.now)
        return
    if wanted.mail == "welcome" and letter.entry.status != "waiting":
        return
    address = letter.contact.email
    reason = "no_email" if address is None else messaging.suppressions(tenant, [address]).get(address)
    if reason is not None:
        _note_unsent(tenant, letter, "skipped", reason)
        return
    composed = _composed(tenant, letter)
    if not isinstance(composed, Composed):
        _note_unsent(tenant, letter, "failed", composed)
    elif _has_turn(tenant, wanted):
        _hand_over(tenant, letter, _claim(tenant, letter, composed), composed)


def _read(tenant: Tenant, wanted: EntryMail) -> _Letter | None:
    waitlist = waitlists.find(tenant, wanted.waitlist_id)
    entry = waitlists.find_entry(tenant, wanted.waitlist_id, wanted.entry_id)
    contact = None if entry is None else contacts.heir(tenant, entry.contact_id)
    if waitlist is None or entry is None or contact is None or contact.status != "active":
        return None
    return _Letter(wanted, waitlist, entry, contact, projects.get(tenant), projects.now(tenant))


def _composed(tenant: Tenant, letter: _Letter) -> Composed | str:
    kind, waitlist, entry = letter.wanted.mail, letter.waitlist, letter.entry
    template_id = waitlist.template_ids[kind]
    template: Template | None = _INVITE
    if template_id is not None or kind == "welcome":
        template = templates.find(tenant, template_id or "", definitions.version(tenant))
    event = compose.event_tags(
        _EVENTS[kind],
        entry.joined_at if entry.approved_at is None else entry.approved_at,
        {
            "waitlist_id": waitlist.id,
            "waitlist_name": waitlist.name,
            "landing_url": waitlist.landing_url,
            "entry_id": entry.id,
            "position": waitlists.position(tenant, entry) if entry.status == "waiting" else None,
            "referral_count": entry.referral_count,
            "referral_code": entry.codes[0],
        },
    )
    link = codes.url(letter.project.referral_base_url, entry.codes[0])
    return compose.run(tenant, template, letter.contact, letter.project, event, letter.now, referral_link=link)


def _has_turn(tenant: Tenant, wanted: EntryMail) -> bool:
    """True where it is the mail's turn in the account's rate; else the mail is queued until then."""
    return outcome.has_turn(
        tenant,
        wanted.turn,
        lambda turn, delay_s: waitlists.dispatch(tenant, [replace(wanted, turn=turn)], delay_s=delay_s),
    )


def _claim(tenant: Tenant, letter: _Letter, composed: Composed) -> Message:
    message = _message(letter, "sending", composed)
    table.transact(
        [
            messaging.not_suppressed(tenant, composed.to),
            Check(contacts.key(tenant, letter.contact.id), attr("version").eq(letter.contact.version)),
            messaging.save(tenant, message),
            waitlists.save(tenant, letter.entry.with_message(letter.wanted.mail, (message.contact_id, message.id))),
        ]
    )
    return replace(message, version=1)


def _hand_over(tenant: Tenant, letter: _Letter, claimed: Message, composed: Composed) -> None:
    """Give the mail to the mail service, once; one that was surely not sent is queued again."""
    if not outcome.hand_over(tenant, claimed, composed, letter.now):
        _release(tenant, letter, claimed)


def _release(tenant: Tenant, letter: _Letter, claimed: Message) -> None:
    """Undo the claim of a mail that was surely not sent, and queue it again; what was told of it meanwhile stands."""

    def act() -> bool:
        known = messaging.load(tenant, claimed.contact_id, claimed.id)
        entry = waitlists.find_entry(tenant, letter.entry.waitlist_id, letter.entry.id)
        if known is None or known.status != "sending" or entry is None:
            return False
        if entry.message_of(letter.wanted.mail) != (claimed.contact_id, claimed.id):
            return False
        freed = waitlists.save(tenant, entry.with_message(letter.wanted.mail, None))
        table.transact([messaging.removal(tenant, known), freed])
        return True

    if waitlists.retried(act):
        waitlists.dispatch(tenant, [replace(letter.wanted, turn=None)], delay_s=_AGAIN_S)


def _note_unsent(tenant: Tenant, letter: _Letter, status: messages.Status, reason: str) -> None:
    """Write that the mail is not sent, and why."""
    message = replace(_message(letter, status, None), reason=reason)
    noted = waitlists.save(tenant, letter.entry.with_message(letter.wanted.mail, (message.contact_id, message.id)))
    table.transact([messaging.save(tenant, message), noted])


def _message(letter: _Letter, status: messages.Status, composed: Composed | None) -> Message:
    return Message(
        id=messaging.new_id() if composed is None else composed.message_id,
        contact_id=letter.contact.id,
        campaign_id=letter.waitlist.id,
        run_id=letter.entry.id,
        step_id=letter.wanted.mail,
        step_index=0,
        status=status,
        created_at=letter.now,
        to=None if composed is None else composed.to,
        links=0 if composed is None else len(composed.links),
    )
