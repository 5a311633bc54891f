"""How contacts become one, and how an anonymous id leaves one for another. Pure: it changes the contacts it is given.

What a contact shows of its parts is judged anew afterwards, by `fold.settle`.
"""

from chalicelib.core import scoring
from chalicelib.core.errors import Unavailable
from chalicelib.core.lineage import Source
from chalicelib.features.contacts import fold, verdict
from chalicelib.features.contacts.model import (
    BY_NO_SETTINGS,
    MAX_ALIASES,
    MAX_TAGS,
    MAX_USERS,
    Contact,
    Part,
    anonymous_id_of,
    anonymous_part,
    normal_tags,
)

_MAX_PARTS = 100
_MAX_MERGES = 20


def absorb(target: Contact, source: Contact, move_id: str) -> list[str]:
    """Let the target have all that the source has, which becomes a merged contact; returns the tags that do not fit.

    `move_id` names the move of its events. The cores stay apart until `unite_cores` or a Merge says how they are to be
    judged. Raises Unavailable where events of a deleted contact have to be taken out of both first.
    """
    while len(target.merges) + len(source.merges) > _MAX_MERGES:
        finish_merge(max(target, source, key=lambda each: len(each.merges)))
    for name, part in source.parts.items():
        fold.unite(target.parts.setdefault(name, Part(of=part.of)), part)
    target.users |= {user: core for user, core in source.users.items() if user not in target.users}
    target.aliases = sorted({*target.aliases, *source.aliases})[-MAX_ALIASES:]
    target.merges = list(dict.fromkeys([*target.merges, *source.merges]))
    target.clashes = list(dict.fromkeys([*target.clashes, *source.clashes]))
    tags = normal_tags([*target.tags, *source.tags])
    target.tags = tags[:MAX_TAGS]
    unsubscribed = [moment for moment in (target.unsubscribed_at, source.unsubscribed_at) if moment is not None]
    target.unsubscribed_at = min(unsubscribed, default=None)
    paused = [until for until in (target.marketing_paused_until, source.marketing_paused_until) if until is not None]
    target.marketing_paused_until = max(paused, default=None)
    for kind, answered in source.answered.items():
        fold.note_answer(target, kind, answered)
    _add_scores(target, source)
    # What the source was taking from the target has come home by this.
    moves = [*target.absorbing, *(each for each in source.absorbing if each.contact_id != target.id)]
    target.absorbing = (*moves, Source(move_id, source.id))
    while len(_visitors(target)) > _MAX_PARTS:
        _settle_in(target)
    ceded = source.ceding | target.ceding
    both = {target.id, source.id}
    home = {each.anonymous_id for each in (*target.absorbing, *source.absorbing) if both & set(each.ceded_by)}
    target.ceding = {who: to for who, to in ceded.items() if to not in both and who not in home}
    if any(anonymous_part(who) in target.parts for who in target.ceding):
        raise Unavailable("Events of a deleted contact are being removed. Try again.")
    source.status, source.merged_into = "merged", target.id
    # What it had stands in the target only, so that no row keeps what is deleted there.
    source.parts, source.stands, source.traits, source.users = {}, {}, {}, {}
    source.aliases, source.merges, source.clashes, source.groups, source.tags = [], [], [], [], []
    source.absorbing, source.ceding, source.external_id, source.last_seen_at = (), {}, None, None
    source.scores, source.scored_by, source.unsubscribed_at = {}, None, None
    source.answered, source.marketing_paused_until = {}, None
    return tags[MAX_TAGS:]


def unite_cores(contact: Contact, into: str, core: str) -> None:
    """Judge what was said under two cores as one: no merge stands between them. The contact's own core remains."""
    if into == core:
        return
    if core == contact.id:
        into, core = core, into
    gone = contact.parts.pop(core, None)
    if gone is not None:
        fold.unite(contact.parts.setdefault(into, Part(of=into)), gone)
    for part in contact.parts.values():
        part.of = into if part.of == core else part.of
    contact.users = {user: into if at == core else at for user, at in contact.users.items()}
    contact.merges = [
        merge._replace(
            target=into if merge.target == core else merge.target,
            source=into if merge.source == core else merge.source,
        )
        for merge in contact.merges
    ]


def take_out(loser: Contact, winner: Contact, anonymous_id: str, core: str, move_id: str) -> None:
    """Let an anonymous id, with what was said under it alone, go over to a core of another contact."""
    name = anonymous_part(anonymous_id)
    part = loser.parts.pop(name, None)
    if part is None:
        if anonymous_id in winner.ceding:
            raise Unavailable("Events of this anonymous id are still moving. Try again.")
        return
    winner.ceding.pop(anonymous_id, None)
    fold.unite(winner.parts.setdefault(name, Part(of=core)), part)
    winner.parts[name].of = core
    while len(_visitors(winner)) > _MAX_PARTS:
        _settle_in(winner)
    taken = [each for each in loser.absorbing if each.anonymous_id == anonymous_id]
    losers = tuple(dict.fromkeys([loser.id, *(who for each in taken for who in each.ceded_by)]))
    lying = [loser.id, *(each.contact_id for each in loser.absorbing if each.anonymous_id in (None, anonymous_id))]
    partitions = [each for each in dict.fromkeys(lying) if each != winner.id]
    moves = [Source(f"{move_id}.{n}", each, anonymous_id, losers) for n, each in enumerate(partitions)]
    winner.absorbing = (*winner.absorbing, *moves)
    loser.absorbing = tuple(source for source in loser.absorbing if source.anonymous_id != anonymous_id)
    loser.ceding[anonymous_id] = winner.id
    # Which points went with the events, only the events can tell.
    loser.scored_by = None if loser.scored_by is None else BY_NO_SETTINGS
    winner.scored_by = BY_NO_SETTINGS


def _add_scores(target: Contact, source: Contact) -> None:
    if source.scored_by is None:
        return
    if target.scored_by not in (None, source.scored_by):
        target.scored_by = BY_NO_SETTINGS
        return
    target.scored_by = source.scored_by
    names = target.scores.keys() | source.scores.keys()
    target.scores = {name: scoring.merge(target.scores.get(name, {}), source.scores.get(name, {})) for name in names}


def part_of(contact: Contact, anonymous_id: str, core: str) -> str:
    """The name of the part for what is said under an anonymous id alone; it is made under that core where it is new.

    A contact has so many at the most: then the one that did something least lately can no longer leave.
    """
    name = anonymous_part(anonymous_id)
    if name not in contact.parts:
        if len(_visitors(contact)) >= _MAX_PARTS:
            _settle_in(contact)
        contact.parts[name] = Part(of=core)
    return name


def has_room_for(contact: Contact, other: Contact | None) -> bool:
    """True where the contact may have one more user id, or all those of the other one."""
    more = 1 if other is None else len(other.users.keys() - contact.users.keys())
    return len(contact.users) + more <= MAX_USERS


def shed(contact: Contact) -> bool:
    """Let the contact remember less of how it came about, so that its row becomes smaller; False where it can't.

    What it shows stays. First visitors can no longer leave, then merges are final: what arrives later and is older than
    what stands is judged as if there had been none. The oldest aliases go last.
    """
    if _visitors(contact):
        _settle_in(contact)
    elif contact.merges:
        finish_merge(contact)
    elif contact.aliases:
        contact.aliases = contact.aliases[len(contact.aliases) // 2 + 1 :]
    else:
        return False
    return True


def finish_merge(contact: Contact) -> None:
    """Make the first merge of a contact final: of each key only what has won stays, and its two cores are one."""
    merge = min(contact.merges, key=lambda each: each.stamp.receipt)
    cores = frozenset([merge.target, merge.source])
    side = verdict.Side(cores, merge, verdict.Side(frozenset([merge.target])), verdict.Side(frozenset([merge.source])))
    parts = [part for name, part in contact.parts.items() if part.of in cores]
    for key in {key for part in parts for key in part.says} - fold.TOUCHES:
        won = verdict.winner_of(contact, key, side)
        for part in parts:
            if part.says.get(key) is not won:
                part.says.pop(key, None)
            if won is not None and key in part.floors:
                # The other side's floor must not strike what has won against it.
                part.floors[key] = min(part.floors[key], won.stamp.receipt)
    contact.merges = [each for each in contact.merges if each is not merge]
    unite_cores(contact, merge.target, merge.source)
    contact.merges = [each for each in contact.merges if each.target != each.source]


def _visitors(contact: Contact) -> list[str]:
    return [name for name in contact.parts if anonymous_id_of(name) is not None]


def _settle_in(contact: Contact) -> None:
    """Let the visitor who did something least lately be part of the core for good."""
    oldest = min(_visitors(contact), key=lambda name: (contact.parts[name].seen or 0, name))
    gone = contact.parts.pop(oldest)
    fold.unite(contact.parts.setdefault(gone.of, Part(of=gone.of)), gone)
