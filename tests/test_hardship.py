"""Killed, out of disk, out of memory, nowhere to write: what is there is whole, what is said is one line, and the next run ends the work."""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minifaseg
from minifaseg.__main__ import main as segment
from minifaseg.cartoon.painter import paint
from minifaseg.cartoon.words import CLASSES as ALL_CLASSES
from minifaseg.cartoon.words import COLOURS
from minifaseg.errors import OutputError
from minifaseg.evaluate.command import main as evaluate
from minifaseg.evaluate.results_folder import Results

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals, limits and mounts")
ENV = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(minifaseg.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}
CLASSES = ["cow", "wall", "floor"]
BENCH = ["cartoon", "--weights", "cartoon", "--seeds", "1000:1006", "--method", "faseg,faseg:tau=0"]

KILLER = """
import json, os, random, shutil, signal, sys, time
from pathlib import Path
import minifaseg
from minifaseg.__main__ import main
from minifaseg.evaluate.command import parser, run

command, folder, kills = json.loads(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
model = minifaseg.load("cartoon", device="cpu")
minifaseg.load = lambda *a, **k: model                  # a fork has it already: kills fall into the work, not into three seconds of imports
work = {"folder": main, "bench": lambda a: run(parser().parse_args(a))}[command[0]]

def start(out):
    child = os.fork()
    if not child:
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        os._exit(work([argument.format(out=out) for argument in command[1:]]))
    return child

contents = lambda out: {str(p.relative_to(out)): p.read_bytes() for p in Path(out).rglob("*") if p.is_file()}
began = time.perf_counter()
assert os.waitpid(start(folder / "whole"), 0)[1] == 0
seconds, whole, chance, ends = time.perf_counter() - began, contents(folder / "whole"), random.Random(0), []
killed = True
while kills or killed:                                  # after the last kill one start more, even if that kill came before any file
    child = start(out := folder / f"killed-{len(ends)}")
    if kills:
        time.sleep(chance.random() * seconds / 2)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    killed = os.WIFSIGNALED(status)
    if killed:
        kills -= 1
    else:
        assert status == 0
        ends.append(contents(out) == whole)
print(json.dumps({"ends": ends, "files": sorted(whole)}))
"""


@pytest.mark.parametrize("what, kills", [
    pytest.param("folder", 50, marks=pytest.mark.slow),        # in every run one kill: test_evaluate's killed run
    pytest.param("bench", 50, marks=pytest.mark.slow)])
def test_killed_at_random_moments(tmp_path, what, kills):
    """SIGKILL, the same command again, SIGKILL, ...: in the end every byte is that of an undisturbed run, and no other file is left."""
    (tmp_path / "photos").mkdir()
    for i in range(4):
        paint(i, 128).image.resize((900, 700)).save(tmp_path / f"photos/{i}.png")           # half of the time goes into writing
    command = {"folder": [str(tmp_path / "photos"), *CLASSES, "--scores", "--resume", "-o", "{out}"],
               "bench": [*BENCH, "--out", "{out}", "--save-masks", "{out}/masks"]}[what]
    arguments = [json.dumps([what, *command]), tmp_path, str(kills)]
    job = subprocess.run([sys.executable, "-c", KILLER, *arguments], text=True, capture_output=True,
                         env=ENV | {"OMP_NUM_THREADS": "1"})
    assert job.returncode == 0, job.stderr
    found = json.loads(job.stdout)
    assert len(found["files"]) == {"folder": 4 * 3, "bench": 6 * 2 + 6}[what] and found["ends"] and all(found["ends"])


# Several at once

CROWD = """
import json, multiprocessing, os, sys
import minifaseg
from minifaseg.__main__ import main

model, segment_many = minifaseg.load("cartoon", device="cpu"), minifaseg.segment_many
minifaseg.load = lambda *a, **k: model

def together(*arguments, **options):  # all begin to write each picture at the same moment
    results = segment_many(*arguments, **options)
    barrier.wait()
    return results
minifaseg.segment_many = together

for folder, processes in (("alone", 1), ("crowd", 3)):
    barrier, children = multiprocessing.Barrier(processes), []
    for _ in range(processes):
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os._exit(main([*json.loads(sys.argv[1]), folder]))
        children.append(child)
    print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


@pytest.mark.slow
def test_processes_that_write_the_same_folder_at_once(tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(2):
        paint(i, 128).image.resize((400, 300)).save(tmp_path / f"photos/{i}.png")
    command = [str(tmp_path / "photos"), *CLASSES, "--scores", "--force", "-o"]
    job = subprocess.run([sys.executable, "-c", CROWD, json.dumps(command)], text=True,
                         capture_output=True, env=ENV | {"OMP_NUM_THREADS": "1"}, cwd=tmp_path)
    assert job.stdout.splitlines() == ["[0]", "[0, 0, 0]"], job.stderr
    alone = {path.name: path.read_bytes() for path in (tmp_path / "alone").iterdir()}
    crowd = {path.name: path.read_bytes() for path in (tmp_path / "crowd").iterdir()}
    assert len(alone) == 2 * 3 and alone == crowd


WRITER = """
import sys
from minifaseg.writing import write

def save(file):
    file.write(b"all of ")
    file.flush()
    print("begun", flush=True)
    sys.stdin.readline()
    file.write(sys.argv[2].encode())
write(sys.argv[1], save)
"""


@pytest.fixture
def writer():
    """writer(path, text) starts a process that writes "all of text" and stops half-way.

    finish(writer) lets it go on.
    """
    started = []

    def start(path, text):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        command = [sys.executable, "-c", WRITER, str(path), text]
        started.append(subprocess.Popen(command, text=True, env=ENV, **pipes))
        assert started[-1].stdout.readline() == "begun\n"
        return started[-1]
    yield start
    for job in started:
        job.kill()
        job.communicate()


def finish(job):
    _, err = job.communicate("\n", timeout=60)
    assert job.returncode == 0, err


def test_the_last_writer_wins(tmp_path, writer):
    path = tmp_path / "x.png"
    first, second = writer(path, "first"), writer(path, "second")
    finish(second)
    assert path.read_text() == "all of second"
    finish(first)
    assert path.read_text() == "all of first" and os.listdir(tmp_path) == ["x.png"]


def test_leftovers_of_the_killed_go_and_files_of_the_living_stay(tmp_path, writer):
    living = writer(tmp_path / "living.png", "living")
    for i in range(3):  # killed while they write other files, one of which nobody writes again
        killed = writer(tmp_path / f"{i % 2}.png", "killed")
        killed.kill()
        killed.wait()
    assert len(os.listdir(tmp_path)) == 2  # the living one's and the last killed one's
    finish(writer(tmp_path / "0.png", "next"))
    assert len(os.listdir(tmp_path)) == 2 and (tmp_path / "0.png").read_text() == "all of next"
    finish(living)
    assert sorted(os.listdir(tmp_path)) == ["0.png", "living.png"]
    assert (tmp_path / "living.png").read_text() == "all of living"


# Nowhere to write

@pytest.fixture
def disk(tmp_path):
    """disk(size, *options) mounts a small file system, where the system allows that."""
    mounted = []

    def mount(size, *options):
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *options]), "tmpfs", folder], capture_output=True)
        if done.returncode:
            pytest.skip("needs the right to mount")
        mounted.append(folder)
        return folder
    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


def in_a_process(module, *arguments):
    """(exit code, lines on stderr)."""
    job = subprocess.run([sys.executable, "-m", module, *map(str, arguments)], text=True, capture_output=True, env=ENV)
    assert "Traceback" not in job.stderr, job.stderr
    return job.returncode, job.stderr.splitlines()


@pytest.fixture(params=["here", pytest.param("process", marks=pytest.mark.slow)])
def run(request, capfd):
    """run(module, *arguments) -> (exit code, lines on stderr): in this process or in another."""
    def here(module, *arguments):
        main = {"minifaseg": segment, "minifaseg.evaluate": evaluate}[module]
        capfd.readouterr()
        try:
            code = main([*map(str, arguments)])
        except SystemExit as e:
            code = e.code
        err = capfd.readouterr().err
        assert "Traceback" not in err, err
        return code, err.splitlines()
    return here if request.param == "here" else in_a_process


def test_disk_full(tmp_path, disk, run):
    (tmp_path / "photos").mkdir()
    for i in range(6):
        paint(i).image.save(tmp_path / f"photos/{i}.png")
    small = disk("200k")
    command = ["--weights", "cartoon", tmp_path / "photos", *CLASSES, "--scores"]
    code, lines = run("minifaseg", *command, "-o", small)
    there = sorted(small.iterdir())
    assert code == 1 and 0 < len(there) < 18 and not list(small.glob(".*"))
    assert any("cannot be written (No space left on device)" in line and "make room" in line for line in lines)
    for path in there:
        (np.load if path.suffix == ".npz" else Image.open)(path)
    assert run("minifaseg", *command, "-o", tmp_path / "large")[0] == 0
    for path in there:
        assert path.read_bytes() == (tmp_path / "large" / path.name).read_bytes()
    subprocess.run(["mount", "-o", "remount,size=2M", small], check=True)
    assert run("minifaseg", *command, "-o", small, "--resume")[0] == 0
    assert {p.name: p.read_bytes() for p in small.iterdir()} == {p.name: p.read_bytes() for p in (tmp_path / "large").iterdir()}


def test_results_on_a_full_disk(disk):
    """The lines that fitted are whole; with room, the next start adds the one that did not."""
    small = disk("8k")                                   # two pages: the settings, and the first line
    large = np.arange(900).reshape(30, 30)               # a line of 10 kB
    results = Results(small, {"method": "a"})
    results.add("1", "x", {"a": np.eye(3, dtype=np.int64)})
    with pytest.raises(OutputError, match=r"part-0.jsonl: cannot be written \(.*make room"):
        results.add("2", "x", {"a": large})
    os.close(results.file)
    lines = (small / "part-0.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["1"]
    subprocess.run(["mount", "-o", "remount,size=2M", small], check=True)
    results = Results(small, {"method": "a"})
    results.add("2", "x", {"a": large})
    os.close(results.file)
    lines = (small / "part-0.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["1", "2"]


@pytest.mark.slow
def test_disk_full_in_an_evaluation(tmp_path, disk):
    small = disk("8k")                                   # two pages: the settings, and some of the lines
    command = ["minifaseg.evaluate", *BENCH[:3], "--seeds", "1000:1030", "--out"]
    code, lines = in_a_process(*command, small)
    assert code == 1 and "part-0.jsonl: cannot be written" in lines[-1] and "make room" in lines[-1]
    whole = (small / "part-0.jsonl").read_text()
    assert whole.endswith("\n") and [json.loads(line)["id"] for line in whole.splitlines()][0] == "1000"
    subprocess.run(["mount", "-o", "remount,size=2M", small], check=True)
    assert in_a_process(*command, small)[0] == 0
    assert in_a_process(*command, tmp_path / "large")[0] == 0
    assert (small / "part-0.jsonl").read_text() == (tmp_path / "large/part-0.jsonl").read_text()


def test_read_only(tmp_path, disk, run):
    paint(1).image.save(tmp_path / "x.png")
    closed = disk("200k", "ro")
    code, lines = run("minifaseg", "--weights", "cartoon", tmp_path / "x.png", *CLASSES, "-o", closed / "deep")
    assert code == 1 and "cannot be written (Read-only file system)" in lines[-1]
    code, lines = run("minifaseg.evaluate", *BENCH, "--out", closed / "deep")
    assert code == 1 and "cannot be written (Read-only file system)" in lines[-1]
    code, lines = run("minifaseg.evaluate", *BENCH, "--json", closed / "x.json")
    assert code == 1 and "cannot be written (Read-only file system)" in lines[-1]


# Out of memory

MEMORY = """
import resource, sys
import minifaseg
from minifaseg.__main__ import main
model = minifaseg.load("cartoon", device="cpu")
minifaseg.load = lambda *a, **k: model
assert main([sys.argv[1], "cow", "wall", "-o", sys.argv[2], "--force"]) == 0
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[3]) * 2**20,) * 2)
sys.exit(main([sys.argv[1], "cow", "wall", "-o", sys.argv[2], "--batch", sys.argv[4], "--force"]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit on memory")
@pytest.mark.parametrize("pictures, mib", [(16, 190), (32, 400)])
def test_a_batch_too_large_for_the_memory_is_halved(tmp_path, pictures, mib):
    (tmp_path / "photos").mkdir()
    for i in range(pictures):
        paint(i % 4).image.save(tmp_path / f"photos/{i:02}.png")
    arguments = [tmp_path / "photos", tmp_path / "out", str(mib), str(pictures)]
    job = subprocess.run([sys.executable, "-c", MEMORY, *arguments], text=True, capture_output=True,
                         env=ENV | {"OMP_NUM_THREADS": "1"}, timeout=300)
    lines = [line for line in job.stderr.splitlines() if "weights:" not in line]
    assert job.returncode == 0 and "Traceback" not in job.stderr, job.stderr
    half = pictures // 2
    assert lines[0] == (f"minifaseg: out of memory with {pictures} pictures at a time; "
                        f"going on with {half} (--batch {half})"), job.stderr
    model = minifaseg.load("cartoon", device="cpu")
    expected = [minifaseg.segment(paint(i).image, ["cow", "wall"], model).labels for i in range(4)]
    for i in range(pictures):
        mask = np.asarray(Image.open(tmp_path / f"out/{i:02}_mask.png"))
        assert (mask != expected[i % 4]).mean() <= 0.001                    # another batch, another order of summation


PEAK = """
import resource, sys
from minifaseg.__main__ import main
code = main(sys.argv[1:])
unit = 1 if sys.platform == "darwin" else 1024
print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix, classes, gibibytes",
                         [("jpg", 3, 2.5), ("png", 3, 2.5), ("jpg", 100, 3)])
def test_a_picture_of_108_megapixels(tmp_path, suffix, classes, gibibytes):
    """A phone's largest, as stored sideways (jpg) or half-transparent (png)."""
    names = [f"{colour} {name}" for name in ALL_CLASSES for colour in COLOURS][:classes]
    picture, exif = paint(7).image.resize((12000, 9000), Image.Resampling.BICUBIC), Image.Exif()
    exif[274] = 6
    if suffix == "png":
        picture.putalpha(200)
    picture.save(tmp_path / f"x.{suffix}", exif=exif, compress_level=1)
    del picture
    command = [tmp_path / f"x.{suffix}", ",".join(names), "--weights", "cartoon", "--device", "cpu"]
    job = subprocess.run([sys.executable, "-c", PEAK, *command], text=True, env=ENV,
                         capture_output=True)
    assert job.returncode == 0, job.stderr
    code, peak = map(int, job.stderr.splitlines()[-1].split())
    assert code == 0 and peak <= gibibytes * 2**30, f"{peak / 2**30:.2f} GiB"
    with Image.open(tmp_path / "x_mask.png") as mask:
        assert mask.size == (9000, 12000)
