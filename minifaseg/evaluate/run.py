"""Every row on every picture: captures shared, results kept picture by picture, so that a killed run goes on where it was.

A folder of results holds settings.json and one file of lines per process, part-0.jsonl, ...: one line per picture with the sparse
confusion matrix of every row. A line is appended in one write; half a line, left by a kill, is cut off at the next start.
"""
import errno
import json
import os
import re
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from .. import finite_scores, label
from ..errors import InputError, OutputError, WeightsError
from ..images import mask_image, write, write_png
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


class Results:
    """The lines of one folder; out=None keeps nothing on disk."""

    def __init__(self, out, settings, rank=0):
        self.lines, self.file = {}, None                                    # picture id -> {row: [[true, predicted, count], ...]}
        if out is None:
            return
        out = Path(out)
        head = out / "settings.json"
        if head.exists() and json.loads(head.read_text()) != json.loads(json.dumps(settings)):
            raise InputError(f"{out}: holds results of other settings (see settings.json there); give another --out, or delete it")
        if not rank:                                                        # the others find it, or a folder that nobody has used
            write(head, lambda file: file.write(json.dumps(settings, indent=1).encode()))
        self.path = out / f"part-{rank}.jsonl"
        for path in sorted(out.glob("part-*.jsonl")):
            text = path.read_bytes()
            whole = text[:text.rfind(b"\n") + 1]
            if path == self.path and whole != text:
                os.truncate(path, len(whole))
            for line in whole.splitlines():
                entry = json.loads(line)
                self.lines[entry["id"]] = entry["rows"]
        try:
            out.mkdir(parents=True, exist_ok=True)
            self.file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as e:
            raise OutputError(f"{self.path}: cannot be written ({e.strerror}); choose another --out") from None

    def add(self, id, matrices):
        rows = {name: [[int(i), int(j), int(m[i, j])] for i, j in zip(*np.nonzero(m))] for name, m in matrices.items()}
        self.lines[id] = rows
        if self.file is None:
            return
        line, before = (json.dumps({"id": id, "rows": rows}) + "\n").encode(), os.fstat(self.file).st_size
        try:
            if os.write(self.file, line) < len(line):
                raise OSError(errno.ENOSPC, "no room for a whole line")
        except OSError as e:
            os.ftruncate(self.file, before)
            raise OutputError(f"{self.path}: cannot be written ({e.strerror}); make room, the same command then goes on where it was") from None


def evaluate(rows, dataset, model, candidates, captions=None, *, out=None, settings=None, unsupervised=False, save_masks=None,
             progress=True):
    """(matrices {row name: (n, n + 1)}, number of pictures left out) over all pictures, summed over all processes.

    A picture that cannot be read, captioned or segmented is reported on stderr and left out for every row alike.
    """
    shard, n = Shard(model.device), len(dataset.classes) + 1
    results = Results(out, settings or {}, shard.rank)
    mine = [id for i, id in enumerate(dataset.ids) if i % shard.world == shard.rank]
    totals, failed = {row.name: np.zeros((n, n + 1), np.int64) for row in rows}, 0
    with tqdm(total=len(mine), disable=not progress or shard.rank > 0, unit="picture") as bar:
        for id in mine:
            if id not in results.lines:
                try:
                    results.add(id, score(rows, dataset, model, candidates, captions, id, unsupervised, save_masks))
                except (OutputError, WeightsError):
                    raise
                except InputError as e:
                    failed += 1
                    tqdm.write(f"{id}: {e} (left out)", file=bar.fp)
            for name, entries in results.lines.get(id, {}).items():
                for i, j, count in entries:
                    totals[name][i, j] += count
            bar.update()
            bar.set_postfix_str(f"mIoU {summary(totals[rows[0].name], dataset)['miou']:.3f}")
    failed = int(shard.total(np.array([failed]))[0])
    totals = {name: shard.total(m) for name, m in totals.items()}
    shard.close()
    return totals, failed


def score(rows, dataset, model, candidates, captions, id, unsupervised=False, save_masks=None):
    """{row name: (n, n + 1) confusion matrix} of one picture."""
    image, truth = dataset.read(id)
    classes = () if unsupervised else candidates(id, image, truth)
    own = np.array([0, *(dataset.classes.index(c) + 1 for c in classes)], np.uint8)
    captured, scored, matrices, n = {}, {}, {}, len(dataset.classes) + 1
    for row in rows:
        if not classes and not unsupervised:
            labels = np.zeros_like(truth)                                   # nothing to look for
        else:
            if row.look not in captured:
                caption = captions and (captions.continuations(id, image, classes, row.how.template)
                                        if getattr(row.how, "CONTINUES", False) else captions(id, image))
                captured[row.look] = row.how.capture(model, image, classes, caption)
            if row.numbers not in scored:
                scored[row.numbers] = finite_scores(row.how, model, captured[row.look])
            labels = label(scored[row.numbers], image.size, row.how.threshold, getattr(row.how, "certain", None))
            labels = match(truth, labels, n) if unsupervised else np.where(labels == 255, 255, own[np.minimum(labels, len(classes))])
        matrices[row.name] = confusion(truth, labels, n)
        if save_masks:
            write_png(Path(save_masks) / re.sub(r"[^\w.=-]+", "_", row.name) / f"{id}.png", mask_image(labels))
    return matrices
