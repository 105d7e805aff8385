"""Where results.py keeps what it measured, and how it is to measure."""

import json
from dataclasses import dataclass
from pathlib import Path

import made_from
from experiments import arguments, command

from minifaseg.evaluate.tune import BUDGET
from minifaseg.origin import code_digest, digest, file_digest
from minifaseg.writing import write_text

MADE, SECONDS = "made_from.json", "seconds.txt"  # in an experiment's folder


@dataclass(frozen=True)
class Setup:
    """Where everything is, and how it is run.

    tutorial: the folder of results.md; scenes: how many of each experiment (None: all); budget: of
    the search for a method's hyperparameters.
    """

    runs: Path
    tutorial: Path
    weights: Path
    device: str
    jobs: int
    scenes: int | None = None
    budget: int = BUDGET

    def arguments(self, name):
        """Those of an experiment's command, with results kept in the experiment's folder."""
        a = arguments(name)
        a.weights, a.device, a.dtype = str(self.weights), self.device, "float32"
        a.out = str(self.folder(name))
        a.seeds = a.seeds[: self.scenes]
        if a.thresholds:
            a.thresholds = a.thresholds[: self.scenes]
        if a.captions:
            a.captions = str(self.captions)
        return a

    def folder(self, name):
        return self.runs / f"{name}-{digest(command(name), self.scenes)[:8]}"

    @property
    def page(self):
        return self.tutorial / "results.md"

    @property
    def csv(self):
        return self.tutorial / "results.csv"

    @property
    def figures(self):
        return self.tutorial / "figures"

    @property
    def captions(self):
        return self.runs / "captions.json"

    def made(self, name):
        """What an experiment's table would be made from now."""
        here = digest(code_digest(), self.device, file_digest(self.captions))
        return made_from.of_experiment(name, self.weights) | {"here": here}

    def record(self, name):
        """What its table was made from; None where there is none.

        It is written last, so that the table is whole.
        """
        path = self.folder(name) / MADE
        return json.loads(path.read_text()) if path.exists() else None

    def finished(self, name):
        return self.record(name) == self.made(name)

    def seconds(self, name):
        """What an experiment took, all processes together, those of stopped runs too."""
        path = self.folder(name) / SECONDS
        made = digest(self.record(name))
        lines = path.read_text().splitlines() if path.exists() else ()
        return sum(float(line.split()[1]) for line in lines if line.startswith(made))


def save(path, content):
    write_text(path, json.dumps(content, indent=1) + "\n")
