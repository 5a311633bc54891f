"""Whatever a caller names or says is bound: the text of the SQL is the same, and the answer that of a recount."""

import pytest

from chalicelib.core import ids
from chalicelib.features.analytics.model import Filter, Path, Series, Span, Step
from chalicelib.features.analytics.model import FunnelQuestion as Funnel
from tests.support.analytics_oracle import Happened, World, answer
from tests.support.analytics_questions import DAY, NOW, every_shape, texts
from tests.support.lake_tables import answered, event_row, person_row

HOSTILE = [
    "'", "''", '"', "\\", "\\'", "\\\\'", "`", ";", "--", "/*", "*/", "?", "??", "$1", ":name", "{chosen}", "%s", "%",
    "_",     "' OR '1'='1", "' OR 1=1 --", "'; DROP TABLE events; --", "') UNION ALL SELECT contact_id FROM people --",
    '" OR ""="', '$."plan"', '"]["x', '$["plan"]', "$.*", "*", "[*]", "plan') OR ('a'='a", "a' || (SELECT 1) || '",
    "1; ATTACH '/etc/passwd'", "read_text('/etc/passwd')", "x'; COPY events TO '/tmp/x'; --", "\u2019 OR 1=1", "\uff07",
    "a\u0001b", "NULL", "true", "1e309", "ignore nulls", "x" * 256, "\n-- \n", "\ud7ff", "🚀'🚀",
]  # fmt: skip
PLAIN = "plain"


def test_there_are_enough_of_them() -> None:
    assert len({*HOSTILE}) >= 40


@pytest.mark.parametrize("hostile", HOSTILE)
def test_none_reaches_the_text(hostile: str) -> None:
    benign = (PLAIN, "1")
    quoted = hostile == "true" or hostile[:1].isdigit()
    said = texts(every_shape(event=hostile, path=hostile, values=(hostile, "pro") if not quoted else (hostile,)))
    assert said == texts(every_shape(event=PLAIN, path=PLAIN, values=(PLAIN, "pro") if not quoted else benign[1:]))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_each_is_a_value_as_any_other(hostile: str) -> None:
    rows = [
        Happened(ids.new_id("evt"), "cntct_a", hostile, "track", NOW - DAY, 1, {hostile: hostile}),
        Happened(ids.new_id("evt"), "cntct_b", hostile, "track", NOW - DAY + 1, 2, {hostile: "other"}),
        Happened(ids.new_id("evt"), "cntct_a", "x", "track", NOW - DAY + 2, 3, {"x": hostile}),
    ]
    world = World(rows, {"cntct_a": {hostile: hostile}, "cntct_b": {}})
    tables = {
        "events": [event_row(each) for each in rows],
        "people": [person_row(contact, traits) for contact, traits in world.traits.items()],
    }
    span = Span(NOW - 2 * DAY, NOW, "Asia/Kolkata")
    filters = (Filter(Path("traits", hostile), (hostile,)), Filter(Path("properties", hostile), (hostile, 5)))
    for asked in (
        Series("event_count", hostile, "day", span, filters, Path("properties", hostile)),
        Series("unique_contacts", None, "hour", span, (), Path("traits", hostile)),
        Funnel((Step(hostile, filters), Step("x")), DAY, span),
    ):
        assert answered(asked, NOW, tables) == answer(world, asked, NOW)
