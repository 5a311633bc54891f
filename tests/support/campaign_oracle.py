"""What a sequence must send, said plainly and of its own: one loop over the moments, no tables and no workers."""

from collections import Counter
from dataclasses import dataclass, field

Step = tuple[str, int]
"""A step's id, and its delay in ms."""


@dataclass(slots=True)
class Run:
    cause: int
    anchor: int
    done: list[str] = field(default_factory=list)
    place: int = -1
    over: bool = False


@dataclass(slots=True)
class Person:
    address: str
    unsubscribed: bool = False
    gone: bool = False
    merged_into: str | None = None
    run: Run | None = None


@dataclass(slots=True)
class Oracle:
    """`mails` are (address, step, moment), `skipped` counts (step, reason)."""

    now: int
    steps: list[Step]
    reentry: bool
    people: dict[str, Person] = field(default_factory=dict)
    active: bool = True
    mails: list[tuple[str, str, int]] = field(default_factory=list)
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    dead: set[str] = field(default_factory=set)

    def signs_up(self, name: str) -> None:
        person = self._who(name)
        if person is None or not self.active:
            return
        if person.run is None or (self.reentry and person.run.over):
            person.run = Run(self.now, self.now)
            self._catch_up()

    def pays(self, name: str) -> None:
        """Ends a run that began before."""
        person = self._who(name)
        run = person.run if person is not None else None
        if run is None or run.over:
            return
        following = self._next(run)
        if following is not None:
            self.skipped[following[0], "exited"] += 1
        run.over = True

    def unsubscribes(self, name: str, *, yes: bool) -> None:
        person = self._who(name)
        if person is not None:
            person.unsubscribed = yes

    def is_deleted(self, name: str) -> None:
        person = self._who(name)
        if person is None:
            return
        person.gone = True
        if person.run is not None and not person.run.over:
            following = self._next(person.run)
            if following is not None:
                self.skipped[following[0], "deleted"] += 1
            person.run.over = True

    def merges(self, target: str, source: str) -> None:
        one, other = self._who(target), self._who(source)
        if one is None or other is None or one is other:
            return
        other.merged_into = target
        one.unsubscribed |= other.unsubscribed
        if other.run is not None:
            one.run = other.run if one.run is None else self._further(one.run, other.run)
            self._catch_up()

    def changes(self, steps: list[Step]) -> None:
        self.steps = steps
        self._catch_up()

    def pauses(self) -> None:
        self.active = False

    def resumes(self) -> None:
        self.active = True
        self._catch_up()

    def passes(self, time: int) -> None:
        """Let time pass, moment by moment at which something is due."""
        end = self.now + time
        while True:
            coming = [moment for each in self._runs() if (moment := self._due(each)) is not None and moment <= end]
            if not self.active or not coming:
                break
            self.now = max(self.now, min(coming))
            self._catch_up()
        self.now = end

    def is_someone(self, name: str) -> bool:
        return self._who(name) is not None

    def is_running(self, name: str) -> bool:
        person = self._who(name)
        return person is not None and person.run is not None and not person.run.over

    def _who(self, name: str) -> Person | None:
        person = self.people[name]
        while person.merged_into is not None:
            person = self.people[person.merged_into]
        return None if person.gone else person

    def _runs(self) -> list[Person]:
        return [each for each in self.people.values() if each.merged_into is None and not each.gone and each.run]

    def _next(self, run: Run) -> tuple[str, int, int] | None:
        """Id, delay and place of the step that comes next."""
        ids = [step_id for step_id, _ in self.steps]
        start = 0
        if run.done:
            start = ids.index(run.done[-1]) + 1 if run.done[-1] in ids else run.place
        for place in range(start, len(ids)):
            if ids[place] not in run.done:
                return ids[place], self.steps[place][1], place
        return None

    def _due(self, person: Person) -> int | None:
        run = person.run
        if run is None or run.over or (following := self._next(run)) is None:
            return None
        return run.anchor + following[1]

    def _further(self, ours: Run, theirs: Run) -> Run:
        def place(run: Run) -> int:
            following = self._next(run)
            return 1_000 if following is None else following[2]

        stays, ends = (theirs, ours) if place(theirs) > place(ours) else (ours, theirs)
        stays.done = [*(step for step in ends.done if step not in stays.done), *stays.done]
        ends.over = True
        return stays

    def _catch_up(self) -> None:
        if not self.active:
            return
        for person in self._runs():
            while (due := self._due(person)) is not None and due <= self.now:
                self._act(person)
            run = person.run
            if run is not None and not run.over and self._next(run) is None:
                run.over = True

    def _act(self, person: Person) -> None:
        run = person.run
        following = self._next(run) if run is not None else None
        if run is None or following is None:
            return
        step, _, place = following
        if person.unsubscribed:
            self.skipped[step, "unsubscribed"] += 1
        elif person.address in self.dead:
            self.skipped[step, "bounced"] += 1
        else:
            self.mails.append((person.address, step, self.now))
            if person.address.startswith("bounce"):
                self.dead.add(person.address)
        run.done.append(step)
        run.place, run.anchor = place, self.now
