"""Public verbs of the referrals feature."""

import hashlib
import random
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from chalicelib.core import clock, ids
from chalicelib.core.addresses import network_of
from chalicelib.core.errors import Conflict, NotFound, Unavailable
from chalicelib.features.referrals import fraud, store
from chalicelib.features.referrals.catalog import Catalog
from chalicelib.features.referrals.model import (
    MAX_PROGRAMS,
    Attribution,
    Conversion,
    ConversionStatus,
    Link,
    Program,
    Reward,
    RewardStatus,
    Standing,
)
from chalicelib.platform import counters, cursor, definitions, table
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.listing import FIRST, Entry, Listed, Merge, Range, fill
from chalicelib.platform.table import ConditionFailed, Item, Op

T = TypeVar("T")

HOLD: Final = "reward_hold"
"""The kind of the timer at which the rewards of a conversion are approved."""

_ATTEMPTS = 30
_LONGEST_PAUSE = 0.2
_MOMENTS_KEPT = 1_000

find = store.load
load_all = store.load_all
put_link = store.put_link
remove_link = store.remove_link
remove_channel = store.remove_channel
move_channel = store.move_channel
still_defined = store.still_defined
save_attribution = store.save_attribution
remove_attribution = store.remove_attribution
save_standing = store.save_standing
remove_standing = store.remove_standing
standings = store.standings
attributions = store.attributions
save_conversion = store.save_conversion
save_reward = store.save_reward
rewards = store.rewards
count_conversion = store.count_conversion


def _catalog(tenant: Tenant, version: int) -> Catalog:
    return Catalog(store.load_all(tenant) if version else [])


_catalogs = definitions.Kept(_catalog)


def catalog(tenant: Tenant, at_least: int = 0) -> Catalog:
    """All programs as they stand now; one consistent read where this instance knows them already."""
    return _catalogs.at(tenant, definitions.version(tenant, at_least))


def catalog_of(tenant: Tenant, item: Item | None) -> Catalog:
    """The same, given the row of the definitions' version as it was just read."""
    return _catalogs.at(tenant, definitions.version_in(item))


def get(tenant: Tenant, program_id: str) -> Program:
    """The program. Raises NotFound."""
    found = store.load(tenant, program_id)
    if found is None:
        raise NotFound("There is no such program.")
    return found


def creation(tenant: Tenant, program: Program) -> list[Op]:
    """The operations that write a new program; refused where definitions were changed meanwhile.

    Raises Conflict over MAX_PROGRAMS.
    """
    version = definitions.version(tenant)
    if len(store.load_all(tenant)) >= MAX_PROGRAMS:
        raise Conflict(f"A project has at most {MAX_PROGRAMS} programs.")
    return [store.put(tenant, program), definitions.raise_op(tenant, version)]


def change_ops(tenant: Tenant, after: Program) -> list[Op]:
    """The operations that write a program over the version before."""
    return [store.put(tenant, after), definitions.raise_op(tenant, None)]


def removal(tenant: Tenant, program_id: str, version: int) -> list[Op]:
    """The operations that delete a program; refused where it is gone, or definitions were changed since that
    version."""
    return [store.remove(tenant, program_id), definitions.raise_op(tenant, version)]


def programs(tenant: Tenant, limit: int, after: str | None) -> tuple[list[Program], str | None]:
    """One page of programs, newest first, and the cursor of the next one. Raises BadRequest on a foreign cursor."""
    position = None if after is None else cursor.decode(after, tenant, "programs", {})
    older = [each for each in reversed(store.load_all(tenant)) if position is None or each.id < position]
    shown = older[:limit]
    return shown, cursor.encode(tenant, "programs", {}, shown[-1].id) if len(older) > limit else None


def channel_link(tenant: Tenant, contact_id: str, program_id: str, channel: str) -> Link | None:
    """The contact's link of that program and channel."""
    item = table.get(tenant.channel(contact_id, program_id, channel))
    return None if item is None else link(tenant, item["link_id"])


def channel_key(tenant: Tenant, contact_id: str, program_id: str, channel: str) -> Key:
    """The row that names the contact's link of that program and channel."""
    return tenant.channel(contact_id, program_id, channel)


def code_of(tenant: Tenant, item: Item | None) -> str | None:
    """The code of the link that such a row names; one more read where the row is of old and has no code."""
    if item is None or "code" in item:
        return None if item is None else str(item["code"])
    known = link(tenant, item["link_id"])
    return None if known is None else known.code


def link(tenant: Tenant, link_id: str) -> Link | None:
    """The link, read consistently."""
    return store.link(table.get(tenant.link(link_id)))


def links_named(tenant: Tenant, link_ids: Iterable[str]) -> dict[str, Link]:
    """Links by id, those left out that are gone; read consistently."""
    found = [store.link(item) for item in table.batch_get(tenant.link(each) for each in link_ids).values()]
    return {each.id: each for each in found if each is not None}


def links_of(tenant: Tenant, contact_id: str) -> list[tuple[Key, Link | None]]:
    """The rows that name the links of a contact, with the links that are there."""
    return store.links_of(tenant, contact_id)


def links(tenant: Tenant, program_id: str, limit: int, after: str | None) -> tuple[list[Link], str | None]:
    """One page of a program's links, newest first, and the cursor of the next one."""
    return _page(tenant, "links", {"program": program_id}, tenant.link_partitions(program_id), limit, after, store.link)


def some_links(tenant: Tenant, program_id: str, limit: int, before: str | None) -> tuple[list[Link], str | None]:
    """The same for a job, which may not read the secret that cursors are signed with: where it goes on stands plain."""
    page = _filled(tenant.link_partitions(program_id), limit, before, store.link)
    return page.rows, page.position


def clicks(tenant: Tenant, link_ids: Iterable[str]) -> dict[str, int]:
    """How often each link was followed."""
    names = {each: f"REFLINK#{each}" for each in link_ids}
    totals = counters.totals(tenant, names.values())
    return {each: totals[name] for each, name in names.items()}


def count_clicks(tenant: Tenant, link_id: str, deltas: Mapping[str, int]) -> None:
    """Count clicks of a link, by the id of each; one that was counted before is passed over."""
    counters.apply(tenant, f"REFLINK#{link_id}", deltas)


def tally(tenant: Tenant, program_id: str, changes: Mapping[str, Mapping[str, int]]) -> None:
    """Add to a program's figures, given deltas of them by the id of what they tell of; each is counted once."""
    counters.tally(tenant, f"REFPROG#{program_id}", changes)


def figures(tenant: Tenant, program_id: str) -> dict[str, int]:
    """A program's figures by the names that `ledger` has."""
    return counters.tallied(tenant, f"REFPROG#{program_id}")


def attribution_key(tenant: Tenant, contact_id: str, program_id: str) -> Key:
    return tenant.referred(contact_id, program_id)


def attribution(key: Key, item: Item | None) -> Attribution | None:
    """The attribution that a row stands for."""
    return store.attribution(key, item)


def standing_key(tenant: Tenant, contact_id: str, program_id: str) -> Key:
    return tenant.referrer(contact_id, program_id)


def standing_of(tenant: Tenant, contact_id: str, program_id: str) -> Standing | None:
    """What the contact has referred in the program, read consistently."""
    key = tenant.referrer(contact_id, program_id)
    return store.standing(key, table.get(key))


def standing(key: Key, item: Item | None) -> Standing | None:
    """The standing that a row stands for."""
    return store.standing(key, item)


def conversion(tenant: Tenant, conversion_id: str) -> Conversion:
    """The conversion, read consistently. Raises NotFound."""
    found = store.conversion(table.get(tenant.conversion(conversion_id)))
    if found is None:
        raise NotFound("There is no such conversion.")
    return found


def conversion_timers(tenant: Tenant, conversion_id: str) -> str:
    """The partition in which a conversion's timers stand."""
    return tenant.conversion(conversion_id).pk


def conversions(
    tenant: Tenant, status: ConversionStatus | None, program_id: str | None, limit: int, after: str | None
) -> tuple[list[Conversion], str | None]:
    """One page of conversions, newest first, and the cursor of the next one; without a status all but refused ones."""
    statuses: Sequence[ConversionStatus] = (
        ("review", "approved", "rejected", "reversed") if status is None else (status,)
    )
    partitions = [each for one in statuses for each in tenant.conversion_partitions(one)]

    def read(item: Item | None) -> Conversion | None:
        found = store.conversion(item)
        fits = found is not None and found.status in statuses and program_id in (None, found.program_id)
        return found if fits else None

    return _page(tenant, "conversions", {"status": status, "program": program_id}, partitions, limit, after, read)


def conversions_of_link(
    tenant: Tenant, link_id: str, limit: int, after: str | None
) -> tuple[list[Conversion], str | None]:
    """One page of a link's conversions, newest first, and the cursor of the next one."""
    filters = {"link": link_id}
    pk, prefix = tenant.conversions_of_link(link_id)
    start = None if after is None else {"PK": pk, "SK": prefix + cursor.decode(after, tenant, "link", filters)}
    page = table.query(pk, prefix=prefix, newest_first=True, limit=limit + 1, after=start)
    found = [item["SK"].removeprefix(prefix) for item in page.items]
    rows = table.batch_get(tenant.conversion(each) for each in found[:limit])
    shown = [each for one in found[:limit] if (each := store.conversion(rows.get(tenant.conversion(one)))) is not None]
    return shown, cursor.encode(tenant, "link", filters, found[limit - 1]) if len(found) > limit else None


def conversions_and_rewards(
    tenant: Tenant, conversion_ids: Iterable[str], link_ids: Iterable[str]
) -> tuple[list[Conversion], dict[str, Reward]]:
    """These conversions and all of these links, the oldest first, with what was given for them the last time."""
    wanted = {*conversion_ids, *(each for link_id in link_ids for each in store.conversion_ids(tenant, link_id))}
    rows = table.batch_get(tenant.conversion(each) for each in sorted(wanted))
    found = [each for item in rows.values() if (each := store.conversion(item)) is not None]
    found.sort(key=lambda each: each.id)
    return found, store.rewards(tenant, [reward_id for each in found for reward_id in each.rewards])


def reward(tenant: Tenant, reward_id: str) -> Reward:
    """The reward, read consistently. Raises NotFound."""
    found = store.rewards(tenant, [reward_id]).get(reward_id)
    if found is None:
        raise NotFound("There is no such reward.")
    return found


def rewards_page(
    tenant: Tenant,
    status: RewardStatus | None,
    filters: Mapping[str, str | None],
    is_wanted: Callable[[Reward], bool],
    limit: int,
    after: str | None,
) -> tuple[list[Reward], str | None]:
    """One page of the ledger, newest first, and the cursor of the next one, which is bound to `filters`."""
    statuses: Sequence[RewardStatus] = ("pending", "approved", "issued", "void") if status is None else (status,)
    partitions = [each for one in statuses for each in tenant.reward_partitions(one)]

    def read(item: Item | None) -> Reward | None:
        found = store.reward(item)
        return found if found is not None and found.status in statuses and is_wanted(found) else None

    return _page(tenant, "rewards", {"status": status, **filters}, partitions, limit, after, read)


def board(
    tenant: Tenant,
    program_id: str,
    limit: int,
    after: str | None,
    is_there: Callable[[Sequence[str]], Container[str]],
) -> tuple[list[tuple[int, Standing]], str | None]:
    """One page of a program's referrers with their ranks, and the cursor of the next one.

    `is_there` says which of these contacts are to be shown. Ranks go on from the page before.
    """
    filters = {"program": program_id}
    rank, before = 0, None
    if after is not None:
        text, _, before = cursor.decode(after, tenant, "leaderboard", filters).partition("|")
        rank = int(text)

    def hydrate(found: list[Entry]) -> list[Standing | None]:
        items = table.batch_get([entry.key for entry in found])
        read = [store.standing(entry.key, items.get(entry.key)) for entry in found]
        shown = is_there([each.contact_id for each in read if each is not None])
        return [each if each is not None and each.contact_id in shown else None for each in read]

    span = Range() if before is None else Range(FIRST, before)
    page = fill(iter([Merge([tenant.board_partition(program_id)], "list", span, limit + 1)]), limit, hydrate)
    ranked = [(rank + n, each) for n, each in enumerate(page.rows, 1)]
    if page.position is None:
        return ranked, None
    return ranked, cursor.encode(tenant, "leaderboard", filters, f"{rank + len(ranked)}|{page.position}")


def source_keys(tenant: Tenant, referrer_id: str, program_id: str, ip: str | None, agent: str | None) -> dict[str, Key]:
    """The rows that have the moments of conversions from the same address and by the same program, by their kind."""
    given = {"ip": None if ip is None else network_of(ip), "agent": agent}
    return {
        kind: tenant.source(referrer_id, program_id, kind, _digest(value)) for kind, value in given.items() if value
    }


def earlier(keys: Mapping[str, Key], items: Mapping[Key, Item], moment: int) -> dict[str, int]:
    """How many conversions came from there in the time that is watched before `moment`, by kind."""
    since = moment - fraud.WATCHED_FOR
    return {kind: sum(each <= moment for each in store.moments(items.get(key), since)) for kind, key in keys.items()}


def noted(tenant: Tenant, keys: Mapping[str, Key], items: Mapping[Key, Item], moment: int) -> list[Op]:
    """The operations that note one more conversion from there; refused where another one was noted meanwhile."""
    since, ttl = moment - fraud.WATCHED_FOR, table.ttl(tenant, fraud.WATCHED_FOR)
    return [
        store.save_moments(key, items.get(key), [*store.moments(items.get(key), since), moment][-_MOMENTS_KEPT:], ttl)
        for key in keys.values()
    ]


def move_sources(tenant: Tenant, source_id: str, heir_id: str) -> None:
    """Let what came from one address for a contact that was merged count for its heir too. Raises ConditionFailed where
    somebody else was faster."""
    for key, item in store.sources(tenant, source_id):
        to = Key(tenant.contact(heir_id).pk, key.sk)
        table.transact(store.move_moments(key, item, to, table.get(to), _MOMENTS_KEPT))


def _digest(value: str) -> str:
    """An address or a program's name as a part of a key; the events beside it have it in full."""
    return hashlib.blake2b(value.encode(), digest_size=16).hexdigest()


def new_conversion_id() -> str:
    """The id of a new conversion."""
    return ids.new_id("ref_conv")


def new_reward_id() -> str:
    """The id of a new reward."""
    return ids.new_id("rwd")


def retried(act: Callable[[], T]) -> T:
    """What `act` returns, which is called again where somebody else was faster. Raises Unavailable."""
    for attempt in range(_ATTEMPTS):
        try:
            return act()
        except ConditionFailed:
            clock.sleep(random.uniform(0, _LONGEST_PAUSE * attempt / _ATTEMPTS))  # noqa: S311 - jitter, not a secret
    raise Unavailable


def _page(
    tenant: Tenant,
    endpoint: str,
    filters: Mapping[str, str | None],
    partitions: Sequence[str],
    limit: int,
    after: str | None,
    read: Callable[[Item | None], T | None],
) -> tuple[list[T], str | None]:
    before = None if after is None else cursor.decode(after, tenant, endpoint, filters)
    page = _filled(partitions, limit, before, read)
    return page.rows, cursor.encode(tenant, endpoint, filters, page.position) if page.position else None


def _filled(
    partitions: Sequence[str], limit: int, before: str | None, read: Callable[[Item | None], T | None]
) -> Listed[T]:
    def hydrate(found: list[Entry]) -> list[T | None]:
        items = table.batch_get([entry.key for entry in found])
        return [read(items.get(entry.key)) for entry in found]

    span = Range() if before is None else Range(FIRST, before)
    return fill(iter([Merge(partitions, "list", span, limit + 1)]), limit, hydrate)
