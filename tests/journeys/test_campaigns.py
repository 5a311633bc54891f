"""Lifecycle campaigns on the clock of a test project: who gets what, when, and who not and why."""

from chalicelib.core import clock
from tests.support.mail_world import MailWorld


def test_each_step_comes_at_its_moment(test_mail: MailWorld) -> None:
    start = test_mail.now
    campaign = test_mail.lifecycle({"delay": "0m"}, {"delay": "2d"}, {"delay": "5d"})
    test_mail.contact("ada")
    test_mail.track("ada", "signed_up")
    assert [mail["step_index"] for mail in test_mail.mailbox()] == [0]

    test_mail.advance(2 * clock.DAY - 1)
    assert len(test_mail.mailbox()) == 1
    test_mail.advance(1)
    assert len(test_mail.mailbox()) == 2
    test_mail.advance(30 * clock.DAY)

    mails = test_mail.mailbox()
    assert [mail["sent_at"] for mail in mails] == [clock.iso(start + days * clock.DAY) for days in (0, 2, 7)]
    assert {mail["to"] for mail in mails} == {"ada@example.com"}
    figures = test_mail.stats(campaign)
    assert (figures["sent"], figures["delivered"]) == (3, 3)
