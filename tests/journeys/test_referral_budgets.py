"""What referrals cost in table calls."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.mail_world import MailWorld
from tests.support.referral_world import ReferralWorld


@contextmanager
def calls(world: MailWorld) -> Iterator[list[str]]:
    """The names of the table calls that are made inside."""
    made: list[str] = []
    world.table.on_call = made.append
    try:
        yield made
    finally:
        world.table.on_call = lambda _name: None


def test_the_ledger_of_one_contact_costs_the_same_however_many_others_have_rewards(referring: ReferralWorld) -> None:
    code = referring.link(referring.contact("alice"))
    costs = []
    for n in range(12):
        last = referring.contact(f"u{n}")
        referring.convert(code, last)
        with calls(referring) as made:
            assert len(referring.rewards(contact_id=last)) == 1
        costs.append(len(made))
    assert costs == [costs[0]] * 12


def test_an_event_that_names_a_code_costs_nothing_more_where_there_is_no_program(test_mail: MailWorld) -> None:
    costs = []
    without: dict[str, str] = {}
    for code in (without, {"referral_code": "ALICE-ACME-7K2"}):
        test_mail.track("bob", "seen")
        test_mail.receive({"user_id": "bob", "event": "seen", "context": code}, "track")
        with calls(test_mail) as made:
            test_mail.settle()
        costs.append(len(made))
    assert costs[0] == costs[1]
