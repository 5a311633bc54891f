"""Keys of objects in the bucket. Pure. An object never changes: another content has another name."""

HOT_PREFIX = "hot/"


def hot_events(name: str) -> str:
    """The events of all projects that were written in one window."""
    return f"{HOT_PREFIX}events/{name}.parquet"


def hot_people(name: str) -> str:
    """The states of contacts of all projects that were written in one window."""
    return f"{HOT_PREFIX}people/{name}.parquet"


def day_events(project_id: str, day: str, name: str) -> str:
    """A project's events of one UTC day."""
    return f"events/project_id={project_id}/dt={day}/{name}.parquet"


def people(project_id: str, name: str) -> str:
    """A project's active contacts."""
    return f"people/project_id={project_id}/{name}.parquet"


def edges(project_id: str, name: str) -> str:
    """Where a project's other contacts have gone."""
    return f"edges/project_id={project_id}/{name}.parquet"


def scratch(table: str, project_id: str, name: str) -> str:
    """What is made of a project's hot objects for one engine, and expires within a day."""
    return f"scratch/{table}/project_id={project_id}/{name}.parquet"


def of_project(project_id: str) -> list[str]:
    """What the keys of a project's compacted objects begin with."""
    return [f"{folder}/project_id={project_id}/" for folder in ("events", "people", "edges")]
