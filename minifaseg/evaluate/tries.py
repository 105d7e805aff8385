"""What was measured on the tuning scenes, kept in a file, so that a stopped search goes on."""
import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..errors import OutputError
from ..model import Model
from ..origin import code_digest, digest, weights_digest
from .candidates import Captions
from .results_folder import parsed
from .rows import Row


def origin(model: Model, seeds: Iterable[int], captions: Captions | None = None) -> str:
    """A digest of what a try depends on beside its own hyperparameters.

    That is the code, the weights, the scenes and their captions. The hyperparameters that the
    weights' file recommends are not in it: they are what a search finds.
    """
    texts = [captions.origin(str(seed)) for seed in seeds] if captions else None
    return digest(code_digest(), weights_digest(replace(model, notes={})), str(seeds), texts)


class Tries:
    """The best mIoU of hyperparameters, and the threshold that gives it.

    A file holds one JSON object a line. Lines of another origin are left alone and not used.
    Without a path nothing is kept on disk.
    """

    def __init__(self, path: str | Path | None = None, origin: str | None = None) -> None:
        self.path = Path(path) if path else None
        self.origin = origin
        self.found: dict[str, tuple[float, float]] = {}     # Row.score_key -> (mIoU, threshold)
        if self.path and self.path.exists():
            for line in map(parsed, self.path.read_bytes().splitlines()):
                if line and line.get("origin") == origin:
                    key = json.dumps([line["method"], line["numbers"]], sort_keys=True)
                    self.found[key] = (line["miou"], line["threshold"])

    def get(self, row: Row) -> tuple[float, float] | None:
        """(mIoU, threshold), or None for hyperparameters that nobody tried."""
        return self.found.get(row.score_key)

    def add(self, row: Row, miou: float, threshold: float) -> None:
        """Keeps a result, in the file too. Raises OutputError if it cannot be written."""
        self.found[row.score_key] = (miou, threshold)
        if self.path:
            line = {"origin": self.origin, "method": row.name, "numbers": row.hyperparameters,
                    "miou": miou, "threshold": threshold}
            append(self.path, json.dumps(line))


def append(path: Path, line: str) -> None:
    """Adds a line in one write, so that processes that share the file do not mix.

    A line break comes first: it ends what a kill may have cut off. Empty lines mean nothing.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab", buffering=0) as file:
            file.write(f"\n{line}\n".encode())
            os.fsync(file.fileno())
    except OSError as e:
        raise OutputError(f"{path}: cannot be written ({e.strerror}); give another file") from None
