"""What the pages show. Everything here is text as it was given: the templates escape it."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Self

from chalicelib.core.colors import is_color
from chalicelib.features.projects.model import Project

QuestionType = Literal["rating", "text", "single_choice", "multiple_choice"]

TEXT_MAX = 5_000
"""Characters that a comment, or the answer to an open question, may have."""

RATINGS = (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Brand:
    """Whose page it is: a name, and a colour as `#rrggbb`. What is no such colour is passed over."""

    name: str
    color: str | None = None

    @classmethod
    def of(cls, project: Project) -> Self:
        """That of a project: people know it by the name that its mails are from."""
        return cls(project.sender_name or project.name, project.brand_color)

    @property
    def safe_color(self) -> str | None:
        """The colour where it is one: it stands in a style, where escaping would not help."""
        return self.color if self.color is not None and is_color(self.color) else None


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a custom survey. `values` are what was answered before, `error` what is wrong with that."""

    id: str
    type: QuestionType
    text: str
    options: list[str] = field(default_factory=list)
    required: bool = False
    values: list[str] = field(default_factory=list)
    error: str | None = None

    def shown(self) -> dict[str, Any]:
        """As the template reads it."""
        is_rating = self.type == "rating"
        options = [str(each) for each in RATINGS] if is_rating else self.options
        kind = "text" if self.type == "text" else "row" if is_rating else "list"
        control = "checkbox" if self.type == "multiple_choice" else "radio"
        shown = {"options": options, "kind": kind, "control": control, "is_required": self.required}
        return asdict(self) | shown


@dataclass(frozen=True, slots=True)
class SurveyForm:
    """A survey as it is asked. It posts `score`, `comment`, and `answers.<question id>`, which is repeated where
    several may be chosen.

    - `scale`: the scores to choose from; empty where there are `questions` of its own.
    - `low_label`, `high_label`: what the first and the last of them mean.
    - `follow_up`: the open question below; a survey with a scale has one of ours where it has none.
    - `error`: what is wrong with the score.
    - `is_answered`, `until`: it is a correction, which can be made until that moment (ms).
    - `sends_itself`: the score is sent as soon as a person sees the page. Nothing is where no score is chosen.
    """

    question: str = ""
    scale: list[int] = field(default_factory=list)
    low_label: str = ""
    high_label: str = ""
    chosen: int | None = None
    follow_up: str | None = None
    comment: str = ""
    questions: list[Question] = field(default_factory=list)
    error: str | None = None
    is_answered: bool = False
    until: int | None = None
    sends_itself: bool = False

    @property
    def has_faults(self) -> bool:
        """True where something has to be answered in another way."""
        return self.error is not None or any(each.error for each in self.questions)

    def shown(self) -> dict[str, Any]:
        """As the template reads it."""
        return asdict(self) | {
            "scale": [str(each) for each in self.scale],
            "picked": [] if self.chosen is None else [str(self.chosen)],
            "questions": [each.shown() for each in self.questions],
            "has_faults": self.has_faults,
            "until": _moment(self.until),
            "text_max": TEXT_MAX,
        }


@dataclass(frozen=True, slots=True)
class Thanks:
    """What is said once an answer was recorded.

    - `score`: the one that was given. `text`: what else there is to say.
    - `share_url`: a referral link to pass on.
    - `may_change`, `until`: the answer can be changed, until that moment (ms).
    - `follow_up`: an open question to ask here, where the score alone is recorded so far.
    """

    score: int | None = None
    text: str | None = None
    share_url: str | None = None
    may_change: bool = False
    until: int | None = None
    follow_up: str | None = None

    def shown(self) -> dict[str, Any]:
        """As the template reads it."""
        return asdict(self) | {"until": _moment(self.until), "text_max": TEXT_MAX}


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody stands in a waitlist.

    `position` is None for who was approved, `waiting` is how many wait, and `boost` by how much a referral moves up.
    """

    waitlist: str
    position: int | None
    waiting: int
    boost: int
    referral_code: str
    share_url: str

    def shown(self) -> dict[str, Any]:
        """As the template reads it."""
        position = None if self.position is None else f"{self.position:,}"
        moves = f"{self.boost:,} {'place' if self.boost == 1 else 'places'}" if self.boost else None
        told = {"position": position, "waiting": f"{self.waiting:,}", "is_alone": self.waiting == 1, "moves": moves}
        return asdict(self) | told


def _moment(ms: int | None) -> str | None:
    """A moment for people: whose time zone they are in is not known."""
    if ms is None:
        return None
    moment = datetime.fromtimestamp(ms // 1_000, UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"
