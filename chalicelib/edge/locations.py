"""From where pydantic says that a fault is to the path as the caller wrote it.

Pydantic adds the name of the branch that it tried of a union, which is not in the request, and may well be the name of
a field there. Only the model tells the two apart.
"""

from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel


def dotted(location: Sequence[int | str], model: type[BaseModel]) -> str:
    """The dotted path in a request that `model` refused; list positions included."""
    return ".".join(_named(list(location), model))


def _named(location: list[int | str], annotation: Any) -> list[str]:
    if not location:
        return []
    kind = _plain(annotation)
    step, rest = location[0], location[1:]
    if get_origin(kind) in (Union, UnionType):
        branches = [_plain(branch) for branch in get_args(kind) if branch is not NoneType]
        if len(branches) > 1:
            return _named(rest, _branch(branches, str(step), rest))
        return _named(location, branches[0])
    if get_origin(kind) in (list, tuple, set, frozenset):
        return [str(step), *_named(rest, get_args(kind)[0])]
    if get_origin(kind) is dict:
        # The name itself is at fault where the next step is `[key]`.
        return [str(step)] if rest == ["[key]"] else [str(step), *_named(rest, get_args(kind)[1])]
    if _is_model(kind):
        return [str(step), *_named(rest, _field(kind, str(step)))]
    return []


def _plain(annotation: Any) -> Any:
    """Without what validators and constraints are written in."""
    while get_origin(annotation) is Annotated or hasattr(annotation, "__value__"):
        annotation = annotation.__value__ if hasattr(annotation, "__value__") else get_args(annotation)[0]
    return annotation


def _branch(branches: Sequence[Any], label: str, rest: Sequence[int | str]) -> Any:
    """The branch that the label is of; of a tagged union, whose labels are its tags, the first that has the field."""
    models = [branch for branch in branches if _is_model(branch)]
    named = [model for model in models if model.__name__ == label]
    having = [model for model in models if rest and _field(model, str(rest[0])) is not None]
    containers = [
        branch for branch in branches if label.startswith(f"{getattr(get_origin(branch), '__name__', None)}[")
    ]
    return next(iter([*named, *containers, *having]), None)


def _field(model: type[BaseModel], name: str) -> Any:
    model.model_rebuild(raise_errors=False)  # one that was only ever part of another may have names for types still
    for field, info in model.model_fields.items():
        if name in (field, info.alias):
            return info.annotation
    return None


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
