"""What was measured on the tuning scenes, kept in a file, so that a stopped search goes on."""
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

from ..errors import OutputError
from ..origin import code_digest, digest, weights_digest
from .run import parsed


def origin(model, seeds, captions=None):
    """What a try depends on beside its own numbers: code, weights, scenes and their captions, but
    not the numbers that the weights' file recommends, which are what a search finds."""
    told = [captions.origin(str(seed)) for seed in seeds] if captions else None
    return digest(code_digest(), weights_digest(replace(model, notes={})), str(seeds), told)


def key(row):
    """Of equal value for rows that differ in nothing but the threshold."""
    return json.dumps([row.method, numbers_of(row)], sort_keys=True)


def numbers_of(row):
    return {k: v for k, v in asdict(row.how).items() if k not in ("threshold", "certain")}


class Tries:
    """The best threshold of numbers, and what it gives. A file holds one JSON object a line; lines
    of another origin are left alone and not used. Without a path nothing is kept on disk."""

    def __init__(self, path=None, origin=None):
        self.path, self.origin, self.found = path and Path(path), origin, {}
        if self.path and self.path.exists():
            for line in map(parsed, self.path.read_bytes().splitlines()):
                if line and line.get("origin") == origin:
                    known = json.dumps([line["method"], line["numbers"]], sort_keys=True)
                    self.found[known] = (line["miou"], line["threshold"])

    def get(self, row):
        """(mIoU, threshold), or None for numbers that nobody tried."""
        return self.found.get(key(row))

    def add(self, row, miou, threshold):
        self.found[key(row)] = (miou, threshold)
        if self.path:
            line = {"origin": self.origin, "method": row.method, "numbers": numbers_of(row),
                    "miou": miou, "threshold": threshold}
            self.write(json.dumps(line))

    def write(self, line):
        """In one write, so that processes that share the file do not mix; a line break first ends
        what a kill may have cut off. Empty lines say nothing."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab", buffering=0) as file:
                file.write(f"\n{line}\n".encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as e:
            raise OutputError(f"{self.path}: cannot be written ({e.strerror}); give another "
                              "file") from None
