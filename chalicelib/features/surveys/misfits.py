"""What can't stand together in a survey. Pure."""

from chalicelib.features.surveys.model import Survey


def misfits(survey: Survey) -> list[tuple[str, str]]:
    """What can't stand together in a survey: the field, and why not."""
    found = [*_of_questions(survey), *_of_trigger(survey)]
    if not survey.channels:
        found.append(("channels", "A survey goes by at least one channel."))
    if survey.remind_after is not None and "email" not in survey.channels:
        found.append(("remind_after", "Reminders go by email, which is not among the channels."))
    if survey.type == "custom" and survey.actions:
        found.append(("actions", "They follow from the score of an nps or csat survey."))
    return found


def _of_questions(survey: Survey) -> list[tuple[str, str]]:
    if survey.type != "custom":
        found = [] if survey.question else [("question", "An nps or csat survey asks a question.")]
        return found + ([("questions", "They are of custom surveys.")] if survey.questions else [])
    found = [] if survey.questions else [("questions", "A custom survey has questions.")]
    if survey.follow_up is not None:
        found.append(("follow_up", "It is of nps and csat surveys; a custom one has questions."))
    twice = [n for n, each in enumerate(survey.questions) if each.id in {one.id for one in survey.questions[:n]}]
    found += [(f"questions.{n}.id", "Two questions have the same id.") for n in twice]
    for n, each in enumerate(survey.questions):
        is_choice = each.type in ("single_choice", "multiple_choice")
        if is_choice and (len(each.options) < 2 or len(set(each.options)) != len(each.options)):
            found.append((f"questions.{n}.options", "A choice has at least two options, no two of them alike."))
        if not is_choice and each.options:
            found.append((f"questions.{n}.options", "Only a choice has options."))
    return found


def _of_trigger(survey: Survey) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    trigger = survey.trigger
    if trigger.include_existing and (trigger.event is not None or trigger.segment_id is None):
        found.append(("trigger.include_existing", "It is of a trigger by segment alone."))
    if trigger.filters is not None and trigger.event is None and trigger.segment_id is None:
        found.append(("trigger.filters", "They are of a trigger by event, by segment, or both."))
    if survey.repeat is not None and (trigger.segment_id is None or trigger.event is not None):
        found.append(("repeat", "A recurring survey goes to the members of trigger.segment_id, and has no event."))
    return found
