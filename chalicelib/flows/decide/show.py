"""Find what to show to one user now: surveys due, the referral widget, the waitlist.

Two reads, where this instance knows the project's definitions: who the user is, and then all rows of the contact that
tell what is shown. A contact that was merged is followed to its heir, and rows of old are completed, by further ones.
Nothing is written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from chalicelib.features.codes import service as codes
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.names import Names
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.model import Project
from chalicelib.features.referrals import service as referrals
from chalicelib.features.referrals.model import Program
from chalicelib.features.surveys import service as surveys
from chalicelib.features.surveys.model import Survey
from chalicelib.features.waitlists import service as waitlists
from chalicelib.features.waitlists.model import Held, Waitlist
from chalicelib.flows.decide.answers import (
    DecideAnswer,
    DueSurvey,
    Nothing,
    ReferralWidget,
    WaitlistWidget,
    Widgets,
    due_survey,
    referral_widget,
    waitlist_widget,
)
from chalicelib.platform import definitions, entry_tokens, table
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.table import Item
from chalicelib.readings import survey_link
from chalicelib.readings.referral_link import MAILS

_WAITLISTS_LOOKED_AT: Final = 50
"""The newest ones: with what else is read of a contact, one call of the table takes 100 rows."""

_CHANNELS: Final = (MAILS, "default")
"""Of the links of a contact the one that mails have, else the one that was made without a channel."""

Rows = Mapping[Key, Item]


def run(tenant: Tenant, names: Names, now: int, request_id: str) -> DecideAnswer:
    """What is shown to the user of these names at `now`, in ms on the project's clock; nothing to whom nobody knows."""
    rows = table.batch_get([*contacts.name_keys(tenant, names), definitions.key(tenant), projects.key(tenant)])
    pointed = contacts.pointed(tenant, names, rows)
    contact_id = next(iter(pointed.values()), None)
    if contact_id is None:
        return DecideAnswer(request_id=request_id)
    # Of a user id that nobody has yet, the visitor who came with it is shown what is the visitor's own.
    only_visitor = names.user is not None and all(name.kind != "user" for name in pointed)
    offer = _offer(tenant, rows, now)
    return offer.shown(contact_id, request_id, only_visitor=only_visitor)


@dataclass(frozen=True, slots=True)
class _Offer:
    """What a project may show at `now` to anybody, as its definitions stood at one moment."""

    tenant: Tenant
    project: Project
    surveys: Mapping[str, Survey]
    program: Program | None
    waitlists: Mapping[str, Waitlist]
    now: int

    def shown(self, contact_id: str, request_id: str, *, only_visitor: bool) -> DecideAnswer:
        """What is shown of it to the contact; nothing where that is gone, or is a user though it is to be
        `only_visitor`."""
        rows = table.batch_get(self._keys(contact_id))
        contact = contacts.read(rows.get(contacts.key(self.tenant, contact_id)))
        if contact is not None and contact.status == "merged":
            heir = contacts.heir(self.tenant, contact_id)
            if heir is not None and heir.id != contact_id:
                return self.shown(heir.id, request_id, only_visitor=only_visitor)
        if contact is None or contact.status != "active" or (only_visitor and contact.users):
            return DecideAnswer(request_id=request_id)
        widgets = Widgets(referral=self._referral(contact_id, rows), waitlist=self._waitlist(contact_id, rows))
        return DecideAnswer(surveys=self._due(contact_id, rows), widgets=widgets, request_id=request_id)

    def _keys(self, contact_id: str) -> list[Key]:
        """All rows that tell what is shown to the contact, in as few as one call takes."""
        found = [contacts.key(self.tenant, contact_id)]
        if self.surveys:
            found.append(surveys.surveyed_key(self.tenant, contact_id))
        if self.program is not None:
            found += [referrals.channel_key(self.tenant, contact_id, self.program.id, each) for each in _CHANNELS]
            found.append(referrals.standing_key(self.tenant, contact_id, self.program.id))
        return [*found, *(waitlists.pointer_key(self.tenant, contact_id, each) for each in self.waitlists)]

    def _due(self, contact_id: str, rows: Rows) -> list[DueSurvey]:
        """The surveys to ask, newest first."""
        of_contact = surveys.surveyed(contact_id, rows.get(surveys.surveyed_key(self.tenant, contact_id)))
        offered = sorted(of_contact.offered.values(), key=lambda each: (each.expires_at, each.send_id), reverse=True)
        return [
            due_survey(
                self.surveys[told.survey_id],
                survey_link.token(self.tenant, contact_id, told.survey_id, told.send_id),
                told.expires_at,
            )
            for told in offered
            if told.expires_at > self.now and told.survey_id in self.surveys
        ]

    def _referral(self, contact_id: str, rows: Rows) -> ReferralWidget | Nothing:
        program = self.program
        if program is None:
            return Nothing()
        keys = [referrals.channel_key(self.tenant, contact_id, program.id, each) for each in _CHANNELS]
        code = referrals.code_of(self.tenant, next((rows[each] for each in keys if each in rows), None))
        key = referrals.standing_key(self.tenant, contact_id, program.id)
        share_url = None if code is None else codes.url(self.project.referral_base_url, code)
        return referral_widget(program, code, share_url, referrals.standing(key, rows.get(key)))

    def _waitlist(self, contact_id: str, rows: Rows) -> WaitlistWidget | Nothing:
        pointers = {each: waitlists.pointer_key(self.tenant, contact_id, each) for each in self.waitlists}
        found = [waitlists.held(self.tenant, each, rows[key]) for each, key in pointers.items() if key in rows]
        last = max((each for each in found if each is not None), key=_joined, default=None)
        if last is None:
            return Nothing()
        share_url = codes.url(self.project.referral_base_url, last.code)
        token = entry_tokens.make(self.tenant, last.waitlist_id, last.entry_id)
        return waitlist_widget(self.waitlists[last.waitlist_id], last, share_url, token)


def _joined(entry: Held) -> tuple[int, str]:
    return entry.joined_at, entry.entry_id


def _offer(tenant: Tenant, rows: Rows, now: int) -> _Offer:
    """What may be shown, given the rows of the project and of its definitions' version."""
    version = rows.get(definitions.key(tenant))
    defined = surveys.catalog_of(tenant, version).surveys
    newest = waitlists.all_of(tenant, definitions.version_in(version))[-_WAITLISTS_LOOKED_AT:]
    return _Offer(
        tenant=tenant,
        project=projects.read(tenant, rows.get(projects.key(tenant))),
        surveys={each.id: each for each in defined.values() if each.status == "active" and "widget" in each.channels},
        program=referrals.catalog_of(tenant, version).main,
        waitlists={each.id: each for each in newest},
        now=now,
    )
