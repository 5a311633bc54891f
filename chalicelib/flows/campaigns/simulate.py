"""Play a campaign against the project as it stands: who would get what and when, who not and why. Reads only.

What: the runs that go on, those who are in the segment of a broadcast when it begins, and those whom time alone lets
enter the segment that triggers a lifecycle. Nothing else happens on the way: no event, no change of a contact. How: the
moments at which something is due are played in order, each by the very decisions of the live runs, and what is sent
counts for the rules that read it. A draft, and a campaign that is paused, are played as if activated now.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from chalicelib.core.errors import ValidationFailed, detail
from chalicelib.core.pacing import Turns, take_turns
from chalicelib.core.rules.compiled import Rules
from chalicelib.core.rules.evaluate import evaluate
from chalicelib.core.rules.facts import Facts
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.decision import Compiled, Finished, Hold, NotYet, Skip, decide
from chalicelib.features.campaigns.model import Campaign, Cause, Played, Run, SkipReason, Step, moved_on
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.projects import service as projects
from chalicelib.features.segments import service as segments
from chalicelib.features.timers import service as timers
from chalicelib.flows.campaigns import broadcast, on_events, preview, references
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.readings import eligibility, gather

MAX_CONTACTS = 10_000
"""Contacts that one simulation looks at."""

_FLIPS_MAX = 200
_AT_ONCE = 100


@dataclass(slots=True)
class Simulation:
    """What would happen until a moment, in order."""

    mails: list[Played] = field(default_factory=list)
    skipped: list[Played] = field(default_factory=list)

    @property
    def reasons(self) -> Counter[SkipReason]:
        """How many are skipped, by reason."""
        return Counter(each.reason for each in self.skipped if each.reason is not None)


@dataclass(slots=True)
class _Actor:
    """One contact on the way: what is known of it, and its run."""

    contact: Contact
    suppressed: SkipReason | None
    facts: Facts
    run: Run | None = None


def run(tenant: Tenant, campaign_id: str, now: int, until: int) -> Simulation:
    """What the campaign would send from `now` until a moment (ms).

    Raises NotFound; ValidationFailed where it has ended, names a segment that does not exist, or more than
    MAX_CONTACTS are concerned.
    """
    campaign = campaigns.get(tenant, campaign_id)
    if campaign.status in ("completed", "archived"):
        message = f"A campaign that is {campaign.status} sends nothing."
        raise ValidationFailed(message, details=[detail("id", "ended", message)])
    references.check_segments(tenant, campaign)
    play = _Play(tenant, campaign, now, until)
    if campaign.type == "broadcast":
        play.broadcast()
    else:
        play.lifecycle()
    return play.result


class _Play:
    def __init__(self, tenant: Tenant, campaign: Campaign, now: int, until: int) -> None:
        self._tenant, self._now, self._until = tenant, now, until
        # As if activated now: what is received from now on starts it.
        self._campaign = replace(campaign, status="active")
        self._compiled: Compiled = campaigns.catalog(tenant).compiled(campaign.id)
        self._quiet = eligibility.quiet(projects.get(tenant))
        self._turns: Turns | None = campaigns.turns_used(tenant, campaign.id)
        self._due: list[tuple[int, str, int, Callable[[int], None]]] = []
        self.result = Simulation()
        self._count = 0

    def broadcast(self) -> None:
        campaign = self._campaign
        start = max(self._now, campaign.scheduled_at or self._now)
        for actor in self._actors(self._running_contacts()):
            self._resume(actor)
        if campaign.started_at is None:
            self._at(start, "", lambda moment: self._begin_broadcast(self._audience(start), moment))
        self._play()

    def lifecycle(self) -> None:
        trigger = self._campaign.trigger
        running = self._running_contacts()
        by_segment = trigger is not None and trigger.event is None and trigger.segment_id is not None
        everybody = self._everybody() if by_segment else running
        for actor in self._actors(everybody):
            if actor.run is not None and actor.run.is_running:
                self._resume(actor)
            if by_segment:
                self._enter_in_time(actor)
        self._play()

    def _at(self, moment: int, order: str, act: Callable[[int], None]) -> None:
        self._count += 1
        if moment <= self._until:
            heapq.heappush(self._due, (moment, order, self._count, act))

    def _play(self) -> None:
        while self._due:
            moment, _, _, act = heapq.heappop(self._due)
            act(moment)

    def _order(self, actor: _Actor, timer: str | None = None) -> str:
        owner = contacts.key(self._tenant, actor.contact.id).pk
        return timers.order(owner, timer or campaigns.timer_name(self._campaign.id))

    def _resume(self, actor: _Actor) -> None:
        if actor.run is not None:
            moved = moved_on(self._campaign, actor.run)
            self._at(max(self._now, moved.due_at), self._order(actor), lambda moment: self._step(actor, moment))

    def _step(self, actor: _Actor, now: int) -> None:
        """What `flows.campaigns.send` does for a run that is due, without doing it."""
        while (run := actor.run) is not None and run.is_running:
            decided = decide(
                self._campaign,
                run,
                eligibility.person(actor.contact, actor.suppressed),
                now,
                self._quiet,
                lambda step: self._holds(actor, self._compiled.conditions[step.id], now, run.cause),
            )
            if isinstance(decided, Finished):
                actor.run = run.ended("completed")
                return
            if isinstance(decided, NotYet):
                self._again(actor, run, decided.due)
                return
            if isinstance(decided, Hold):
                self._again(actor, run.waiting(decided.step.id, decided.until, None), decided.until)
                return
            if isinstance(decided, Skip):
                self._note(actor, decided.index, decided.step, now, decided.reason)
            else:
                turn = now if run.has_turn(decided.step.id, "campaign", now) else self._turn(now)
                if turn > now:
                    self._again(actor, run.waiting(decided.step.id, turn, "campaign"), turn)
                    return
                self._note(actor, decided.index, decided.step, now, None)
            claimed = None if isinstance(decided, Skip) else "simulated"
            actor.run = moved_on(self._campaign, run.handled(decided.step.id, decided.index, now, claimed=claimed))

    def _again(self, actor: _Actor, run: Run, moment: int) -> None:
        actor.run = run
        self._at(moment, self._order(actor), lambda then: self._step(actor, then))

    def _turn(self, now: int, count: int = 1) -> int:
        return self._take(now, count)[-1]

    def _take(self, now: int, count: int) -> list[int]:
        if self._campaign.rate_per_second is None:
            return [now] * count
        moments, self._turns = take_turns(self._turns, self._campaign.rate_per_second, now, count)
        return moments

    def _note(self, actor: _Actor, index: int, step: Step, now: int, reason: SkipReason | None) -> None:
        played = Played(actor.contact.id, index, step.id, now, reason)
        if reason is not None:
            self.result.skipped.append(played)
            return
        self.result.mails.append(played)
        happened = {**actor.facts.campaigns}
        happened[self._campaign.id] = {*happened.get(self._campaign.id, ()), "sent"}
        actor.facts = replace(actor.facts, campaigns=happened)

    def _holds(self, actor: _Actor, rules: Rules, now: int, cause: Cause) -> bool:
        return evaluate(rules, replace(actor.facts, cause=cause.properties), now).holds

    def _enter_in_time(self, actor: _Actor) -> None:
        """Let the contact enter the campaign whenever time alone lets it enter the segment."""
        trigger = self._campaign.trigger
        segment_id = trigger.segment_id if trigger is not None else None
        rules = segments.catalog(self._tenant).rules.get(segment_id or "")
        is_new = self._campaign.activated_at is None and trigger is not None and trigger.include_existing
        if rules is None:
            is_member = is_new and self._is_static_member(actor, segment_id or "")
            entries = [self._now] if is_member else []
        else:
            entries = list(_entries(rules, actor.facts, self._now, self._until, is_new))
        for moment in entries:
            self._at(moment, self._order(actor, segments.TIMER), lambda then: self._enter(actor, then))

    def _is_static_member(self, actor: _Actor, segment_id: str) -> bool:
        return eligibility.is_member(self._tenant, actor.contact, segment_id, self._now)

    def _enter(self, actor: _Actor, now: int) -> None:
        before = actor.run
        if before is not None and (before.is_running or not self._campaign.reentry):
            return
        cause = Cause("evt_", now)
        filters = self._compiled.filters
        if actor.contact.status == "active" and (filters is None or self._holds(actor, filters, now, cause)):
            actor.run = on_events.begin(actor.contact, self._campaign, cause, now, before)
            self._step(actor, now)

    def _begin_broadcast(self, audience: list[_Actor], now: int) -> None:
        turns = self._take(now, len(audience))
        for actor, turn in zip(audience, turns, strict=True):
            actor.run = broadcast.first_run(self._campaign, actor.contact, turn, now)
            if turn > now:
                self._at(turn, self._order(actor), lambda then, one=actor: self._step(one, then))  # type: ignore[misc]
        for actor, turn in zip(audience, turns, strict=True):
            if turn <= now:
                self._step(actor, now)

    def _audience(self, start: int) -> list[_Actor]:
        """Who is in the broadcast's segment at that moment, newest first."""
        segment_id = self._campaign.segment_id or ""
        rules = segments.catalog(self._tenant).rules.get(segment_id)
        if rules is None or start <= self._now:
            known = preview.audience(self._tenant, self._campaign, self._now)
            return list(self._with_facts(known))
        everybody = self._actors(self._everybody())
        return [each for each in everybody if each.run is None and evaluate(rules, each.facts, start).holds]

    def _everybody(self) -> list[str]:
        found: list[str] = []
        position = None
        while True:
            some, position = contacts.ids_page(self._tenant, _AT_ONCE, position=position)
            found += some
            if position is None:
                return found
            _check_size(len(found))

    def _running_contacts(self) -> list[str]:
        found: list[str] = []
        position = None
        while True:
            some, position = campaigns.running(self._tenant, self._campaign.id, position)
            found += [each.contact_id for each in some]
            if position is None:
                return found
            _check_size(len(found))

    def _actors(self, contact_ids: list[str]) -> Iterator[_Actor]:
        for start in range(0, len(contact_ids), _AT_ONCE):
            some = contact_ids[start : start + _AT_ONCE]
            rows = table.batch_get([contacts.key(self._tenant, each) for each in some])
            people = [contacts.read(item) for item in rows.values()]
            by_id = {each.id: each for each in people if each is not None and each.status == "active"}
            yield from self._with_facts(
                preview.with_suppressions(self._tenant, [by_id[each] for each in some if each in by_id])
            )

    def _with_facts(self, people: Iterator[tuple[Contact, SkipReason | None]]) -> Iterator[_Actor]:
        catalog = segments.catalog(self._tenant)
        wanted = {**self._compiled.conditions}
        if self._compiled.filters is not None:
            wanted[""] = self._compiled.filters
        wanted |= {each: catalog.rules[each] for each in self._campaign.uses_segments if each in catalog.rules}
        for n, (contact, suppressed) in enumerate(people):
            _check_size(n)
            keys = [
                segments.memberships_key(self._tenant, contact.id),
                campaigns.run_key(self._tenant, contact.id, self._campaign.id),
            ]
            rows = table.batch_get(keys)
            known = segments.memberships(rows.get(keys[0]))
            found = campaigns.run(self._tenant, rows.get(keys[1]))
            facts = gather.run(self._tenant, contact, known, catalog, wanted, self._now)
            yield _Actor(contact, suppressed, facts, found)


def _entries(rules: Rules, facts: Facts, now: int, until: int, is_new: bool) -> Iterator[int]:
    """The moments at which time alone lets the contact enter, and `now` where whoever is in it already enters too."""
    holds, flips_at = evaluate(rules, facts, now)
    if holds and is_new:
        yield now
    for _ in range(_FLIPS_MAX):
        if flips_at is None or flips_at > until:
            return
        moment, held = flips_at, holds
        holds, flips_at = evaluate(rules, facts, moment)
        if holds and not held:
            yield moment


def _check_size(count: int) -> None:
    if count > MAX_CONTACTS:
        message = f"A simulation looks at {MAX_CONTACTS:,} contacts at the most."
        raise ValidationFailed(message, details=[detail("id", "too_large", message)])
