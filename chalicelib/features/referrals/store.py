"""Referral programs and what comes of them, in the table.

| item | attributes |
|---|---|
| program | the fields of `model.Program`; `reward`, `referee_reward`, `tiers` and `limits` as JSON text |
| `LINK` | the fields of `model.Link`; listed by its program |
| `CHANNEL#…` | `link_id`, and its `code`, which rows of old lack |
| `REFERRED#…` | the fields of `model.Attribution` |
| `REFERRER#…` | the fields of `model.Standing`; `bonuses` by the tier as text; listed on the board |
| `SOURCE#…` | `moments` of conversions, the latest, and `ttl` |
| `CONV` | the fields of `model.Conversion`; `reasons` as names and scores; listed by its status |
| `RWD` | the fields of `model.Reward`; listed by its status |
| counters `REFPROG#<program id>`, `REFLINK#<link id>` | the fields that `ledger` names |
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from chalicelib.core import strict_json
from chalicelib.features.referrals.model import (
    Attribution,
    Conversion,
    Limits,
    Link,
    Passed,
    Prize,
    Program,
    Reason,
    Reward,
    Standing,
    Tier,
    Touch,
)
from chalicelib.platform import table
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.listing import walk
from chalicelib.platform.marshal import Condition
from chalicelib.platform.table import Check, Delete, Item, Op, Put, Update, attr

_PAGE = 100
_JSON = ("reward", "referee_reward", "tiers", "limits")


def _unchanged(version: int) -> Condition:
    return attr("PK").not_exists() if version == 0 else attr("version").eq(version)


def load_all(tenant: Tenant) -> list[Program]:
    """All programs, the oldest first, read consistently."""
    return [program(item) for item in walk(tenant.programs_partition(), a_page=_PAGE)]


def load(tenant: Tenant, program_id: str) -> Program | None:
    """The program, read consistently."""
    item = table.get(tenant.program(program_id))
    return None if item is None else program(item)


def put(tenant: Tenant, after: Program) -> Op:
    """Write the program over the version before."""
    attrs: dict[str, Any] = {
        name: getattr(after, name) for name in Program.__slots__ if name != "id" and name not in _JSON
    }
    attrs["reward"] = None if after.reward is None else strict_json.dumps(list(after.reward))
    attrs["referee_reward"] = None if after.referee_reward is None else strict_json.dumps(list(after.referee_reward))
    attrs["tiers"] = strict_json.dumps([[tier.referrals, tier.bonus, tier.name] for tier in after.tiers])
    attrs["limits"] = strict_json.dumps(asdict(after.limits))
    return Put(tenant.program(after.id), attrs, _unchanged(after.version - 1))


def remove(tenant: Tenant, program_id: str) -> Op:
    """Remove the program; refused where it is gone."""
    return Delete(tenant.program(program_id), attr("PK").exists())


def still_defined(tenant: Tenant, program: Program) -> Op:
    """Holds as long as the program is as it was read."""
    return Check(tenant.program(program.id), attr("version").eq(program.version))


def program(item: Item) -> Program:
    """The program that a row stands for."""
    plain = {name: item[name] for name in Program.__slots__ if name in item and name not in _JSON}
    return Program(
        **plain
        | {
            "id": item["SK"],
            "reward": _prize(item.get("reward")),
            "referee_reward": _prize(item.get("referee_reward")),
            "tiers": tuple(Tier(*each) for each in strict_json.stored(item["tiers"])),
            "limits": Limits(**strict_json.stored(item["limits"])),
        }
    )


def _prize(text: str | None) -> Prize | None:
    return None if text is None else Prize(*strict_json.stored(text))


def put_link(tenant: Tenant, link: Link) -> list[Op]:
    """Write a new link, as the one that its contact has for the channel; refused where it has one already."""
    entry = tenant.link_entry(link.program_id, link.id, link.created_at)
    attrs = {name: getattr(link, name) for name in Link.__slots__ if name != "id"}
    free = attr("PK").not_exists()
    return [
        Put(tenant.channel(link.contact_id, link.program_id, link.channel), _named(link), free),
        Put(tenant.link(link.id), attrs | {"list_pk": entry.pk, "list_sk": entry.sk}, free),
    ]


def link(item: Item | None) -> Link | None:
    """The link that a row stands for."""
    if item is None:
        return None
    fields = {name: item[name] for name in Link.__slots__ if name in item}
    return Link(**fields | {"id": item["PK"].rpartition("#")[2]})


def remove_link(tenant: Tenant, link: Link) -> Op:
    """Remove the link."""
    return Delete(tenant.link(link.id))


def links_of(tenant: Tenant, contact_id: str) -> list[tuple[Key, Link | None]]:
    """The rows that name the links of a contact, with the links that are there."""
    rows = [(Key(item["PK"], item["SK"]), tenant.link(item["link_id"])) for item in walk(*tenant.channels(contact_id))]
    found = table.batch_get(key for _, key in rows)
    return [(pointer, link(found.get(key))) for pointer, key in rows]


def remove_channel(pointer: Key) -> Op:
    """Remove the row that names a link as a contact's."""
    return Delete(pointer)


def move_channel(tenant: Tenant, pointer: Key, link: Link, contact_id: str, *, is_free: bool) -> list[Op]:
    """Name the link as another contact's, beside the one that this has for the channel unless that `is_free`."""
    more = None if is_free else link.id
    key = tenant.channel(contact_id, link.program_id, link.channel, more)
    return [Delete(pointer, attr("PK").exists()), Put(key, _named(link), attr("PK").not_exists())]


def _named(link: Link) -> dict[str, Any]:
    """What a contact's row says of its link: with the code, so that who only shows that reads no other row."""
    return {"link_id": link.id, "code": link.code}


def count_conversion(tenant: Tenant, link_id: str, delta: int) -> Op:
    """Count a conversion of a link, or one that is none any more; the link may be gone."""
    return Update(tenant.link(link_id), add={"conversions": delta}, condition=attr("code").exists())


def save_attribution(tenant: Tenant, after: Attribution) -> Op:
    """Write the attribution over the version that was read."""
    attrs: dict[str, Any] = {
        "touch": list(after.touch),
        "touches": [list(touch) for touch in after.touches],
        "conversion_id": after.conversion_id,
        "refusals": {name: list(each) for name, each in after.refusals.items()},
        "version": after.version + 1,
    }
    return Put(tenant.referred(after.contact_id, after.program_id), attrs, _unchanged(after.version))


def remove_attribution(tenant: Tenant, before: Attribution) -> Op:
    """Remove the attribution over the version that was read."""
    return Delete(tenant.referred(before.contact_id, before.program_id), _unchanged(before.version))


def attribution(key: Key, item: Item | None) -> Attribution | None:
    """The attribution that a row stands for."""
    if item is None:
        return None
    return Attribution(
        program_id=key.sk.partition("#")[2],
        contact_id=key.pk.rpartition("#")[2],
        touch=Touch(*item["touch"]),
        touches=tuple(Touch(*each) for each in item["touches"]),
        conversion_id=item.get("conversion_id"),
        refusals={name: Passed(*each) for name, each in item["refusals"].items()},
        version=item["version"],
    )


def save_standing(tenant: Tenant, after: Standing) -> Op:
    """Write the standing over the version that was read; who has referred nobody is not on the board."""
    attrs: dict[str, Any] = {
        "since": after.since,
        "referrals": after.referrals,
        "conversions": after.conversions,
        "bonuses": {str(tier): reward_id for tier, reward_id in after.bonuses.items()},
        "version": after.version + 1,
    }
    if after.referrals or after.conversions:
        place = tenant.board_entry(
            after.program_id, after.contact_id, after.conversions, max(0, after.referrals), after.since
        )
        attrs |= {"list_pk": place.pk, "list_sk": place.sk}
    return Put(tenant.referrer(after.contact_id, after.program_id), attrs, _unchanged(after.version))


def remove_standing(tenant: Tenant, before: Standing) -> Op:
    """Remove the standing over the version that was read."""
    return Delete(tenant.referrer(before.contact_id, before.program_id), _unchanged(before.version))


def standing(key: Key, item: Item | None) -> Standing | None:
    """The standing that a row stands for."""
    if item is None:
        return None
    return Standing(
        program_id=key.sk.partition("#")[2],
        contact_id=key.pk.rpartition("#")[2],
        since=item["since"],
        referrals=item["referrals"],
        conversions=item["conversions"],
        bonuses={int(tier): reward_id for tier, reward_id in item["bonuses"].items()},
        version=item["version"],
    )


def standings(tenant: Tenant, contact_id: str) -> list[Standing]:
    """What a contact has referred in each program, read consistently."""
    rows = walk(*tenant.referrer_all(contact_id))
    return [each for item in rows if (each := standing(Key(item["PK"], item["SK"]), item)) is not None]


def attributions(tenant: Tenant, contact_id: str) -> list[Attribution]:
    """By whom a contact was referred to each program, read consistently."""
    rows = walk(*tenant.referred_all(contact_id))
    return [each for item in rows if (each := attribution(Key(item["PK"], item["SK"]), item)) is not None]


def save_conversion(tenant: Tenant, after: Conversion) -> list[Op]:
    """Write the conversion over the version that was read; a new one also beside its link."""
    entry = tenant.conversion_entry(after.status, after.id, after.created_at)
    attrs: dict[str, Any] = {name: getattr(after, name) for name in Conversion.__slots__ if name != "id"}
    attrs |= {
        "reasons": [list(reason) for reason in after.reasons],
        "rewards": list(after.rewards),
        "version": after.version + 1,
        "list_pk": entry.pk,
        "list_sk": entry.sk,
    }
    ops: list[Op] = [Put(tenant.conversion(after.id), attrs, _unchanged(after.version))]
    if after.version == 0 and after.status != "refused":
        ops.append(Put(tenant.conversion_of_link(after.link_id, after.id), {}))
    return ops


def conversion_ids(tenant: Tenant, link_id: str) -> list[str]:
    """The conversions of a link, the oldest first."""
    pk, prefix = tenant.conversions_of_link(link_id)
    return [item["SK"].removeprefix(prefix) for item in walk(pk, prefix)]


def conversion(item: Item | None) -> Conversion | None:
    """The conversion that a row stands for."""
    if item is None:
        return None
    fields = {name: item[name] for name in Conversion.__slots__ if name in item}
    return Conversion(
        **fields
        | {
            "id": item["PK"].rpartition("#")[2],
            "reasons": tuple(Reason(*each) for each in item["reasons"]),
            "rewards": tuple(item["rewards"]),
        }
    )


def save_reward(tenant: Tenant, after: Reward) -> Op:
    """Write the reward over the version that was read."""
    entry = tenant.reward_entry(after.status, after.id, after.created_at)
    attrs: dict[str, Any] = {name: getattr(after, name) for name in Reward.__slots__ if name != "id"}
    attrs |= {"prize": list(after.prize), "version": after.version + 1, "list_pk": entry.pk, "list_sk": entry.sk}
    return Put(tenant.reward(after.id), attrs, _unchanged(after.version))


def reward(item: Item | None) -> Reward | None:
    """The reward that a row stands for."""
    if item is None:
        return None
    fields: dict[str, Any] = {name: item.get(name) for name in Reward.__slots__}
    return Reward(**fields | {"id": item["PK"].rpartition("#")[2], "prize": Prize(*item["prize"])})


def rewards(tenant: Tenant, reward_ids: Iterable[str]) -> dict[str, Reward]:
    """Rewards by id, read consistently."""
    found = [reward(item) for item in table.batch_get(tenant.reward(each) for each in reward_ids).values()]
    return {each.id: each for each in found if each is not None}


def moments(item: Item | None, since: int) -> list[int]:
    """The moments after `since` of conversions from one address."""
    return [] if item is None else [moment for moment in item["moments"] if moment > since]


def save_moments(key: Key, item: Item | None, kept: Sequence[int], ttl: int) -> Op:
    """Write the moments over the version that was read."""
    version = 0 if item is None else item["version"]
    return Put(key, {"moments": list(kept), "version": version + 1, "ttl": ttl}, _unchanged(version))


def sources(tenant: Tenant, contact_id: str) -> list[tuple[Key, Item]]:
    """The rows with moments of conversions that a contact has, read consistently."""
    return [(Key(item["PK"], item["SK"]), item) for item in walk(*tenant.sources_all(contact_id))]


def move_moments(key: Key, item: Item, to: Key, there: Item | None, most: int) -> list[Op]:
    """Note the moments of one row in another, beside those that are there; refused where either was changed."""
    joined = sorted([*item["moments"], *(there["moments"] if there else [])])[-most:]
    ttl = max(item["ttl"], there["ttl"] if there else 0)
    return [Delete(key, _unchanged(item["version"])), save_moments(to, there, joined, ttl)]
