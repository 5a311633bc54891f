"""Surveys, sends and responses in the table.

| item | attributes |
|---|---|
| survey | the fields of `model.Survey`; `questions trigger cap actions` as JSON text |
| `SURVEY#<survey id>#<send id>` of a contact | the fields of `model.Send`; listed by `created_at` |
| `SURVEYED` of a contact | the fields of `model.Surveyed`, as JSON text |
| `RESP#<survey id>#<send id>` of a contact | the fields of `model.Response`; listed by `responded_at` |
| held back while a survey is paused | `token` |
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any, NamedTuple

from chalicelib.core import ids, strict_json
from chalicelib.features.surveys.model import (
    Action,
    Cap,
    Cause,
    Effect,
    Mail,
    Offered,
    Question,
    Response,
    Send,
    Survey,
    Surveyed,
    Trigger,
)
from chalicelib.platform import table
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.listing import Entry, walk
from chalicelib.platform.table import Check, Condition, ConditionFailed, Delete, Item, Op, Put, attr

_PAGE = 200
_AS_JSON = ("questions", "trigger", "cap", "actions")
_OF_SURVEYED = ("waiting", "counts", "offered")


def load_all(tenant: Tenant) -> list[Survey]:
    """All surveys, the oldest first, read consistently."""
    return [survey(item) for item in walk(tenant.surveys_partition(), a_page=_PAGE)]


def load(tenant: Tenant, survey_id: str) -> Survey | None:
    """The survey, read consistently."""
    item = table.get(tenant.survey(survey_id))
    return None if item is None else survey(item)


def put(tenant: Tenant, after: Survey) -> Op:
    """Write the survey over the version before."""
    unchanged = attr("PK").not_exists() if after.version == 1 else attr("version").eq(after.version - 1)
    attrs: dict[str, Any] = {
        name: getattr(after, name) for name in Survey.__slots__ if name != "id" and name not in _AS_JSON
    }
    attrs["channels"] = list(after.channels)
    attrs["sweeping"] = None if after.sweeping is None else list(after.sweeping)
    attrs["questions"] = strict_json.dumps([asdict(each) for each in after.questions])
    attrs["trigger"] = strict_json.dumps(asdict(after.trigger))
    attrs["cap"] = strict_json.dumps(asdict(after.cap))
    attrs["actions"] = strict_json.dumps({name: asdict(each) for name, each in after.actions.items()})
    return Put(tenant.survey(after.id), attrs, unchanged)


def survey(item: Item) -> Survey:
    """The survey that a row stands for."""
    fields = {name: item[name] for name in Survey.__slots__ if name in item}
    read = {name: strict_json.stored(item[name]) for name in _AS_JSON}
    return Survey(
        **fields
        | {
            "id": item["SK"],
            "channels": tuple(item["channels"]),
            "sweeping": (item["sweeping"][0], item["sweeping"][1]) if "sweeping" in item else None,
            "questions": tuple(Question(**each | {"options": tuple(each["options"])}) for each in read["questions"]),
            "trigger": Trigger(**read["trigger"]),
            "cap": Cap(**read["cap"]),
            "actions": {
                name: Action(**each | {"add_tags": tuple(each["add_tags"])}) for name, each in read["actions"].items()
            },
        }
    )


def send_key(tenant: Tenant, contact_id: str, survey_id: str, send_id: str) -> Key:
    return tenant.send(contact_id, survey_id, send_id)


def save_send(tenant: Tenant, after: Send) -> Op:
    """Write the send over the version that was read."""
    entry = tenant.send_entry(after.survey_id, after.contact_id, after.id, after.created_at)
    attrs: dict[str, Any] = {
        name: getattr(after, name) for name in Send.__slots__ if name not in ("id", "contact_id", "survey_id")
    }
    attrs |= {
        "cause": list(after.cause),
        "by": list(after.by),
        "message": _pair(after.message),
        "reminder": _pair(after.reminder),
        "version": after.version + 1,
        "list_pk": entry.pk,
        "list_sk": entry.sk,
    }
    return Put(tenant.send(after.contact_id, after.survey_id, after.id), attrs, _unchanged(after.version))


def remove_send(tenant: Tenant, before: Send) -> Op:
    """Remove the send over the version that was read."""
    return Delete(tenant.send(before.contact_id, before.survey_id, before.id), _unchanged(before.version))


def send(tenant: Tenant, item: Item | None) -> Send | None:
    """The send that a row stands for."""
    if item is None:
        return None
    contact_id, survey_id, send_id = tenant.of_send(Key(item["PK"], item["SK"]))
    fields = {name: item[name] for name in Send.__slots__ if name in item}
    return Send(
        **fields
        | {
            "id": send_id,
            "contact_id": contact_id,
            "survey_id": survey_id,
            "cause": Cause(*item["cause"]),
            "by": tuple(item["by"]),
            "message": _pair_of(item, "message"),
            "reminder": _pair_of(item, "reminder"),
        }
    )


def sends_of(tenant: Tenant, contact_id: str, survey_id: str | None = None) -> list[Send]:
    """A contact's sends, of one survey or of all, read consistently."""
    rows = walk(*tenant.sends_of(contact_id, survey_id), a_page=_PAGE)
    return [each for item in rows if (each := send(tenant, item)) is not None]


def surveyed_key(tenant: Tenant, contact_id: str) -> Key:
    return tenant.surveyed(contact_id)


def save_surveyed(tenant: Tenant, after: Surveyed) -> Op:
    """Write what a contact was sent over the version that was read."""
    attrs: dict[str, Any] = {name: strict_json.dumps(getattr(after, name)) for name in _OF_SURVEYED}
    attrs |= {"last_sent_at": after.last_sent_at, "version": after.version + 1}
    return Put(tenant.surveyed(after.contact_id), attrs, _unchanged(after.version))


def remove_surveyed(tenant: Tenant, before: Surveyed) -> Op:
    """Remove what a contact was sent over the version that was read."""
    return Delete(tenant.surveyed(before.contact_id), _unchanged(before.version))


def surveyed(contact_id: str, item: Item | None) -> Surveyed:
    """What a contact was sent, as its row says; nothing where there is no row."""
    if item is None:
        return Surveyed(contact_id)
    read = {name: strict_json.stored(item[name]) for name in _OF_SURVEYED}
    offered = {each: Offered(*told) for each, told in read["offered"].items()}
    return Surveyed(contact_id, read["waiting"], read["counts"], item.get("last_sent_at"), offered, item["version"])


def response_key(tenant: Tenant, contact_id: str, survey_id: str, send_id: str) -> Key:
    return tenant.response(contact_id, survey_id, send_id)


def save_response(tenant: Tenant, after: Response) -> Op:
    """Write the response over the version that was read."""
    entry = tenant.response_entry(after.survey_id, after.id, after.responded_at)
    attrs: dict[str, Any] = {
        name: getattr(after, name) for name in Response.__slots__ if name not in ("contact_id", "survey_id", "send_id")
    }
    attrs |= {
        "answers": strict_json.dumps(after.answers),
        "counted": strict_json.dumps(after.counted),
        "told": list(after.told),
        "effects": [list(each) for each in after.effects],
        "mail": _pair(after.mail),
        "version": after.version + 1,
        "list_pk": entry.pk,
        "list_sk": entry.sk,
    }
    key = tenant.response(after.contact_id, after.survey_id, after.send_id)
    return Put(key, attrs, _unchanged(after.version))


def remove_response(tenant: Tenant, before: Response) -> Op:
    """Remove the response over the version that was read."""
    key = tenant.response(before.contact_id, before.survey_id, before.send_id)
    return Delete(key, _unchanged(before.version))


def response(tenant: Tenant, item: Item | None) -> Response | None:
    """The response that a row stands for."""
    if item is None:
        return None
    contact_id, survey_id, send_id = tenant.of_send(Key(item["PK"], item["SK"]))
    fields = {name: item[name] for name in Response.__slots__ if name in item}
    return Response(
        **fields
        | {
            "contact_id": contact_id,
            "survey_id": survey_id,
            "send_id": send_id,
            "answers": strict_json.stored(item["answers"]),
            "counted": strict_json.stored(item["counted"]),
            "told": tuple(item["told"]),
            "effects": tuple(Effect(*each) for each in item["effects"]),
            "mail": _pair_of(item, "mail"),
        }
    )


def responses_of(tenant: Tenant, contact_id: str) -> list[Response]:
    """A contact's responses, read consistently."""
    rows = walk(*tenant.responses_of(contact_id), a_page=_PAGE)
    return [each for item in rows if (each := response(tenant, item)) is not None]


def rows_of(found: list[Entry]) -> Mapping[Key, Item]:
    """The rows behind the entries of a list."""
    return table.batch_get([entry.key for entry in found])


def hold(tenant: Tenant, survey_id: str, contact_id: str, send_id: str, mail: Mail) -> Op:
    """Note what is to be done once a paused survey goes on."""
    return Put(tenant.held(survey_id, contact_id, send_id, mail), {"token": ids.new_ulid()})


def still(tenant: Tenant, known: Survey) -> Op:
    """Holds as long as the survey is as it was read."""
    return Check(tenant.survey(known.id), attr("version").eq(known.version))


class Held(NamedTuple):
    """Something of a send that is held back; the token is that of the last time that it was."""

    contact_id: str
    send_id: str
    mail: Mail
    token: str


def held(tenant: Tenant, survey_id: str, limit: int) -> list[Held]:
    """Some of what is held back, `limit` of each partition, read consistently; none where nothing is."""
    partitions = tenant.held_partitions(survey_id)
    return [_held(item) for each in partitions for item in table.query(each, limit=limit).items]


def _held(item: Item) -> Held:
    contact_id, send_id, mail = item["SK"].split("#")
    return Held(contact_id, send_id, mail, item["token"])


def release(tenant: Tenant, survey_id: str, known: Held) -> None:
    """Forget what was held back, unless it was held back again since."""
    key = tenant.held(survey_id, known.contact_id, known.send_id, known.mail)
    with suppress(ConditionFailed):
        table.write(Delete(key, attr("token").eq(known.token)))


def _unchanged(version: int) -> Condition:
    return attr("PK").not_exists() if version == 0 else attr("version").eq(version)


def _pair(message: tuple[str, str] | None) -> list[str] | None:
    return None if message is None else list(message)


def _pair_of(item: Item, name: str) -> tuple[str, str] | None:
    return (item[name][0], item[name][1]) if name in item else None
