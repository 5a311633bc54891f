"""What surveys cost in table calls."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.survey_world import SurveyWorld

SIZES = (10, 300)


@contextmanager
def calls(world: SurveyWorld) -> Iterator[list[str]]:
    """The names of the table calls that are made inside."""
    made: list[str] = []
    world.table.on_call = made.append
    try:
        yield made
    finally:
        world.table.on_call = lambda _name: None


def asked(world: SurveyWorld, user: str) -> str:
    """The token of somebody who is asked now."""
    world.contact(user)
    world.settle()
    world.track(user, "trial_expired")
    return world.token(world.mailbox()[-1])


def test_an_event_that_starts_no_survey_costs_what_it_did_before_there_was_one(surveying: SurveyWorld) -> None:
    surveying.contact("ada")
    costs = []
    for _ in range(2):
        surveying.track("ada", "seen")
        surveying.receive({"user_id": "ada", "event": "seen"}, "track")
        with calls(surveying) as made:
            surveying.settle()
        costs.append(made)
        for _ in range(3):
            surveying.survey()
    assert costs[0] == costs[1]


def test_surveys_cost_the_same_however_many_have_answered(surveying: SurveyWorld) -> None:
    survey = surveying.survey(frequency_cap={"max_surveys_per_contact": None})
    path, costs, count = f"/v1/surveys/{survey}", [], 0
    for size in SIZES:
        while count < size:
            person = surveying.contact(f"u{count}")
            body = {"contact_id": person, "score": count % 11}
            surveying.ok(surveying.client.post(f"{path}/responses", body))
            count += 1
        surveying.settle()
        costs.append(costs_at(surveying, path, f"size{size}"))
        count += 1
    few, many = costs
    assert few == many == {"page": 2, "answer": 4, "stats": 6, "responses": 8, "sends": 8, "send": 6}


def costs_at(world: SurveyWorld, path: str, user: str) -> dict[str, int]:
    """The table calls of all that is done of a survey, by name."""
    token = asked(world, user)
    # Whoever comes first makes what this process remembers: keys, definitions, the project.
    body, key = {"token": token, "score": 9}, world.write_key
    world.client.post(f"{path}/responses", {}, key=key)
    world.page(f"/s/{token}")
    costs = {}
    before = {row: dict(each) for row, each in world.table.rows.items()}
    with calls(world) as made:
        assert world.page(f"/s/{token}?score=9").status == 200
    assert world.table.rows == before
    costs["page"] = len(made)
    with calls(world) as made:
        assert world.client.post(f"{path}/responses", body, key=key).status == 201
    costs["answer"] = len(made)
    world.settle()
    for name in ("stats", "responses?limit=5", "sends?limit=5"):
        with calls(world) as made:
            assert world.client.get(f"{path}/{name}").status == 200
        costs[name.partition("?")[0]] = len(made)
    world.receive({"user_id": user, "event": "trial_expired"}, "track")
    while world.run_bus():
        pass
    assert world.mails
    with calls(world) as made:
        world.run_mails()
    costs["send"] = len(made)
    world.settle()
    return costs
