"""Arguments of what users call: a wrong one is refused in plain words before anything is done.

@checked("memtools.select(estimates, memtools.top(3000))")
def select(scores: Estimates | Scores, criteria: Criterion | Sequence[Criterion]) -> Selection: ...

select("cifar100", top=3)     # ConfigError, instead of an AttributeError from somewhere within

The annotations are the contract. Arrays are not looked at: their functions know what they need.
"""

from __future__ import annotations

import collections.abc
import functools
import inspect
import math
import operator
import os
import reprlib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from memtools.errors import ConfigError

StrPath = str | os.PathLike[str]
"""The types of a path that a user gives."""

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_WORDS = {
    str: "text",
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    os.PathLike: "a path",
    collections.abc.Collection: "a list",
    types.NoneType: "None",
}
_SEQUENCE = collections.abc.Sequence


def checked(example: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that refuses arguments which the annotations exclude.

    Args:
        example: A right call, for the hint.

    Raises:
        ConfigError: When the function is called with an argument that it does not have, without one
            that it needs, or with a value of another type.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            _check(function, args, kwargs, example)
            return function(*args, **kwargs)

        return call

    return decorate


def checked_class(example: str) -> Callable[[type[T]], type[T]]:
    """Return a decorator like `checked`, for what makes an object of a class."""

    def decorate(kind: type[T]) -> type[T]:
        kind.__init__ = checked(example)(kind.__init__)  # type: ignore[method-assign]
        return kind

    return decorate


def as_list(value: T | Sequence[T], kind: type[T] | tuple[type[T], ...]) -> list[T]:
    """Return a list of one value of that kind, or of the values of a sequence."""
    return [value] if isinstance(value, kind) else list(typing.cast(Sequence[T], value))


def as_paths(value: StrPath | Sequence[StrPath]) -> list[Path]:
    """Return a list of paths: of one, or of several."""
    several = [value] if isinstance(value, (str, os.PathLike)) else value
    return [Path(each) for each in several]


def _check(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], example: str
) -> None:
    name, signature = _name_of(function), _signature(function)
    known = [each for each in signature.parameters if each not in ("self", "cls")]
    try:
        if unknown := [each for each in kwargs if each not in known]:
            raise TypeError(f"there is no argument {unknown[0]!r}")
        given = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        hint = f"for example {example}; its arguments are {', '.join(known)}"
        raise ConfigError(f"{name}: {error}", hint=hint) from None
    for argument, value in given.items():
        expected = _annotations(function).get(argument, Any)
        if not _fits(value, expected):
            raise ConfigError(
                f"{name}: {argument} is {_describe(value)}, not {_in_words(expected)}",
                hint=_advise(value, expected) or f"for example {example}",
            )


def _name_of(function: Callable[..., Any]) -> str:
    """Return the name of a function; for the making of an object that of its class."""
    class_, _, name = function.__qualname__.rpartition(".")
    return class_ if name == "__init__" else name


@functools.cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


@functools.cache
def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    return typing.get_type_hints(function)


def _fits(value: Any, expected: Any) -> bool:
    """Return whether a value is of an annotated type."""
    origin = typing.get_origin(expected)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in typing.get_args(expected))
    if origin is typing.Literal:
        return value in typing.get_args(expected)
    if origin is _SEQUENCE:
        [element] = typing.get_args(expected)
        is_list = isinstance(value, collections.abc.Sequence) and not isinstance(value, str | bytes)
        return is_list and all(_fits(each, element) for each in value)
    kind = origin or expected
    if kind is Any or not isinstance(kind, type) or kind.__name__ == "ndarray":
        return True
    if kind is bool:
        return _is_truth(value)
    if kind is int:
        return _is_whole(value)
    if kind is float:
        return _is_number(value)
    return isinstance(value, kind)


def _is_truth(value: Any) -> bool:
    return type(value).__name__ in ("bool", "bool_")  # Python's and NumPy's


def _is_whole(value: Any) -> bool:
    try:
        operator.index(value)
    except TypeError:
        return False
    return not _is_truth(value)


def _is_number(value: Any) -> bool:
    if isinstance(value, str | bytes) or _is_truth(value):
        return False
    try:
        return not math.isnan(value)  # every comparison with NaN is false, so it would pass as any
    except (TypeError, ValueError, OverflowError):
        return False


def _describe(value: Any) -> str:
    if value is None or isinstance(value, str | bytes | int | float | Path):
        return reprlib.repr(value)
    if isinstance(value, type) or callable(value):
        return f"the {type(value).__name__} {getattr(value, '__name__', '')}".rstrip()
    if isinstance(value, list | tuple | set | dict):
        return f"a {type(value).__name__} of {len(value)}"
    return f"of type {type(value).__name__}"


def _in_words(expected: Any) -> str:
    """Return what an annotation allows, in words."""
    kinds = [each for each in _flatten(expected) if each is not types.NoneType]
    words = [_name(each) for each in kinds if typing.get_origin(each) is not _SEQUENCE]
    for each in kinds:
        if typing.get_origin(each) is _SEQUENCE:
            elements = _in_words(typing.get_args(each)[0])
            same = elements == " or ".join(words)
            words.append("a list of these" if same else f"a list of {elements}")
    return " or ".join(words) or "None"


def _flatten(expected: Any) -> list[Any]:
    if typing.get_origin(expected) in (typing.Union, types.UnionType):
        return [kind for each in typing.get_args(expected) for kind in _flatten(each)]
    return [expected]


def _name(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(map(repr, typing.get_args(kind)))
    kind = typing.get_origin(kind) or kind
    return _WORDS.get(kind, getattr(kind, "__name__", str(kind)))


def _advise(value: Any, expected: Any) -> str:
    """Return how numbers are made of a name, a path or an array; empty for any other mistake."""
    if "Scores" not in {getattr(each, "__name__", "") for each in _flatten(expected)}:
        return ""
    if isinstance(value, str | os.PathLike):
        return f"memtools.load({os.fspath(value)!r}) reads the numbers of a name or a file"
    if hasattr(value, "shape") or (isinstance(value, list | tuple) and all(map(_is_number, value))):
        return (
            'save your numbers, np.save("scores.npy", values), then memtools.load("scores.npy",'
            ' dataset=..., order=..., direction="atypical")'
        )
    return ""
