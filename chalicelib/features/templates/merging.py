"""Merge tags: Liquid over what is given and nothing else, bounded in time and size. Pure.

The library bounds output, nesting and variables. Beside that loops and the work of filters are counted over a whole
template, ranges and what filters make are bounded before they are made, and nothing reads the machine's clock. Loaded
when something is rendered.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache, wraps
from typing import Any

from liquid import DictLoader, Environment
from liquid.context import RenderContext
from liquid.exceptions import FilterValueError, LiquidError, LoopIterationLimitError
from liquid.filter import with_context
from liquid.template import BoundTemplate
from liquid.undefined import is_undefined

from chalicelib.core import clock
from chalicelib.features.templates.model import RenderFailed

_OUTPUT_MAX = 1_000_000
_VARIABLES_MAX = 1_000_000
_ITERATIONS_MAX = 20_000
_RANGE_MAX = 10_000
_WORK_MAX = 3_000_000
"""Characters that a rendering may read by its names and filters together; an item of a list counts for _ITEM."""

_ITEM = 10
_CALL = 50
"""Characters for which each use of a filter counts beside."""

_FORMAT_MAX = 100
_CACHED = 64
_LINES_TRIED = 500
_NOT_OFFERED = ("safe",)
"""What would let a contact's own text stand in a mail as markup."""


class _Context(RenderContext):
    """Counts the iterations of all loops of a rendering together, and the work of its filters and comparisons."""

    def get(self, path: list[object], **named: Any) -> object:
        """What a name stands for; long texts are work wherever they are read."""
        value = super().get(path, **named)
        _count_work(self, _size(value))
        return value

    def raise_for_loop_limit(self, length: int = 1) -> None:
        counted = self.tag_namespace.setdefault("iterations", 0) + length
        self.tag_namespace["iterations"] = counted
        if counted > _ITERATIONS_MAX:
            raise LoopIterationLimitError(f"more than {_ITERATIONS_MAX:,} iterations", token=None)


class _Template(BoundTemplate):
    context_class = _Context


class _Environment(Environment):
    output_stream_limit = _OUTPUT_MAX
    local_namespace_limit = _VARIABLES_MAX
    template_class = _Template

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        for name in _NOT_OFFERED:
            del self.filters[name]
        self.filters["date"] = _date
        self.filters = {name: _bounded(name, each) for name, each in self.filters.items()}


def check(field: str, source: str) -> None:
    """Raises RenderFailed where the source is no Liquid."""
    _parsed(field, source, is_markup=False)


def merged(field: str, source: str, context: Mapping[str, Any], *, is_markup: bool) -> str:
    """The source with its tags merged; in markup whatever the context holds is escaped. Raises RenderFailed."""
    template = _parsed(field, source, is_markup=is_markup)
    try:
        return template.render(**context)
    except LiquidError as error:
        raise _failed(field, error) from None
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
        # The library lets through what a filter makes of values that it was not written for.
        raise RenderFailed(field, None, f"It can't be rendered: {type(error).__name__}.") from None


def _parsed(field: str, source: str, *, is_markup: bool) -> BoundTemplate:
    try:
        return _compiled(source, is_markup)
    except LiquidError as error:
        failed = _failed(field, error)
        failed.line = failed.line or _line_of(source, failed.message)
        raise failed from None
    except (LookupError, RecursionError, TypeError, ValueError) as error:
        raise RenderFailed(field, None, f"It can't be read: {type(error).__name__}.") from None


@lru_cache(maxsize=_CACHED)
def _compiled(source: str, is_markup: bool) -> BoundTemplate:
    return _environment(is_markup).from_string(source)


@lru_cache(maxsize=2)
def _environment(is_markup: bool) -> Environment:
    return _Environment(autoescape=is_markup, loader=DictLoader({}))


def _failed(field: str, error: LiquidError) -> RenderFailed:
    where = error.context()
    return RenderFailed(field, where[0] if where is not None else None, str(error.message or type(error).__name__))


def _line_of(source: str, message: str) -> int | None:
    """The line of a fault that is told without a place: from which on every beginning of the source has it."""
    lines = source.split("\n")
    for count in range(len(lines) - 1, max(0, len(lines) - _LINES_TRIED), -1):
        try:
            _environment(is_markup=False).from_string("\n".join(lines[:count]))
        except LiquidError as error:
            if str(error.message) == message:
                continue
        return count + 1
    return 1 if len(lines) <= _LINES_TRIED else None


def _bounded(name: str, apply: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, which refuses what would make more of its input than a mail may have."""

    takes_context = hasattr(apply, "with_context")

    @with_context
    @wraps(apply)
    def bounded(value: Any, *args: Any, context: RenderContext, **options: Any) -> Any:
        _count_work(context, _CALL + _work(name, value, args))
        if takes_context:
            options["context"] = context
        for each in (value, *args):
            if isinstance(each, range) and len(each) > _RANGE_MAX:
                raise FilterValueError(f"a range has at most {_RANGE_MAX:,} numbers", token=None)
        if _made(name, value, args) > _OUTPUT_MAX:
            raise FilterValueError(f"{name} would make too much", token=None)
        return apply(value, *args, **options)

    return bounded


def _count_work(context: RenderContext, more: int) -> None:
    work = context.tag_namespace.setdefault("work", 0) + more
    context.tag_namespace["work"] = work
    if work > _WORK_MAX:
        raise FilterValueError("it has too much to do", token=None)


def _work(name: str, value: Any, args: tuple[Any, ...]) -> int:
    work = sum(_size(each) for each in (value, *args))
    # The library compares each item with all that it has kept so far.
    return work + len(value) ** 2 // _ITEM if name == "uniq" and isinstance(value, list | tuple) else work


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    return len(value) * _ITEM if isinstance(value, list | tuple | range | dict) else 0


def _made(name: str, value: Any, args: tuple[Any, ...]) -> int:
    """At most how many characters, or digits, the filter makes."""
    texts = [each for each in (value, *args) if isinstance(each, str)]
    size = sum(len(each) for each in texts)
    if name == "replace" and len(args) > 1:
        return size + (str(value).count(str(args[0])) if str(args[0]) else len(str(value)) + 1) * len(str(args[1]))
    if name == "join" and isinstance(value, list | tuple | range):
        return sum(len(str(each)) for each in value) + len(value) * len(str(args[0]) if args else " ")
    if name in ("times", "plus", "minus") and any(isinstance(each, int) for each in (value, *args)):
        return sum(each.bit_length() for each in (value, *args) if isinstance(each, int)) * 100
    if name in ("concat", "split"):
        return size + sum(len(each) for each in (value, *args) if isinstance(each, list | tuple)) * 10
    return size


@with_context
def _date(value: Any, form: str = "%Y-%m-%d", *, context: RenderContext) -> str:
    """A moment by `strftime`, in UTC. `now` and `today` are the moment of the mail."""
    if value is None or is_undefined(value) or len(str(form)) > _FORMAT_MAX:
        return ""
    moment = _moment(value, context)
    if moment is None:
        return str(value)
    try:
        return datetime.fromtimestamp(moment // clock.SECOND, UTC).strftime(str(form))
    except (OSError, OverflowError, ValueError):
        return str(value)


def _moment(value: Any, context: RenderContext) -> int | None:
    if value in ("now", "today"):
        return int(str(context.globals.get("now", 0)))
    if isinstance(value, int) and not isinstance(value, bool):
        return value * clock.SECOND
    try:
        return clock.parse_instant(str(value))
    except ValueError:
        return None
