"""A contact's parts as JSON texts of its row, and back. Pure.

Most contacts have one part, in which all that was said stands, so this is what costs nothing: parts are told by number,
0 being the contact's own core; keys that were set together share one entry; a value is written once, where it stands;
and the first time that an address was said is left out where it is the time from which the address stands.
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.core import strict_json
from chalicelib.features.contacts.model import Alias, Contact, Merge, Part, Said, Stamp, normal_email

_EMAIL = "email"


def pack(contact: Contact) -> dict[str, str | None]:
    """The texts by the names of the row's attributes; None for what there is nothing of."""
    names = _names(contact)
    place = {name: n for n, name in enumerate(names)}
    parts = [(place[name], part) for name, part in contact.parts.items()]
    seen = [[name, place[_of(contact, name)], _seen(contact, name)] for name in names[1:]]
    only_user = {contact.external_id: contact.id} if contact.external_id is not None else {}
    said = [(n, key, each) for n, part in parts for key, each in part.says.items()]
    lesser: dict[str, dict[str, Any]] = {}
    for n, key, each in said:
        if contact.stands.get(key) is not each:
            lesser.setdefault(str(n), {})[key] = each.value
    floors: dict[tuple[int, str], list[str]] = {}
    for n, part in parts:
        for key, receipt in part.floors.items():
            floors.setdefault((n, receipt), []).append(key)
    emails = [(n, part, address, stamp) for n, part in parts for address, stamp in part.emails.items()]
    found: dict[str, Any] = {
        "traits": contact.traits,
        "stamps": _pack_stamps(said),
        "lesser": lesser,
        "floors": [[n, receipt, *keys] for (n, receipt), keys in floors.items()],
        "groups": [[n, group_id, moment] for n, part in parts for group_id, moment in part.groups.items()],
        "emails": [
            [n, address, *flat(stamp)] for n, part, address, stamp in emails if _standing(part, address) != stamp
        ],
        "parts": [_seen(contact, contact.id), *seen] if seen else None,
        "users": None if contact.users == only_user else [[user, place[core]] for user, core in contact.users.items()],
        "aliases": [[edge.previous, edge.user, *flat(edge.stamp)] for edge in contact.aliases],
        "merges": [[place[m.target], place[m.source], m.preference, *flat(m.stamp)] for m in contact.merges],
        "clashes": contact.clashes,
    }
    kept = {name: strict_json.dumps(value) if value else None for name, value in found.items()}
    # No user at all is something else than the one that the row shows.
    return kept | ({"users": "[]"} if found["users"] == [] else {})


def unpack(contact: Contact, row: Mapping[str, Any]) -> None:
    """Fill the contact's parts, and what stands of them, from its row; `traits` and the like are set already."""
    packed: list[Any] = _read(row, "parts") or [contact.last_seen_at]
    seen, others = packed[0], packed[1:]
    names: list[str] = [contact.id, *(name for name, _, _ in others)]
    parts = [Part(of=contact.id, seen=seen), *(Part(of=names[of], seen=moment) for _, of, moment in others)]
    lesser = _read(row, "lesser") or {}
    for n, key, stamp in _unpack_stamps(_read(row, "stamps")):
        is_lesser = key in lesser.get(str(n), {})
        said = Said(stamp, lesser[str(n)][key] if is_lesser else contact.traits.get(key))
        parts[n].says[key] = said
        if not is_lesser:
            contact.stands[key] = said
    for n, receipt, *keys in _read(row, "floors"):
        parts[n].floors |= dict.fromkeys(keys, receipt)
    for n, group_id, moment in _read(row, "groups"):
        parts[n].groups[group_id] = moment
    for part in parts:
        address = normal_email(part.says[_EMAIL].value) if _EMAIL in part.says else None
        if address is not None:
            part.emails[address] = part.says[_EMAIL].stamp
    for n, address, *stamp in _read(row, "emails"):
        parts[n].emails[address] = stamp_of(stamp)
    contact.parts = dict(zip(names, parts, strict=True))
    contact.users = {} if contact.external_id is None else {contact.external_id: contact.id}
    if "users" in row:
        contact.users = {user: names[n] for user, n in _read(row, "users")}
    contact.aliases = [Alias(stamp_of(stamp), previous, user) for previous, user, *stamp in _read(row, "aliases")]
    contact.merges = [
        Merge(stamp_of(stamp), preference, names[target], names[source])
        for target, source, preference, *stamp in _read(row, "merges")
    ]
    contact.clashes = _read(row, "clashes")


def _names(contact: Contact) -> list[str]:
    """All cores and parts; the own core is the first."""
    cores = [core for merge in contact.merges for core in (merge.target, merge.source)]
    cores += [*contact.users.values(), *(part.of for part in contact.parts.values())]
    return list(dict.fromkeys([contact.id, *cores, *contact.parts]))


def _of(contact: Contact, name: str) -> str:
    return contact.parts[name].of if name in contact.parts else name


def _seen(contact: Contact, name: str) -> int | None:
    return contact.parts[name].seen if name in contact.parts else None


def _standing(part: Part, address: str) -> Stamp | None:
    """The time from which the address stands within the part; None where another value does."""
    said = part.says.get(_EMAIL)
    return said.stamp if said is not None and normal_email(said.value) == address else None


def _pack_stamps(said: list[tuple[int, str, Said]]) -> list[list[Any]]:
    packed: dict[tuple[int, Stamp], list[Any]] = {}
    for n, key, each in said:
        packed.setdefault((n, each.stamp), [n, *flat(each.stamp)]).append(key)
    return list(packed.values())


def _unpack_stamps(packed: list[list[Any]]) -> list[tuple[int, str, Stamp]]:
    return [
        (n, key, stamp)
        for n, moment, made, message_id, receipt, *keys in packed
        for stamp in [stamp_of([moment, made, message_id, receipt])]
        for key in keys
    ]


def flat(stamp: Stamp) -> list[Any]:
    """A stamp as JSON has it."""
    return [stamp.moment, int(stamp.server_made), stamp.message_id, stamp.receipt]


def stamp_of(packed: list[Any]) -> Stamp:
    """The reverse of `flat`."""
    moment, made, message_id, receipt = packed
    return Stamp(moment, bool(made), message_id, receipt)


def _read(row: Mapping[str, Any], name: str) -> Any:
    return strict_json.stored(row[name]) if name in row else []
