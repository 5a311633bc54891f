"""The pages that people see: what they ask and say, and how they are answered.

They need no script and nothing from elsewhere, are made for phones first, and keep to WCAG 2.2 AA. What they show comes
in the models of `views`; all of it is text, and escaped where it stands.
"""

from chalicelib.edge.call import Reply
from chalicelib.edge.pages.rendering import render
from chalicelib.edge.pages.views import Brand, Place, Question, SurveyForm, Thanks

__all__ = ["Brand", "Place", "Question", "SurveyForm", "Thanks", "message", "place", "survey", "thanks"]


def message(
    title: str, text: str, *, brand: Brand | None = None, button: str | None = None, status: int = 200
) -> Reply:
    """A page that says `text`; its `button` posts to the very address of the page."""
    return render("message", title, {"text": text, "button": button}, brand, status=status)


def survey(form: SurveyForm, brand: Brand, *, status: int = 200) -> Reply:
    """A survey to answer, or to answer anew. It posts to the page's address, less the query."""
    title = form.question or "A few questions"
    script = "send" if form.sends_itself and form.chosen is not None else None
    return render("survey", title, form.shown(), brand, status=status, script=script, is_faulty=form.has_faults)


def thanks(view: Thanks, brand: Brand) -> Reply:
    """What follows an answer that was recorded."""
    return render("thanks", "Thank you", view.shown(), brand)


def place(view: Place, brand: Brand) -> Reply:
    """Where somebody stands in a waitlist."""
    title = "You are in" if view.position is None else f"You are number {view.position:,}"
    return render("place", title, view.shown(), brand)
