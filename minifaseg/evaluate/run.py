"""Every row on every picture: captures shared, results kept picture by picture, so that a killed run goes on where it was.

A folder of results holds settings.json and one file of lines per process, part-0.jsonl, ...: one
line per picture with its origin and the sparse confusion matrix of every row. A line is appended in
one write; half a line, left by a kill, is cut off at the next start. A line is used again only if
its origin (origin.py) is what it would be today; a picture may have older lines, which nothing
reads.
"""
import errno
import json
import os
import re
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from .. import finite_scores
from ..errors import InputError, OutputError, WeightsError
from ..images import mask_image, write_png
from ..labelling import labels_of
from ..origin import Origins, is_sealed, write_sealed
from ..writing import write
from .bootstrap import counts
from .metrics import confusion, match, summary


class Shard:
    """This process's place among those that torchrun started: rank of world; alone otherwise. `total` sums over all of them."""

    def __init__(self, device="cpu"):
        self.world, self.rank = (int(os.environ.get(name, default)) for name, default in (("WORLD_SIZE", 1), ("RANK", 0)))
        if self.world > 1 and not torch.distributed.is_initialized():
            torch.distributed.init_process_group("nccl" if torch.device(device).type == "cuda" else "gloo")
        self.device = device if self.world > 1 and torch.distributed.get_backend() == "nccl" else "cpu"

    def total(self, array):
        if self.world == 1:
            return array
        sum = torch.from_numpy(array).to(self.device)
        torch.distributed.all_reduce(sum)
        return sum.cpu().numpy()

    def close(self):
        if self.world > 1:
            torch.distributed.destroy_process_group()


class Part:
    """A part of the pictures by hand: every world-th from the rank-th on. Nothing is summed over
    others."""

    def __init__(self, rank, world):
        self.rank, self.world = rank, world

    def total(self, array):
        return array

    def close(self):
        pass


class Results:
    """The lines of one folder; out=None keeps nothing on disk."""

    def __init__(self, out, settings, rank=0):
        self.lines = {}          # (id, origin) -> {row: [[true, predicted, count], ...]}
        self.file = None
        if out is None:
            return
        out = Path(out)
        head = out / "settings.json"
        if head.exists() and parsed(head.read_bytes()) != json.loads(json.dumps(settings)):
            raise InputError(f"{out}: holds results of other settings (see settings.json there); give another --out, or delete it")
        if not rank:                                                        # the others find it, or a folder that nobody has used
            write(head, lambda file: file.write(json.dumps(settings, indent=1).encode()))
        self.path = out / f"part-{rank}.jsonl"
        for path in sorted(out.glob("part-*.jsonl")):
            text = path.read_bytes()
            whole = text[:text.rfind(b"\n") + 1]
            if path == self.path and whole != text:
                os.truncate(path, len(whole))
            for entry in map(parsed, whole.splitlines()):
                if entry and "rows" in entry:
                    self.lines[entry.get("id"), entry.get("origin")] = entry["rows"]
        try:
            out.mkdir(parents=True, exist_ok=True)
            self.file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as e:
            raise OutputError(f"{self.path}: cannot be written ({e.strerror}); choose another --out") from None

    @property
    def ids(self):
        return {id for id, _ in self.lines}

    def add(self, id, origin, matrices):
        rows = {name: [[int(i), int(j), int(m[i, j])] for i, j in zip(*np.nonzero(m))] for name, m in matrices.items()}
        self.lines[id, origin] = rows
        if self.file is None:
            return
        line = (json.dumps({"id": id, "origin": origin, "rows": rows}) + "\n").encode()
        before = os.fstat(self.file).st_size
        try:
            if os.write(self.file, line) < len(line):
                raise OSError(errno.ENOSPC, "no room for a whole line")
        except OSError as e:
            os.ftruncate(self.file, before)
            raise OutputError(f"{self.path}: cannot be written ({e.strerror}); make room, the same command then goes on where it was") from None


def parsed(text):
    """The JSON object in a line or a file; None for anything else, as a lost machine leaves it."""
    try:
        content = json.loads(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


class Work:
    """What is done for one picture, and what of it was done before."""

    def __init__(self, rows, dataset, model, candidates, captions, results, unsupervised,
                 save_masks):
        self.rows, self.dataset, self.model = rows, dataset, model
        self.candidates, self.captions, self.unsupervised = candidates, captions, unsupervised
        self.results, self.save_masks = results, save_masks
        numbers = {row.name: [row.method, asdict(row.how)] for row in rows}
        about = [dataset.name, dataset.classes, dataset.background, unsupervised, numbers]
        self.origins = Origins(model, *about) if results.file is not None else None

    def origin(self, id):
        """Of a picture's result: its own content and truth, the run's numbers and weights, what is
        told of it. None if nothing is kept."""
        content = self.origins and self.dataset.content(id)
        if not content:
            return None
        classes = None if self.unsupervised else self.candidates.origin(id)
        return self.origins.made_of(content, classes, self.captions and self.captions.origin(id))

    def mask(self, row, id):
        return Path(self.save_masks) / re.sub(r"[^\w.=-]+", "_", row.name) / f"{id}.png"

    def finished(self, id, origin):
        """Is there a line of this origin, and every mask that is asked for?"""
        if origin is None or (id, origin) not in self.results.lines:
            return False
        rows = self.rows if self.save_masks else ()
        return all(is_sealed(self.mask(row, id), origin, row.name) for row in rows)

    def do(self, id):
        """The origin under which the picture's matrices stand in the results now."""
        origin = self.origin(id)                         # before the files are read
        matrices, labels = score(self.rows, self.dataset, self.model, self.candidates,
                                 self.captions, id, self.unsupervised)
        if self.save_masks:
            for row in self.rows:
                save_mask(self.mask(row, id), labels[row.name], origin, row.name)
        self.results.add(id, origin, matrices)
        return origin


def save_mask(path, labels, origin, name):
    if origin is None:
        write_png(path, mask_image(labels))
    else:
        write_sealed(path, mask_image(labels), origin, name)


def done_before(work, mine, shard, total):
    """{picture id: origin} of this process's pictures that need not be done again; one line of what
    is, over all processes."""
    done, known = {}, work.results.ids
    stale = 0
    for id in (id for id in mine if id in known):
        origin = work.origin(id)
        if work.finished(id, origin):
            done[id] = origin
        else:
            stale += 1
    reused, stale = shard.total(np.array([len(done), stale]))
    if reused and not shard.rank:
        print(f"{reused} of {total} pictures were done before, with the same data, lists, weights "
              "and numbers: reused", file=sys.stderr)
    if stale and not shard.rank:
        print(f"{stale} of {total} pictures were done before with other data, lists, weights, "
              "numbers or code, or lack a mask: computed anew", file=sys.stderr)
    return done


class Failures:
    """Pictures that are left out, each in a line. While none has succeeded the lines wait: what is
    wrong with all is said once."""
    PATIENCE = 10                                                           # pictures

    def __init__(self, tell):
        self.tell, self.waiting, self.count, self.some_succeeded = tell, [], 0, False

    def add(self, id, error):
        self.count += 1
        self.waiting.append(f"{id}: {error}")
        if self.some_succeeded:
            self.say()
        elif self.count == self.PATIENCE:
            raise InputError(f"none of the first {self.count} pictures can be used, so no other is "
                             f"tried; the first, {self.waiting[0]}")

    def success(self):
        self.some_succeeded = True
        self.say()

    def say(self):
        for line in self.waiting:
            self.tell(f"{line} (left out)")
        self.waiting.clear()


def evaluate(*arguments, **options):
    """(matrices {row name: (n, n + 1)}, number of pictures left out); see `measure`."""
    totals, _, failed = measure(*arguments, **options)
    return totals, failed


def measure(rows, dataset, model, candidates, captions=None, *, out=None, settings=None,
            unsupervised=False, save_masks=None, progress=True, shard=None):
    """(matrices {row name: (n, n + 1)}, counts of each picture {row name: (S, 3, n)}, number of
    pictures left out) over all S pictures, summed over all processes.

    A picture that cannot be read, captioned or segmented is reported on stderr and left out for
    every row alike; its counts are 0. Raises InputError when that is so of all, at the latest after
    ten. shard: this process's place, if torchrun does not say it.
    """
    shard, n = shard or Shard(model.device), len(dataset.classes) + 1
    results = Results(out, settings or {}, shard.rank)
    work = Work(rows, dataset, model, candidates, captions, results, unsupervised, save_masks)
    place = {id: i for i, id in enumerate(dataset.ids) if i % shard.world == shard.rank}
    mine = list(place)
    done = done_before(work, mine, shard, len(dataset.ids))
    totals = {row.name: np.zeros((n, n + 1), np.int64) for row in rows}
    each = {row.name: np.zeros((len(dataset.ids), 3, n), np.int64) for row in rows}
    with tqdm(total=len(mine), disable=not progress or shard.rank > 0, unit="picture") as bar:
        failures = Failures(lambda line: tqdm.write(line, file=bar.fp))
        for id in mine:
            try:
                origin = done[id] if id in done else work.do(id)
            except (OutputError, WeightsError):
                raise
            except InputError as e:
                failures.add(id, e)
            else:
                failures.success()
                for name, entries in results.lines[id, origin].items():
                    matrix = dense(entries, n)
                    totals[name] += matrix
                    each[name][place[id]] = counts(matrix)
            bar.update()
            bar.set_postfix_str(f"mIoU {summary(totals[rows[0].name], dataset)['miou']:.3f}")
        failed = int(shard.total(np.array([failures.count]))[0])
        if failed == len(dataset.ids) and failures.waiting:
            first = failures.waiting[0]
            raise InputError(f"none of the {failed} pictures can be used; the first, {first}")
        failures.say()
    totals = {name: shard.total(m) for name, m in totals.items()}
    each = {name: shard.total(c) for name, c in each.items()}
    shard.close()
    return totals, each, failed


def dense(entries, n):
    """[[true, predicted, count], ...] -> (n, n + 1)."""
    matrix = np.zeros((n, n + 1), np.int64)
    for i, j, count in entries:
        matrix[i, j] = count
    return matrix


def score(rows, dataset, model, candidates, captions, id, unsupervised=False):
    """({row name: (n, n + 1) confusion matrix}, {row name: (H, W) labels}) of one picture."""
    image, truth = dataset.read(id)
    classes = () if unsupervised else candidates(id, image, truth)
    own = np.array([0, *(dataset.classes.index(c) + 1 for c in classes)], np.uint8)
    captured, scored, matrices, maps, n = {}, {}, {}, {}, len(dataset.classes) + 1
    for row in rows:
        if not classes and not unsupervised:
            labels = np.zeros_like(truth)                                   # nothing to look for
        else:
            if row.look not in captured:
                caption = captions and captions.told(row.how, id, image, classes)
                captured[row.look] = row.how.capture(model, image, classes, caption)
            if row.numbers not in scored:
                scored[row.numbers] = finite_scores(row.how, model, captured[row.look])
            labels = labels_of(row.how, captured[row.look], scored[row.numbers])
            labels = match(truth, labels, n) if unsupervised else np.where(labels == 255, 255, own[np.minimum(labels, len(classes))])
        matrices[row.name], maps[row.name] = confusion(truth, labels, n), labels
    return matrices, maps
