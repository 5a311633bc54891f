"""The keys of a project's surveys.

| item | PK | SK | indexes |
|---|---|---|---|
| survey | `P#<p>#SURVEYS` | `<survey id>` | |
| timer of a survey | `P#<p>#SRVY#<survey id>` | `TIMER#<name>` | due |
| send to a contact | `P#<p>#C#<c>` | `SURVEY#<survey id>#<send id>` | list `P#<p>#SENDS#<survey id>#<shard>` |
| what a contact was sent in all surveys | `P#<p>#C#<c>` | `SURVEYED` | |
| response to a send | `P#<p>#C#<c>` | `RESP#<survey id>#<send id>` | list `P#<p>#RESPS#<survey id>#<shard>` |
| what is held back while a survey is paused | `P#<p>#HELD#<survey id>#<shard>` | `<c>#<send id>#<mail>` | |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chalicelib.platform.growth_keys import GrowthKeys
from chalicelib.platform.key_shapes import IndexEntry, Key, moment_sk, shard_of

SURVEY_SHARDS: Final = 4

_SEND = "SURVEY#"
_RESPONSE = "RESP#"


@dataclass(frozen=True, slots=True)
class SurveyKeys(GrowthKeys):
    """What belongs to one project."""

    def survey(self, survey_id: str) -> Key:
        return Key(self.surveys_partition(), survey_id)

    def surveys_partition(self) -> str:
        return f"{self._root}#SURVEYS"

    def survey_timers(self, survey_id: str) -> str:
        return f"{self._root}#SRVY#{survey_id}"

    def send(self, contact_id: str, survey_id: str, send_id: str) -> Key:
        return Key(self.contact(contact_id).pk, f"{_SEND}{survey_id}#{send_id}")

    def sends_of(self, contact_id: str, survey_id: str | None = None) -> tuple[str, str]:
        """Partition and sort-key prefix of a contact's sends, of one survey or of all."""
        return self.contact(contact_id).pk, _SEND if survey_id is None else f"{_SEND}{survey_id}#"

    def send_entry(self, survey_id: str, contact_id: str, send_id: str, moment: int) -> IndexEntry:
        shard = shard_of(contact_id, SURVEY_SHARDS)
        return IndexEntry(self.send_partitions(survey_id)[shard], moment_sk(moment, f"{send_id}#{contact_id}"))

    def send_partitions(self, survey_id: str) -> Sequence[str]:
        return [f"{self._root}#SENDS#{survey_id}#{shard}" for shard in range(SURVEY_SHARDS)]

    def surveyed(self, contact_id: str) -> Key:
        return Key(self.contact(contact_id).pk, "SURVEYED")

    def response(self, contact_id: str, survey_id: str, send_id: str) -> Key:
        return Key(self.contact(contact_id).pk, f"{_RESPONSE}{survey_id}#{send_id}")

    def responses_of(self, contact_id: str) -> tuple[str, str]:
        """Partition and sort-key prefix of all responses of a contact."""
        return self.contact(contact_id).pk, _RESPONSE

    def response_entry(self, survey_id: str, response_id: str, moment: int) -> IndexEntry:
        shard = shard_of(response_id, SURVEY_SHARDS)
        return IndexEntry(self.response_partitions(survey_id)[shard], moment_sk(moment, response_id))

    def response_partitions(self, survey_id: str) -> Sequence[str]:
        return [f"{self._root}#RESPS#{survey_id}#{shard}" for shard in range(SURVEY_SHARDS)]

    def of_send(self, key: Key) -> tuple[str, str, str]:
        """Contact, survey and send of the row of a send, or of a response, at that key."""
        _, survey_id, send_id = key.sk.split("#", 2)
        return key.pk.rpartition("#")[2], survey_id, send_id

    def held(self, survey_id: str, contact_id: str, send_id: str, mail: str) -> Key:
        shard = shard_of(contact_id, SURVEY_SHARDS)
        return Key(self.held_partitions(survey_id)[shard], f"{contact_id}#{send_id}#{mail}")

    def held_partitions(self, survey_id: str) -> Sequence[str]:
        return [f"{self._root}#HELD#{survey_id}#{shard}" for shard in range(SURVEY_SHARDS)]
