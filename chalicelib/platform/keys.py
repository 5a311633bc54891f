"""Every key of the table on one page. A tenant is the first part of every key that belongs to one.

| item | PK | SK | indexes |
|---|---|---|---|
| project, its clock, its keyring | `P#<p>` | `PROJECT`, `CLOCK`, `KEYRING` | |
| API key | `P#<p>` | `KEY#<key id>` | |
| API key's door | `KEY#<sha256>` | `KEY` | |
| how far the mail service's rate is used | `SES` | `PACE` | |
| rate bucket | `RATE#<key id>#<management or ingest>` | `RATE` | |
| contact | `P#<p>#C#<c>` | `CONTACT` | list `P#<p>#CONTACTS#<shard>` |
| whom a contact has absorbed | `P#<p>#C#<c>` | `FROM#<source>` | |
| tag of a contact | `P#<p>#C#<c>` | `TAG#<tag>` | list `P#<p>#TAG#<tag>#<shard>` |
| event | `P#<p>#C#<c>` | `EVT#<name>#<moment>#<id>` | list `P#<p>#C#<c>#EVENTS`, stream `P#<p>#EVT#<day>#<shard>` |
| identity | `P#<p>#ID#<kind>#<value>` | `ID` | |
| claim to an email that another holds | `P#<p>#ID#email#<address>` | `CLAIM#<moment>#<c>` | |
| seen message | `P#<p>#MSG#<message id>` | `MSG` | |
| day that has events | `P#<p>#DAYS` | `<day>` | |
| version of the definitions | `P#<p>` | `DEFINITIONS` | |
| segment | `P#<p>#SEGMENTS` | `<segment id>` | |
| memberships of a contact | `P#<p>#C#<c>` | `MEMBERSHIPS` | |
| member of a segment | `P#<p>#C#<c>` | `SEG#<segment id>` | list `P#<p>#SEG#<segment id>#<shard>` |
| counter | `P#<p>#COUNT#<name>` | `<shard>` | |
| counter's marker | `P#<p>#C#<c>` | `COUNTED#<name>` | |
| marker of an event that was counted | `P#<p>#COUNTED#<event id>` | `<counter>` | |
| domain event, live | `P#<p>#OUT#<event id>` | `OUT` | |
| domain event, test project | `P#<p>#PENDING` | `OUT#<event id>` | |
| timer, live | its owner's | `TIMER#<name>` | due `DUE#<shard>` by moment, once queued `DUE#<shard>#QUEUED` |
| timer, test project | its owner's | `TIMER#<name>` | |
| pointer to a test project's timer | `P#<p>#DUE` | `<moment>#<hash>` | |
| work in flight of a test project | `P#<p>#PENDING` | `<kind>#<id>` | |
| webhook endpoint | `P#<p>#ENDPOINTS` | `<endpoint id>` | |
| timers of an endpoint, of a campaign | `P#<p>#WHEP#<id>`, `P#<p>#CMPGN#<id>` | `TIMER#<name>` | due |
| what an event's webhook says | `P#<p>#C#<c>`, or `P#<p>#HOOK#<event id>` | `HOOK#<event id>` | |
| attempt of a webhook | `P#<p>#WH#<endpoint id>#<event>#<event id>` | `<step>` | list, in the next line |
| the same in lists | `P#<p>#WHLOGS#<endpoint id>#<status>#<shard>` | `<moment>#<log id>` | |
| pointer to what was not delivered | `P#<p>#UNDELIVERED#<endpoint id>#<shard>` | `<moment>#<event id>` | |
| template | `P#<p>#TEMPLATES` | `<template id>` | |
| campaign | `P#<p>#CAMPAIGNS` | `<campaign id>` | |
| how far a campaign's rate is used | `P#<p>#PACE#<campaign id>` | `PACE` | |
| run: a contact's position in a campaign | `P#<p>#C#<c>` | `RUN#<campaign id>` | list, in the next line |
| the same while it goes on | `P#<p>#RUNS#<campaign id>#<shard>` | `<moment>#<contact id>` | |
| message | `P#<p>#C#<c>` | `MAIL#<message id>` | list `P#<p>#MAILS#<campaign id>#<shard>` |
| address that gets no mail | `P#<p>#SUPPRESSED#<sha256>` | `SUPPRESSED` | |
| mail kept of a test project | `P#<p>#MAILBOX` | `<moment>#<message id>` | |
| referral code | `CODE#<code>` | `CODE` | |
| referrals and waitlists | `platform/growth_keys.py` | | |
| surveys | `platform/survey_keys.py` | | |
| analytics | `platform/lake_keys.py` | | |
| idempotent answer | `P#<p>#IDEM#<hash>` | `IDEM` | |
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.core import clock, ids
from chalicelib.platform.key_shapes import IndexEntry, Key, moment_sk, part, shard_of
from chalicelib.platform.lake_keys import LakeKeys, lake_object, lake_waiting, lake_waiting_partition

__all__ = [
    "COUNTER_SHARDS",
    "IndexEntry",
    "Key",
    "Tenant",
    "api_key_door",
    "contact_of",
    "is_outbox",
    "lake_object",
    "lake_waiting",
    "lake_waiting_partition",
    "mail_turns",
    "moment_sk",
    "queued_timers",
    "rate_bucket",
    "referral_code",
    "shard_of",
    "tenant_of",
    "timed_by",
    "timer",
    "timer_name",
    "waiting_timers",
]

CONTACT_SHARDS = 8
EVENT_SHARDS = 8
COUNTER_SHARDS = 8
WEBHOOK_SHARDS = 4
CAMPAIGN_SHARDS = 8

_TIMER = "TIMER#"
_OUT = "OUT"
_RUN = "RUN#"
_MAIL = "MAIL#"
_EMAIL_CLAIM = "CLAIM#"
_STEP_DIGITS = 6


def timer(owner_pk: str, name: str) -> Key:
    """The timer of that name beside its owner, whose partition is the project's own already."""
    return Key(owner_pk, f"{_TIMER}{name}")


def timer_name(sort: str) -> str | None:
    """The name of the timer whose sort key that is; None for other rows."""
    return sort.removeprefix(_TIMER) if sort.startswith(_TIMER) else None


def waiting_timers(shard: int) -> str:
    """Live timers of all projects that are not on the queue, by moment, in the index `due`."""
    return f"DUE#{shard}"


def queued_timers(shard: int) -> str:
    """Those on the queue, by the moment from which their message counts as lost."""
    return f"DUE#{shard}#QUEUED"


def mail_turns() -> Key:
    """How far the account's rate with the mail service is used, by all projects together."""
    return Key("SES", "PACE")


def api_key_door(digest: str) -> Key:
    """Where a presented key is looked up; `digest` is the hex SHA-256 of its text."""
    return Key(f"KEY#{digest}", "KEY")


def rate_bucket(key_id: str, surface: str) -> Key:
    """How far one key's calls of one API are paid for."""
    return Key(f"RATE#{key_id}#{surface}", "RATE")


def referral_code(code: str) -> Key:
    """Whose a referral code is; it is unique among all projects."""
    return Key(f"CODE#{code}", "CODE")


@dataclass(frozen=True, slots=True)
class Tenant(LakeKeys):
    """One project as the owner of keys. Made from the caller's principal, or from an item read back."""

    @property
    def is_test(self) -> bool:
        """True for a test project, whose time stands under its owner's hand; nothing is read for it."""
        return ids.is_test_project(self.project_id)

    def project(self) -> Key:
        return Key(self._root, "PROJECT")

    def test_clock(self) -> Key:
        return Key(self._root, "CLOCK")

    def keyring(self) -> Key:
        """The set of keys that may change settings; the last one stays."""
        return Key(self._root, "KEYRING")

    def api_key(self, key_id: str) -> Key:
        return Key(self._root, f"KEY#{key_id}")

    def api_keys(self) -> tuple[str, str]:
        """Partition and sort-key prefix of all keys of the project."""
        return self._root, "KEY#"

    def contact_entry(self, contact_id: str, created_at: int) -> IndexEntry:
        shard = shard_of(contact_id, CONTACT_SHARDS)
        return IndexEntry(f"{self._root}#CONTACTS#{shard}", moment_sk(created_at, contact_id))

    def contact_partitions(self) -> Sequence[str]:
        return [f"{self._root}#CONTACTS#{shard}" for shard in range(CONTACT_SHARDS)]

    def absorbed(self, contact_id: str, source_id: str) -> Key:
        return Key(self.contact(contact_id).pk, f"FROM#{source_id}")

    def tag(self, contact_id: str, tag: str) -> Key:
        return Key(self.contact(contact_id).pk, f"TAG#{tag}")

    def tag_entry(self, contact_id: str, tag: str, created_at: int) -> IndexEntry:
        shard = shard_of(contact_id, CONTACT_SHARDS)
        return IndexEntry(f"{self._root}#TAG#{part(tag)}#{shard}", moment_sk(created_at, contact_id))

    def tag_partitions(self, tag: str) -> Sequence[str]:
        return [f"{self._root}#TAG#{part(tag)}#{shard}" for shard in range(CONTACT_SHARDS)]

    def definitions(self) -> Key:
        """The version of all definitions of the project."""
        return Key(self._root, "DEFINITIONS")

    def segment(self, segment_id: str) -> Key:
        return Key(self.segments_partition(), segment_id)

    def segments_partition(self) -> str:
        return f"{self._root}#SEGMENTS"

    def memberships(self, contact_id: str) -> Key:
        return Key(self.contact(contact_id).pk, "MEMBERSHIPS")

    def member(self, contact_id: str, segment_id: str) -> Key:
        return Key(self.contact(contact_id).pk, f"SEG#{segment_id}")

    def member_entry(self, contact_id: str, segment_id: str, created_at: int) -> IndexEntry:
        """Members are listed as contacts are, by the moment at which the contact was created."""
        shard = shard_of(contact_id, CONTACT_SHARDS)
        return IndexEntry(f"{self._root}#SEG#{segment_id}#{shard}", moment_sk(created_at, contact_id))

    def member_partitions(self, segment_id: str) -> Sequence[str]:
        return [f"{self._root}#SEG#{segment_id}#{shard}" for shard in range(CONTACT_SHARDS)]

    def event(self, contact_id: str, name: str, moment: int, event_id: str) -> Key:
        return Key(f"{self._root}#C#{contact_id}", f"EVT#{part(name)}#{moment_sk(moment, event_id)}")

    def event_prefix(self, name: str) -> str:
        """The start of the sort keys of all events of that name."""
        return f"EVT#{part(name)}#"

    def timeline_entry(self, contact_id: str, moment: int, event_id: str) -> IndexEntry:
        return IndexEntry(self.timeline_partition(contact_id), moment_sk(moment, event_id))

    def timeline_partition(self, contact_id: str) -> str:
        return f"{self._root}#C#{contact_id}#EVENTS"

    def stream_entry(self, moment: int, event_id: str) -> IndexEntry:
        shard = shard_of(event_id, EVENT_SHARDS)
        return IndexEntry(f"{self._root}#EVT#{clock.day(moment)}#{shard}", moment_sk(moment, event_id))

    def stream_partitions(self, day: str) -> Sequence[str]:
        return [f"{self._root}#EVT#{day}#{shard}" for shard in range(EVENT_SHARDS)]

    def day(self, day: str) -> Key:
        return Key(f"{self._root}#DAYS", day)

    def identity(self, kind: str, value: str) -> Key:
        return Key(f"{self._root}#ID#{kind}#{value}", "ID")

    def email_claim(self, address: str, moment: int, contact_id: str) -> Key:
        """That a contact said an address which somebody else held."""
        return Key(self.identity("email", address).pk, f"{_EMAIL_CLAIM}{moment_sk(moment, contact_id)}")

    def email_claims(self, address: str) -> tuple[str, str]:
        """Partition and sort-key prefix of these, the earliest first."""
        return self.identity("email", address).pk, _EMAIL_CLAIM

    def message(self, message_id: str) -> Key:
        return Key(f"{self._root}#MSG#{message_id}", "MSG")

    def counter(self, name: str, shard: int) -> Key:
        return Key(f"{self._root}#COUNT#{name}", str(shard))

    def counted(self, contact_id: str, name: str) -> Key:
        return Key(f"{self._root}#C#{contact_id}", f"COUNTED#{name}")

    def counted_event(self, event_id: str, counter: str) -> Key:
        return Key(f"{self._root}#COUNTED#{event_id}", counter)

    def outbox(self, event_id: str) -> Key:
        if self.is_test:
            return self.pending(_OUT, event_id)
        return Key(f"{self._root}#OUT#{event_id}", _OUT)

    def due(self, moment: int, ident: str) -> Key:
        """Where a test project points to one of its timers."""
        return Key(self.due_partition(), moment_sk(moment, ident))

    def due_partition(self) -> str:
        return f"{self._root}#DUE"

    def pending(self, kind: str, ident: str) -> Key:
        """The mark of one piece of work in flight."""
        return Key(self.pending_partition(), f"{kind}#{ident}")

    def pending_partition(self) -> str:
        return f"{self._root}#PENDING"

    def endpoint(self, endpoint_id: str) -> Key:
        return Key(self.endpoints_partition(), endpoint_id)

    def endpoints_partition(self) -> str:
        return f"{self._root}#ENDPOINTS"

    def endpoint_timers(self, endpoint_id: str) -> str:
        """The partition in which an endpoint's timers stand."""
        return f"{self._root}#WHEP#{endpoint_id}"

    def webhook(self, event_id: str, contact_id: str | None) -> Key:
        """What an event's webhook says; what it says of a contact goes with the contact."""
        pk = f"{self._root}#HOOK#{event_id}" if contact_id is None else self.contact(contact_id).pk
        return Key(pk, f"HOOK#{event_id}")

    def attempt(self, endpoint_id: str, event: str, event_id: str, step: int) -> Key:
        """One attempt; those of a delivery stand together by `step`. The event is named for lists that filter by it."""
        return Key(f"{self._root}#WH#{endpoint_id}#{event}#{event_id}", f"{step:0{_STEP_DIGITS}d}")

    def undelivered(self, endpoint_id: str, event_id: str, moment: int) -> Key:
        shard = shard_of(event_id, WEBHOOK_SHARDS)
        return Key(self.undelivered_partitions(endpoint_id)[shard], moment_sk(moment, event_id))

    def undelivered_partitions(self, endpoint_id: str) -> Sequence[str]:
        return [f"{self._root}#UNDELIVERED#{endpoint_id}#{shard}" for shard in range(WEBHOOK_SHARDS)]

    def webhook_log_entry(self, endpoint_id: str, status: str, log_id: str) -> IndexEntry:
        """Logs are listed by the moment at which their ids were made: that of the answer, on the real clock."""
        shard = shard_of(log_id, WEBHOOK_SHARDS)
        partition = self.webhook_log_partitions(endpoint_id, status)[shard]
        return IndexEntry(partition, moment_sk(ids.moment_of(log_id), log_id))

    def webhook_log_partitions(self, endpoint_id: str, status: str) -> Sequence[str]:
        return [f"{self._root}#WHLOGS#{endpoint_id}#{status}#{shard}" for shard in range(WEBHOOK_SHARDS)]

    def template(self, template_id: str) -> Key:
        return Key(self.templates_partition(), template_id)

    def templates_partition(self) -> str:
        return f"{self._root}#TEMPLATES"

    def campaign(self, campaign_id: str) -> Key:
        return Key(self.campaigns_partition(), campaign_id)

    def campaigns_partition(self) -> str:
        return f"{self._root}#CAMPAIGNS"

    def campaign_timers(self, campaign_id: str) -> str:
        return f"{self._root}#CMPGN#{campaign_id}"

    def pace(self, campaign_id: str) -> Key:
        return Key(f"{self._root}#PACE#{campaign_id}", "PACE")

    def run(self, contact_id: str, campaign_id: str) -> Key:
        return Key(self.contact(contact_id).pk, f"{_RUN}{campaign_id}")

    def runs(self, contact_id: str) -> tuple[str, str]:
        """Partition and sort-key prefix of all runs of a contact."""
        return self.contact(contact_id).pk, _RUN

    def run_of(self, key: Key) -> tuple[str, str]:
        """Contact and campaign of the run at that key."""
        return key.pk.rpartition("#")[2], key.sk.removeprefix(_RUN)

    def run_entry(self, campaign_id: str, contact_id: str, entered_at: int) -> IndexEntry:
        shard = shard_of(contact_id, CAMPAIGN_SHARDS)
        return IndexEntry(self.run_partitions(campaign_id)[shard], moment_sk(entered_at, contact_id))

    def run_partitions(self, campaign_id: str) -> Sequence[str]:
        return [f"{self._root}#RUNS#{campaign_id}#{shard}" for shard in range(CAMPAIGN_SHARDS)]

    def mail(self, contact_id: str, message_id: str) -> Key:
        return Key(self.contact(contact_id).pk, f"{_MAIL}{message_id}")

    def mail_of(self, key: Key) -> tuple[str, str]:
        """Contact and id of the message at that key."""
        return key.pk.rpartition("#")[2], key.sk.removeprefix(_MAIL)

    def mail_entry(self, campaign_id: str, message_id: str, moment: int) -> IndexEntry:
        shard = shard_of(message_id, CAMPAIGN_SHARDS)
        return IndexEntry(self.mail_partitions(campaign_id)[shard], moment_sk(moment, message_id))

    def mail_partitions(self, campaign_id: str) -> Sequence[str]:
        return [f"{self._root}#MAILS#{campaign_id}#{shard}" for shard in range(CAMPAIGN_SHARDS)]

    def suppressed(self, digest: str) -> Key:
        """An address that gets no mail, by its SHA-256."""
        return Key(f"{self._root}#SUPPRESSED#{digest}", "SUPPRESSED")

    def kept_mail(self, moment: int, message_id: str) -> Key:
        return Key(self.mailbox_partition(), moment_sk(moment, message_id))

    def mailbox_partition(self) -> str:
        return f"{self._root}#MAILBOX"

    def idempotent_answer(self, digest: str) -> Key:
        return Key(f"{self._root}#IDEM#{digest}", "IDEM")


def tenant_of(partition: str) -> Tenant | None:
    """The tenant whose partition that is; None for items that belong to none."""
    head, _, rest = partition.partition("#")
    return Tenant(rest.partition("#")[0]) if head == "P" else None


def contact_of(partition: str) -> str | None:
    """The contact whose partition that is; None for other partitions."""
    parts = partition.split("#")
    return parts[3] if len(parts) == 4 and parts[0] == "P" and parts[2] == "C" else None


def timed_by(partition: str) -> str:
    """The endpoint, or the campaign, whose timers stand in that partition."""
    return partition.rpartition("#")[2]


def is_outbox(partition: str, sort: str) -> bool:
    """True for the row of a domain event."""
    tenant = tenant_of(partition)
    if tenant is None or not tenant.is_test:
        return sort == _OUT
    return partition == tenant.pending_partition() and sort.startswith(f"{_OUT}#")
