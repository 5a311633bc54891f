"""The world of the journeys, for a browser to look at."""

import importlib.util

import pytest

from tests.support.mail_world import MailWorld
from tests.support.survey_world import SurveyWorld

collect_ignore = (
    []
    if importlib.util.find_spec("playwright")
    else [
        "test_mails.py",
        "test_pages.py",
        "test_survey_app.py",
        "test_surveys.py",
    ]
)
"""`make browser` installs what they need; nobody else does."""


@pytest.fixture
def test_mail(engine: str, monkeypatch: pytest.MonkeyPatch) -> MailWorld:
    """A test project that can send campaigns."""
    return MailWorld(monkeypatch, is_test=True)


@pytest.fixture
def surveying(engine: str, monkeypatch: pytest.MonkeyPatch) -> SurveyWorld:
    """A test project with surveys."""
    return SurveyWorld(monkeypatch, is_test=True)
