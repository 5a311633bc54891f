"""The settings: what the environment must say, and how a fault is told."""

import pytest

from chalicelib.platform.config import ConfigurationError, Settings

COMPLETE = {
    "GROWTHOS_STAGE": "test",
    "GROWTHOS_TABLE": "a-table",
    "GROWTHOS_INGEST_QUEUE_URL": "https://queue/ingest.fifo",
    "GROWTHOS_BUS_QUEUE_URL": "https://queue/bus",
    "GROWTHOS_JOBS_QUEUE_URL": "https://queue/jobs",
    "GROWTHOS_TIMERS_QUEUE_URL": "https://queue/timers",
    "GROWTHOS_WEBHOOKS_QUEUE_URL": "https://queue/webhooks.fifo",
    "GROWTHOS_WEBHOOKS_SLOW_QUEUE_URL": "https://queue/webhooks-slow.fifo",
    "GROWTHOS_MAILS_QUEUE_URL": "https://queue/mails",
    "GROWTHOS_FEEDBACK_QUEUE_URL": "https://queue/feedback",
    "GROWTHOS_LAKE_QUEUE_URL": "https://queue/lake",
    "GROWTHOS_BUCKET": "lake",
    "GROWTHOS_SECRET_ARN": "arn:secret",
}


def test_what_is_optional_has_a_default() -> None:
    read = Settings.read(COMPLETE)
    assert (read.table, read.log_level, read.ingest_lanes) == ("a-table", "INFO", 64)


def test_lanes_are_a_number() -> None:
    assert Settings.read(COMPLETE | {"GROWTHOS_INGEST_LANES": "8"}).ingest_lanes == 8


@pytest.mark.parametrize("missing", COMPLETE)
def test_a_missing_or_empty_variable_is_named(missing: str) -> None:
    for rest in ({k: v for k, v in COMPLETE.items() if k != missing}, COMPLETE | {missing: ""}):
        with pytest.raises(ConfigurationError, match=f"{missing} is missing"):
            Settings.read(rest)


@pytest.mark.parametrize("lanes", ["0", "1025", "-1", "many", "1.5", "١"])
def test_a_number_of_lanes_that_cannot_be_is_refused(lanes: str) -> None:
    with pytest.raises(ConfigurationError, match="GROWTHOS_INGEST_LANES"):
        Settings.read(COMPLETE | {"GROWTHOS_INGEST_LANES": lanes})


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Settings.read({"GROWTHOS_INGEST_LANES": "0"})
    assert str(refused.value).count(";") == len(COMPLETE)
