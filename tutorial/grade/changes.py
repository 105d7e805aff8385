"""One change of an exercise: of its text, and of how the hidden test calls the student's function.

The hidden tests (nb05.py) know the original exercise only. An adapter stands between them and the
student's function: it turns the arguments of the original into those of the variant, and what
comes back into what the original would have returned.
"""
import ast
import copy
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch


@dataclass(frozen=True)
class Change:
    """What is different. An exercise may have several changes at once.

    text: strings of the exercise's cells, each of which must occur, and what stands there instead;
    order: names of the function's arguments in another order;
    before(arguments by name) gives those of the variant; after(result, arguments of the original)
    gives the original's result;
    says: words of the hidden test's messages that would not be true, and the true ones.
    """
    text: dict[str, str] = field(default_factory=dict)
    order: str = ""
    before: Callable | None = None
    after: Callable | None = None
    says: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Variable:
    """An exercise that can be changed: its function, the names of the arguments, and the changes.

    From each list of `changes`, one is taken, or none of it.
    """
    name: str
    arguments: str
    changes: tuple[list[Change], ...]

    def alternatives(self) -> list[list[Change]]:
        """All ways to change the exercise; the original is not among them."""
        ways: list[list[Change]] = [[]]
        for choices in self.changes:
            more = [[*way, change] for way in ways for change in choices]
            ways = ways + more
        return ways[1:]


# Between the hidden test and the student's function


def adapted(call: Callable, variable: Variable, changes: list[Change]) -> Callable:
    """The student's function, to be called as the original is."""
    def as_original(*args, **named):
        given = dict(zip(variable.arguments.split(), args)) | named
        theirs, names = dict(given), list(given)
        for change in changes:
            if change.before:
                theirs = change.before(theirs)
            if change.order:
                names = [name for name in change.order.split() if name in given]
        made = [value for name, value in theirs.items() if value is not given[name]]
        kept = [copy.deepcopy(value) for value in made]
        got = call(*[theirs[name] for name in names])
        assert all(map(same, made, kept)), \
            "your function changes its inputs; make new ones instead"
        for change in reversed(changes):
            if change.after:
                got = change.after(got, given)
        return got
    return as_original


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    return callable(a) or a == b


def reworded(message: str, changes: list[Change]) -> str:
    """A message of the hidden test, as it is true for the variant."""
    for change in changes:
        message = replaced(message, change.says, whole=True)
    return message


# The text


def replaced(text: str, words: dict[str, str], whole: bool = False) -> str:
    """All at once, so that words can be exchanged. Any white space is as good as another.

    whole: not inside of a longer word or number.
    """
    if not words:
        return text
    found = "|".join(pattern(old, whole) for old in sorted(words, key=len, reverse=True))
    by_words = {" ".join(old.split()): new for old, new in words.items()}
    return re.sub(found, lambda match: by_words[" ".join(match[0].split())], text)


def pattern(words: str, whole: bool = False) -> str:
    found = r"\s+".join(map(re.escape, words.split()))
    if whole and words[0].isalnum():
        found = r"(?<![\w.])" + found
    if whole and words[-1].isalnum():
        found += r"(?!\w)"
    return found


def reordered(code: str, variable: Variable, order: str) -> str:
    """The code with the arguments in another order, where the function is defined and called."""
    data, names = code.encode(), variable.arguments.split()
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def span(node):
        return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset

    edits = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef) and node.name == variable.name:
            given = dict(zip(names, node.args.args))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) == variable.name:
            given = dict(zip(names, node.args))
        else:
            continue
        here = [name for name in order.split() if name in given]
        edits += [(span(old), data[slice(*span(given[name]))])
                  for old, name in zip(given.values(), here)]
    for (start, end), new in sorted(edits, reverse=True):
        data = data[:start] + new + data[end:]
    return data.decode()
