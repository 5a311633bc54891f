"""The SQL of questions against a recount: whatever lies in which table, and whoever's it was."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.features.analytics.model import Question
from tests.support import analytics_histories as histories
from tests.support.analytics_oracle import Happened, World, answer
from tests.support.analytics_people import Act
from tests.support.lake_tables import answered, event_row, person_row

NOW = histories.START + 10
CONTACTS = ("cntct_a", "cntct_b", "cntct_c", "cntct_d")
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True, slots=True, repr=False)
class Case:
    """Tables, the world that they stand for, and a question."""

    tables: dict[str, list[dict[str, Any]]]
    world: World
    question: Question

    def __repr__(self) -> str:
        return str(self.question)


@st.composite
def cases(draw: st.DrawFn, most: int) -> Case:
    """Events in either table or both, some of which lie with others than their owners, or are nobody's any more."""
    zone = draw(st.sampled_from(sorted(histories.CHANGES)))
    focus = tuple(draw(st.lists(st.sampled_from(histories.anchors(zone)), min_size=1, max_size=3)))
    tables: dict[str, list[dict[str, Any]]] = {"events": [], "recent_events": [], "moved": []}
    world: list[Happened] = []
    tables["moved"] += [
        {"contact_id": "cntct_old", "visitor": "", "owner": "cntct_a"},
        {"contact_id": "cntct_old", "visitor": "v", "owner": "cntct_b"},
        {"contact_id": "cntct_left", "visitor": "v", "owner": "cntct_c"},
        {"contact_id": "cntct_gone", "visitor": "", "owner": None},
        {"contact_id": "cntct_gone", "visitor": "v", "owner": "cntct_d"},
    ]
    for n in range(draw(st.integers(0, most))):
        event = Happened(
            event_id=f"evt_01{'0' * 22}{ALPHABET[n // 32]}{ALPHABET[n % 32]}",
            contact_id=draw(st.sampled_from(CONTACTS)),
            name=draw(st.sampled_from(histories.EVENTS)),
            type=draw(st.sampled_from(("track", "track", "track", "system"))),
            timestamp=draw(histories.moments(focus)),
            received_at=n,
            properties=draw(histories.FREE),
        )
        lying = {"cntct_a": ("cntct_old", None), "cntct_b": ("cntct_old", "v"), "cntct_c": ("cntct_left", "v")}
        lies, visitor = draw(st.sampled_from(((None, None), (None, "w"), lying.get(event.contact_id, (None, None)))))
        row = event_row(event, lies, visitor)
        if draw(st.integers(0, 9)) == 0:
            row["contact_id"], row["visitor"] = "cntct_gone", None
        else:
            world.append(event)
        for name in draw(st.sampled_from((("events",), ("recent_events",), ("events", "recent_events")))):
            tables[name].append(row)
    traits = {contact: draw(histories.FREE) for contact in CONTACTS}
    tables["people"], tables["recent_people"] = [], []
    for contact, its in traits.items():
        where = draw(st.sampled_from(("people", "recent_people", "both", "late")))
        if where in ("people", "both", "late"):
            tables["people"].append(person_row(contact, its if where != "both" else {"plan": "older"}, version=2))
        if where != "people":
            newer = person_row(contact, its, version=3) if where != "late" else person_row(contact, {"plan": "old"})
            tables["recent_people"].append(newer)
    tables["recent_people"].append(person_row("cntct_old", {"plan": "pro"}, 9, "merged"))
    acts = [Act(kind="track", received_at=0, event=each.name, properties=each.properties) for each in world]
    acts += [Act(kind="track", received_at=0, event="signup", traits=its) for its in traits.values()]
    asking = histories.Asking(histories.History(zone, acts, NOW, focus))
    return Case(tables, World(events=world, traits=traits), draw(asking.questions()))


def judge(case: Case) -> None:
    assert answered(case.question, NOW, case.tables) == answer(case.world, case.question, NOW)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(cases(25))
def test_an_answer_is_the_recount_of_what_happened(case: Case) -> None:
    judge(case)


@pytest.mark.prove
@pytest.mark.timeout(900)
@settings(max_examples=4_000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(cases(120))
def test_answers_are_the_recounts_of_many_histories(case: Case) -> None:
    judge(case)
