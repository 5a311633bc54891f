"""Pages: whatever they show is text, and nothing but their own style and script works in them."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from chalicelib.edge import pages
from chalicelib.edge.call import Reply
from chalicelib.edge.pages import Brand, Place, Question, SurveyForm, Thanks

NASTY = """</title></style></script></textarea><script>alert(1)</script><b x="'`&amp;{{ 7 | times: 7 }}"""
ACME = Brand("Acme", "#0b57d0")
NPS = SurveyForm(
    question="How likely are you to recommend us?",
    scale=list(range(11)),
    low_label="not at all",
    high_label="very",
    chosen=9,
    follow_up="Why?",
)
CUSTOM = SurveyForm(
    questions=[
        Question("speed", "rating", "How fast is it?", required=True, values=["4"]),
        Question("more", "text", "What is missing?", values=["Dark mode"]),
        Question("role", "single_choice", "What are you?", ["Founder", "Engineer"], values=["Engineer"]),
        Question("used", "multiple_choice", "What do you use?", ["Mail", "Surveys", "Links"], values=["Mail", "Links"]),
    ]
)
PLACE = Place("Early birds", 3, 1_200, 3, "ANN-ACME-K7F", "https://acme.test/r/ANN-ACME-K7F")
VOID = {"meta", "input", "br", "link", "img"}


class Read(HTMLParser):
    """The elements of a page with their attributes, and what stands in each kind of them."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(convert_charrefs=True)
        assert isinstance(reply.body, str)
        self.html = reply.body
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(reply.body)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [has for each, has in self.elements if each == tag and wanted.items() <= has.items()]

    def text(self) -> str:
        """What a person reads, the title too."""
        return " ".join("".join(self.words).split())


def pages_of(words: str) -> list[Reply]:
    """Each page, with these words wherever it shows any."""
    brand = Brand(words, words)
    form = SurveyForm(
        question=words, scale=[1, 2], low_label=words, high_label=words, chosen=1, follow_up=words, comment=words,
        error=words, sends_itself=True,
    )  # fmt: skip
    kinds = ("rating", "text", "single_choice", "multiple_choice")
    asked = [Question(words, kind, words, [words], True, [words], words) for kind in kinds]  # type: ignore[arg-type]
    return [
        pages.message(words, words, brand=brand, button=words),
        pages.survey(form, brand),
        pages.survey(SurveyForm(questions=asked), brand),
        pages.thanks(Thanks(1, words, f"https://acme.test/{words}", True, 0, words), brand),
        pages.place(Place(words, 1, 2, 3, words, f"https://acme.test/{words}"), brand),
    ]


def every_page() -> list[Reply]:
    return [
        *pages_of(NASTY),
        pages.message("Unsubscribe", "Really?", brand=ACME, button="Yes"),
        pages.message("Gone", "Nothing here.", status=404),
        pages.survey(NPS, ACME),
        pages.survey(replace(NPS, sends_itself=True), ACME),
        pages.survey(CUSTOM, ACME),
        pages.thanks(Thanks(9), ACME),
        pages.place(PLACE, ACME),
        pages.place(replace(PLACE, position=None), ACME),
    ]


@pytest.mark.parametrize("number", range(5))
def test_what_they_show_stays_text(number: int) -> None:
    """The same elements as with plain words, and each word as it was."""
    nasty, plain = Read(pages_of(NASTY)[number]), Read(pages_of("plain")[number])
    assert [tag for tag, _ in nasty.elements] == [tag for tag, _ in plain.elements]
    assert [sorted(has) for _, has in nasty.elements] == [sorted(has) for _, has in plain.elements]
    assert nasty.text() == plain.text().replace("plain", NASTY)
    assert nasty.texts.get("script") == plain.texts.get("script")
    assert nasty.texts["style"] == plain.texts["style"]


def test_their_style_and_script_are_let_by_hash_and_nothing_else_is() -> None:
    for reply in every_page():
        read, policy = Read(reply), reply.headers["Content-Security-Policy"]
        rules = dict(part.split(" ", 1) for part in policy.split("; "))
        assert rules.pop("default-src") == "'none'"
        assert rules.pop("style-src") == hashed("".join(read.texts["style"]))
        if read.all("script"):
            assert rules.pop("script-src") == hashed("".join(read.texts["script"]))
            assert rules.pop("connect-src") == "'self'"
        assert rules == {"form-action": "'self'", "frame-ancestors": "'none'", "base-uri": "'none'"}
        assert not [has for _, has in read.elements if "style" in has or any(name.startswith("on") for name in has)]


def hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_they_are_kept_nowhere_and_load_nothing() -> None:
    for reply in every_page():
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["X-Robots-Tag"] == "noindex"
        assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
        read = Read(reply)
        assert not [has for _, has in read.elements if "src" in has]
        assert not [tag for tag, _ in read.elements if tag in ("img", "link", "iframe", "base", "object")]
        assert not re.search(r"url\(|@import|//", " ".join(read.texts["style"]))
        assert {has.get("action", "?") for has in read.all("form")} <= {"?"}


def test_each_has_a_language_a_title_and_one_heading() -> None:
    for reply in every_page():
        read = Read(reply)
        assert read.all("html", lang="en")
        assert read.all("meta", name="viewport")
        assert len(read.all("h1")) == 1
        assert "".join(read.texts["title"])


def test_each_control_has_a_label_or_stands_in_one() -> None:
    for reply in every_page():
        read = Read(reply)
        labelled = {has["for"] for has in read.all("label") if "for" in has}
        for has in read.all("textarea") + read.all("input", type="text"):
            assert has["id"] in labelled
        ids = [has["id"] for _, has in read.elements if "id" in has]
        assert len(ids) == len(set(ids))


def test_a_score_that_was_chosen_is_checked_and_the_whole_form_is_there() -> None:
    read = Read(pages.survey(replace(NPS, comment="\nTwo\nlines"), ACME))
    radios = read.all("input", type="radio", name="score")
    assert [has["value"] for has in radios] == [str(score) for score in range(11)]
    assert [has["value"] for has in radios if "checked" in has] == ["9"]
    assert read.all("textarea", name="comment", maxlength="5000")
    assert ">\n\nTwo\nlines</textarea>" in read.html, "the first line break is the parser's"
    assert "0: not at all" in read.text()
    assert "10: very" in read.text()
    assert len(read.all("button")) == 1


def test_without_a_choice_none_is_checked_and_nothing_sends_itself() -> None:
    read = Read(pages.survey(replace(NPS, chosen=None, sends_itself=True), ACME))
    assert not [has for has in read.all("input") if "checked" in has]
    assert not read.all("script")


def test_zero_is_a_choice() -> None:
    read = Read(pages.survey(replace(NPS, chosen=0, sends_itself=True), ACME))
    assert [has["value"] for has in read.all("input") if "checked" in has] == ["0"]
    assert read.all("script")
    assert "Your score, 0, is saved" in Read(pages.thanks(Thanks(0), ACME)).text()


def test_a_survey_of_its_own_questions_shows_what_was_answered() -> None:
    read = Read(pages.survey(CUSTOM, ACME))
    chosen = [(has["name"], has["value"]) for has in read.all("input") if "checked" in has]
    assert chosen == [
        ("answers.speed", "4"),
        ("answers.role", "Engineer"),
        ("answers.used", "Mail"),
        ("answers.used", "Links"),
    ]
    assert {has["type"] for has in read.all("input", name="answers.used")} == {"checkbox"}
    assert "".join(read.texts["textarea"]).strip() == "Dark mode"
    assert all("required" in has for has in read.all("input", name="answers.speed"))
    assert not any("required" in has for has in read.all("input", name="answers.used"))
    assert not read.all("textarea", name="comment")


def test_what_is_wrong_is_told_at_the_top_and_at_its_place() -> None:
    (speed, *rest) = CUSTOM.questions
    reply = pages.survey(replace(CUSTOM, questions=[replace(speed, error="Choose a rating."), *rest]), ACME, status=422)
    read = Read(reply)
    assert reply.status == 422
    assert "".join(read.texts["title"]).startswith("Error: ")
    (link,) = read.all("a")
    assert read.all("input", id=str(link["href"])[1:], name="answers.speed")
    assert read.all("fieldset", **{"aria-describedby": "q1-error"})
    assert read.all("p", id="q1-error")


def test_a_missing_score_is_told_so_too() -> None:
    read = Read(pages.survey(replace(NPS, chosen=None, error="Choose a score."), ACME, status=422))
    (link,) = read.all("a")
    assert read.all("input", id=str(link["href"])[1:], name="score")
    assert read.all("fieldset", **{"aria-describedby": "score-ends score-error"})


def test_a_correction_says_until_when_it_can_be_made() -> None:
    text = Read(pages.survey(replace(NPS, is_answered=True, until=1_772_000_000_000), ACME)).text()
    assert "You can change your answer until 25 February 2026, 06:13 UTC." in text


def test_thanks_leads_on() -> None:
    view = Thanks(9, "We read every answer.", "https://acme.test/r/A?b=1&c=2", True, 1_772_000_000_000, "Why?")
    read = Read(pages.thanks(view, ACME))
    assert [has["href"] for has in read.all("a")] == ["https://acme.test/r/A?b=1&c=2", "?"]
    assert read.all("input", value="https://acme.test/r/A?b=1&c=2", id="share")
    assert read.all("input", type="hidden", name="score", value="9")
    assert "We read every answer." in read.text()
    assert not Read(pages.thanks(Thanks(9), ACME)).all("a")


def test_a_link_that_is_none_of_the_web_is_not_one_to_follow() -> None:
    for url in ("javascript:alert(1)", "/r/A", "data:text/html,x"):
        read = Read(pages.thanks(Thanks(9, share_url=url), ACME))
        assert not read.all("a")
        assert read.all("input", value=url)


def test_a_place_in_a_waitlist() -> None:
    assert "1,200 people wait for Early birds." in Read(pages.place(PLACE, ACME)).text()
    assert "brings you forward by 3 places." in Read(pages.place(PLACE, ACME)).text()
    assert "forward" not in Read(pages.place(replace(PLACE, boost=0), ACME)).text()
    approved = Read(pages.place(replace(PLACE, position=None), ACME)).text()
    assert "You are in" in approved
    assert "wait for" not in approved


@pytest.mark.parametrize(
    ("color", "ink", "edge"), [("#0b57d0", "#ffffff", "#0b57d0"), ("#ffee88", "#000000", "#000000")]
)
def test_a_button_can_be_read_and_seen_in_any_colour(color: str, ink: str, edge: str) -> None:
    style = "".join(Read(pages.survey(NPS, Brand("Acme", color))).texts["style"])
    assert style.startswith(f":root{{--brand:{color};--on-brand:{ink};--edge:{edge}}}")
