"""The keys of a project's referrals and waitlists, which `platform/keys.py` adds the others to.

| item | PK | SK | indexes |
|---|---|---|---|
| referral program | `P#<p>#PROGRAMS` | `<program id>` | |
| referral link | `P#<p>#LINK#<link id>` | `LINK` | list `P#<p>#LINKS#<program id>#<shard>` |
| a contact's link of a program and channel | `P#<p>#C#<c>` | `CHANNEL#<program id>#<channel>` | |
| the same, of a contact that was merged into it | `P#<p>#C#<c>` | `CHANNEL#<program id>#<channel>#<link id>` | |
| by whom a contact was referred | `P#<p>#C#<c>` | `REFERRED#<program id>` | |
| what a contact has referred | `P#<p>#C#<c>` | `REFERRER#<program id>` | list, in the next line |
| the same as a place on the board | `P#<p>#BOARD#<program id>` | `<conversions>#<referrals>#<first>#<c>` | |
| moments of conversions from one address | `P#<p>#C#<c>` | `SOURCE#<program id>#<kind>#<hash>` | |
| conversion, and its timer | `P#<p>#CONV#<conversion id>` | `CONV`, `TIMER#hold` | list, in the next line |
| the same in lists | `P#<p>#CONVS#<status>#<shard>` | `<moment>#<conversion id>` | |
| conversion of a link | `P#<p>#LINK#<link id>` | `CONV#<conversion id>` | |
| reward | `P#<p>#RWD#<reward id>` | `RWD` | list `P#<p>#RWDS#<status>#<shard>` |
| waitlist | `P#<p>#WAITLISTS` | `<waitlist id>` | |
| slug of a waitlist | `P#<p>#WLSLUG#<slug>` | `WLSLUG` | |
| entry in a waitlist | `P#<p>#WL#<waitlist id>#<WAITING or APPROVED>` | `<entry id>` | |
| order of a waitlist: its root, nodes, leaves | `P#<p>#WL#<waitlist id>#ORDER` | `ROOT`, `NODE#<id>`, `LEAF#<id>` | |
| joins for one referrer from one address | `P#<p>#WL#<waitlist id>#FROM` | `<entry id>#<hash>` | |
| a contact's entry in a waitlist | `P#<p>#C#<c>` | `ENTRY#<waitlist id>` | |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chalicelib.core import clock
from chalicelib.platform.key_shapes import IndexEntry, Key, moment_sk, part, shard_of

REFERRAL_SHARDS: Final = 4

_CHANNEL = "CHANNEL#"
_REFERRED = "REFERRED#"
_REFERRER = "REFERRER#"
_SOURCE = "SOURCE#"
_OF_LINK = "CONV#"
_ENTRY = "ENTRY#"
_PLACE_DIGITS = 9
_MOMENT_DIGITS = 15


@dataclass(frozen=True, slots=True)
class GrowthKeys:
    """What belongs to one project."""

    project_id: str

    @property
    def _root(self) -> str:
        return f"P#{self.project_id}"

    def contact(self, contact_id: str) -> Key:
        return Key(f"{self._root}#C#{contact_id}", "CONTACT")

    def program(self, program_id: str) -> Key:
        return Key(self.programs_partition(), program_id)

    def programs_partition(self) -> str:
        return f"{self._root}#PROGRAMS"

    def link(self, link_id: str) -> Key:
        return Key(f"{self._root}#LINK#{link_id}", "LINK")

    def link_entry(self, program_id: str, link_id: str, created_at: int) -> IndexEntry:
        shard = shard_of(link_id, REFERRAL_SHARDS)
        return IndexEntry(self.link_partitions(program_id)[shard], moment_sk(created_at, link_id))

    def link_partitions(self, program_id: str) -> Sequence[str]:
        return [f"{self._root}#LINKS#{program_id}#{shard}" for shard in range(REFERRAL_SHARDS)]

    def channel(self, contact_id: str, program_id: str, channel: str, link_id: str | None = None) -> Key:
        """Which link is a contact's own; with `link_id`, that it is one more, taken over in a merge."""
        more = "" if link_id is None else f"#{link_id}"
        return Key(self.contact(contact_id).pk, f"{_CHANNEL}{program_id}#{part(channel)}{more}")

    def channels(self, contact_id: str) -> tuple[str, str]:
        """Partition and sort-key prefix of these."""
        return self.contact(contact_id).pk, _CHANNEL

    def referred(self, contact_id: str, program_id: str) -> Key:
        return Key(self.contact(contact_id).pk, f"{_REFERRED}{program_id}")

    def referred_all(self, contact_id: str) -> tuple[str, str]:
        """Partition and sort-key prefix of a contact's attributions."""
        return self.contact(contact_id).pk, _REFERRED

    def referrer(self, contact_id: str, program_id: str) -> Key:
        return Key(self.contact(contact_id).pk, f"{_REFERRER}{program_id}")

    def referrer_all(self, contact_id: str) -> tuple[str, str]:
        """Partition and sort-key prefix of what a contact has referred, by program."""
        return self.contact(contact_id).pk, _REFERRER

    def board_entry(self, program_id: str, contact_id: str, conversions: int, referrals: int, since: int) -> IndexEntry:
        """Places grow from the last to the first: the more conversions the greater, and who came first, at `since`."""
        place = f"{conversions:0{_PLACE_DIGITS}d}#{referrals:0{_PLACE_DIGITS}d}"
        return IndexEntry(
            self.board_partition(program_id), f"{place}#{clock.LAST_MOMENT - since:0{_MOMENT_DIGITS}d}#{contact_id}"
        )

    def board_partition(self, program_id: str) -> str:
        return f"{self._root}#BOARD#{program_id}"

    def source(self, contact_id: str, program_id: str, kind: str, digest: str) -> Key:
        return Key(self.contact(contact_id).pk, f"{_SOURCE}{program_id}#{kind}#{digest}")

    def sources_all(self, contact_id: str) -> tuple[str, str]:
        """Partition and sort-key prefix of these."""
        return self.contact(contact_id).pk, _SOURCE

    def conversion(self, conversion_id: str) -> Key:
        return Key(f"{self._root}#CONV#{conversion_id}", "CONV")

    def conversion_entry(self, status: str, conversion_id: str, created_at: int) -> IndexEntry:
        shard = shard_of(conversion_id, REFERRAL_SHARDS)
        return IndexEntry(self.conversion_partitions(status)[shard], moment_sk(created_at, conversion_id))

    def conversion_partitions(self, status: str) -> Sequence[str]:
        return [f"{self._root}#CONVS#{status}#{shard}" for shard in range(REFERRAL_SHARDS)]

    def conversion_of_link(self, link_id: str, conversion_id: str) -> Key:
        return Key(self.link(link_id).pk, f"{_OF_LINK}{conversion_id}")

    def conversions_of_link(self, link_id: str) -> tuple[str, str]:
        """Partition and sort-key prefix of the conversions of a link."""
        return self.link(link_id).pk, _OF_LINK

    def reward(self, reward_id: str) -> Key:
        return Key(f"{self._root}#RWD#{reward_id}", "RWD")

    def reward_entry(self, status: str, reward_id: str, created_at: int) -> IndexEntry:
        shard = shard_of(reward_id, REFERRAL_SHARDS)
        return IndexEntry(self.reward_partitions(status)[shard], moment_sk(created_at, reward_id))

    def reward_partitions(self, status: str) -> Sequence[str]:
        return [f"{self._root}#RWDS#{status}#{shard}" for shard in range(REFERRAL_SHARDS)]

    def waitlist(self, waitlist_id: str) -> Key:
        return Key(self.waitlists_partition(), waitlist_id)

    def waitlists_partition(self) -> str:
        return f"{self._root}#WAITLISTS"

    def waitlist_slug(self, slug: str) -> Key:
        return Key(f"{self._root}#WLSLUG#{slug}", "WLSLUG")

    def entry(self, waitlist_id: str, status: str, entry_id: str) -> Key:
        return Key(self.entries_partition(waitlist_id, status), entry_id)

    def entries_partition(self, waitlist_id: str, status: str) -> str:
        """The entries of that status, in the order in which they joined."""
        return f"{self._root}#WL#{waitlist_id}#{status.upper()}"

    def order_root(self, waitlist_id: str) -> Key:
        return Key(self.order_partition(waitlist_id), "ROOT")

    def order_node(self, waitlist_id: str, node_id: str) -> Key:
        return Key(self.order_partition(waitlist_id), f"NODE#{node_id}")

    def order_leaf(self, waitlist_id: str, leaf_id: str) -> Key:
        return Key(self.order_partition(waitlist_id), f"LEAF#{leaf_id}")

    def order_partition(self, waitlist_id: str) -> str:
        return f"{self._root}#WL#{waitlist_id}#ORDER"

    def joins_from(self, waitlist_id: str, entry_id: str, digest: str) -> Key:
        """Joins from one address by the code of one entry."""
        return Key(self.joins_partition(waitlist_id), f"{entry_id}#{digest}")

    def joins_partition(self, waitlist_id: str) -> str:
        return f"{self._root}#WL#{waitlist_id}#FROM"

    def entry_of(self, contact_id: str, waitlist_id: str) -> Key:
        return Key(self.contact(contact_id).pk, f"{_ENTRY}{waitlist_id}")

    def entries_of(self, contact_id: str) -> tuple[str, str]:
        """Partition and sort-key prefix of these."""
        return self.contact(contact_id).pk, _ENTRY
