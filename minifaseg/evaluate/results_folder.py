"""The results of a run, kept picture by picture, so that a killed run goes on where it was.

A folder of results holds settings.json and one file of lines per process, part-0.jsonl, ...: one
line per picture with its origin and the sparse confusion matrix of every row. A line is appended in
one write; half a line, left by a kill, is cut off at the next start. A line is used again only if
its origin (origin.py) is what it would be today; a picture may have older lines, which nothing
reads.
"""
import errno
import json
import os
from pathlib import Path

import numpy as np

from ..errors import InputError, OutputError
from ..writing import write_text


class Results:
    """The lines of one folder; out=None keeps nothing on disk.

    lines: (picture id, origin) -> {row: [[true, predicted, count], ...]}. Raises InputError for a
    folder with results of other settings, and OutputError if it cannot be written.
    """

    def __init__(self, out: str | Path | None, settings: dict, rank: int = 0) -> None:
        self.lines: dict[tuple, dict[str, list]] = {}
        self.file: int | None = None
        if out is None:
            return
        folder = Path(out)
        self.path = folder / f"part-{rank}.jsonl"
        self._keep_settings(folder, settings, rank)
        for path in sorted(folder.glob("part-*.jsonl")):
            self._read(path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as e:
            raise OutputError(f"{self.path}: cannot be written ({e.strerror}); "
                              "choose another --out") from None

    def _keep_settings(self, folder: Path, settings: dict, rank: int) -> None:
        head = folder / "settings.json"
        text = json.dumps(settings, indent=1)
        if head.exists() and parsed(head.read_bytes()) != json.loads(text):
            raise InputError(f"{folder}: holds results of other settings (see settings.json "
                             "there); give another --out, or delete it")
        if rank == 0:               # the others find it, or a folder that nobody has used
            write_text(head, text)

    def _read(self, path: Path) -> None:
        text = path.read_bytes()
        whole = text[:text.rfind(b"\n") + 1]
        if path == self.path and whole != text:
            os.truncate(path, len(whole))
        for line in map(parsed, whole.splitlines()):
            if line and "rows" in line:
                self.lines[line.get("id"), line.get("origin")] = line["rows"]

    @property
    def ids(self) -> set[str]:
        """Pictures that have a line, of whatever origin."""
        return {id for id, _ in self.lines}

    def add(self, id: str, origin: str | None, matrices: dict[str, np.ndarray]) -> None:
        """Keeps the (n, n + 1) matrices of one picture; raises OutputError if there is no room."""
        rows = {title: sparse(matrix) for title, matrix in matrices.items()}
        self.lines[id, origin] = rows
        if self.file is None:
            return
        line = json.dumps({"id": id, "origin": origin, "rows": rows}).encode() + b"\n"
        before = os.fstat(self.file).st_size
        try:
            if os.write(self.file, line) < len(line):
                raise OSError(errno.ENOSPC, "no room for a whole line")
        except OSError as e:
            os.ftruncate(self.file, before)
            raise OutputError(f"{self.path}: cannot be written ({e.strerror}); make room, the same "
                              "command then goes on where it was") from None


def parsed(text: bytes) -> dict | None:
    """The JSON object in a line or a file; None for anything else, as a lost machine leaves it."""
    try:
        content = json.loads(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def sparse(matrix: np.ndarray) -> list[list[int]]:
    """(n, n + 1) -> [[true, predicted, count], ...] of the counts that are not 0."""
    true, predicted = np.nonzero(matrix)
    return np.stack([true, predicted, matrix[true, predicted]], axis=1).tolist()


def dense(entries: list[list[int]], n: int) -> np.ndarray:
    """[[true, predicted, count], ...] -> (n, n + 1)."""
    matrix = np.zeros((n, n + 1), np.int64)
    for true, predicted, count in entries:
        matrix[true, predicted] = count
    return matrix
