"""Several processes of torchrun share a folder, and files are written while the next picture is segmented."""
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from PIL import Image

import minifaseg
from minifaseg import results
from minifaseg.__main__ import main
from minifaseg.batches import behind
from minifaseg.cartoon.painter import paint
from minifaseg.evaluate.shards import Shard
from minifaseg.ranks import Processes, join, own_device, place

ROOT = Path(minifaseg.__file__).parents[1]
ENV = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), "OMP_NUM_THREADS": "1"}
CARTOON = ["--weights", "cartoon", "--device", "cpu"]
CLASSES = ["cow", "wall"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder with six painted scenes."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("photos")
    for i in range(6):
        paint(i).image.save(f"photos/{i}.png")


def contents(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def start(*command, **options):
    return subprocess.Popen([*map(str, command)], text=True, env=options.pop("env", ENV), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **options)


def ended(job):
    """(exit code, stdout, the lines on stderr that are ours)."""
    out, err = job.communicate(timeout=300)
    ours = [line for line in err.splitlines() if line.startswith(("minifaseg: ", "weights: "))]
    assert "minifaseg/" not in "".join(line for line in err.splitlines() if line.startswith("  File")), err
    return job.returncode, out, ours


def torchrun(processes, *arguments):
    return ended(start(*TORCHRUN, "--standalone", "--nproc-per-node", processes, "-m", "minifaseg", *CARTOON, *arguments))


def by_one(*arguments):
    """What one process does in the same number of threads."""
    return ended(start(sys.executable, "-m", "minifaseg", *CARTOON, *arguments))


# Several processes

@pytest.mark.slow
def test_two_processes_do_what_one_does():
    """Byte for byte; a bad picture is a line, every process ends its share, and one of them says how many failed."""
    Path("photos/3.png").write_bytes(b"no picture")
    command = ["photos", *CLASSES, "--scores", "--json"]
    code, out, err = by_one(*command, "-o", "one")
    assert code == 1 and len(contents("one")) == 5 * 3
    images = {json.loads(line)["image"] for line in out.splitlines()}

    code, out, err = torchrun(2, *command, "-o", "two")
    assert code == 1 and contents("two") == contents("one")
    assert len(out.splitlines()) == 5 and {json.loads(line)["image"] for line in out.splitlines()} == images
    assert err[0].startswith("weights:") and "in 2 processes" in err[0]
    assert "photos/3.png: not a picture" in err[1] and err[2:] == ["minifaseg: 1 of 6 pictures failed"]

    for gone in ("0_mask.png", "2_overlay.png", "4_scores.npz"):         # all of the first process
        os.remove(f"two/{gone}")
    before = os.stat("two/1_mask.png").st_mtime_ns
    code, out, err = torchrun(3, *command, "-o", "two", "--resume")
    assert code == 1 and contents("two") == contents("one") and os.stat("two/1_mask.png").st_mtime_ns == before
    assert sorted(json.loads(line)["image"] for line in out.splitlines()) == [f"photos/{i}.png" for i in (0, 2, 4)]
    assert sum("2 of 6 pictures were done before" in line for line in err) == 1
    assert err[-1] == "minifaseg: 1 of 4 pictures failed"


@pytest.mark.slow
@pytest.mark.parametrize("arguments, words", [
    (["photos", "cow", "-o", "out"], "out/0_mask.png exists"),
    (["photos", "cow", "spaceship", "-o", "new"], "does not know 'spaceship'"),
    (["photos", "cow", "--magic"], "unrecognized arguments: --magic")])
def test_wrong_use_is_said_once(arguments, words):
    os.mkdir("out")
    Path("out/0_mask.png").write_bytes(b"precious")
    job = start(*TORCHRUN, "--standalone", "--nproc-per-node", 2, "-m", "minifaseg", *CARTOON, *arguments)
    out, err = job.communicate(timeout=300)
    assert job.returncode and err.count(words) == 1 and "exitcode  : 2" in err and not out, err
    assert contents("out") == {"0_mask.png": b"precious"} and not os.path.exists("new")


KILLED = """
import os, signal, sys, minifaseg
from minifaseg.__main__ import main
real, calls = minifaseg.segment_many, []
def segment_many(*arguments, **options):
    calls.append(1)
    if os.environ["RANK"] == "1" and len(calls) == 3:  # the first one is written, the second one perhaps
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **options)
minifaseg.segment_many = segment_many
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_killed_process_loses_nothing_that_was_finished():
    command = ["photos", *CLASSES]
    assert by_one(*command, "-o", "one")[0] == 0
    Path("killed.py").write_text(KILLED)
    job = start(*TORCHRUN, "--standalone", "--nproc-per-node", 2, "killed.py", *CARTOON, *command, "-o", "two", "--batch", 1)
    assert ended(job)[0] == 1 and "5_mask.png" not in contents("two")
    whole = {name: data for name, data in contents("two").items() if not name.endswith(".tmp")}
    assert "1_mask.png" in whole and all(contents("one")[name] == data for name, data in whole.items())
    assert by_one(*command, "-o", "two", "--resume")[0] == 0 and contents("two") == contents("one")


LONELY = """
import os, sys, minifaseg
from minifaseg import ranks
from minifaseg.__main__ import main
ranks.PATIENCE = 4
real, calls = minifaseg.segment_many, []
def segment_many(*arguments, **options):
    calls.append(1)
    if os.environ["RANK"] == os.environ["DIES"] and len(calls) == 2:
        os._exit(9)
    return real(*arguments, **options)
minifaseg.segment_many = segment_many
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("dies, words", [(1, "process 1 of 2 has not been heard of"), (0, "process 1 of 2 has lost the connection")])
def test_nobody_waits_for_ever_for_a_dead_process(dies, words):
    """As on another machine, where no torchrun ends the others. Process 0 keeps the store, so that the connection dies with it."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = str(s.getsockname()[1])
    jobs = []
    for rank in range(2):
        env = ENV | {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "DIES": str(dies)}
        jobs.append(start(sys.executable, "-c", LONELY, *CARTOON, "photos", *CLASSES, "-o", "out", "--batch", 1, env=env))
    found = [ended(job) for job in jobs]
    assert found[dies][0] == 9
    code, _, err = found[1 - dies]
    assert code == 1 and words in err[-1] and "--resume" in err[-1]
    share = [f"{i}_mask.png" for i in range(1 - dies, 6, 2)]
    assert set(share) <= set(contents("out"))


@pytest.mark.slow
def test_two_machines():
    """Two runs of torchrun with one meeting place and one folder, as on two machines."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = ["photos", *CLASSES, "--json"]
    assert by_one(*command, "-o", "one")[0] == 0
    place = ["--nnodes", 2, "--nproc-per-node", 1, "--master-addr", "127.0.0.1", "--master-port", port]
    jobs = [start(*TORCHRUN, *place, "--node-rank", node, "-m", "minifaseg", *CARTOON, *command, "-o", "two") for node in range(2)]
    found = [ended(job) for job in jobs]
    assert [code for code, _, _ in found] == [0, 0] and contents("two") == contents("one")
    assert [len(out.splitlines()) for _, out, _ in found] == [3, 3]
    assert [len(err) for _, _, err in found] == [1, 0]


PRINTER = """
import sys
from minifaseg.messages import print_above_bar
for _ in range(40):
    print_above_bar(sys.argv[1] * 30000, sys.stdout)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="locks of pipes")
def test_long_lines_of_several_processes_stay_whole():
    reading, writing = os.pipe()
    jobs = [subprocess.Popen([sys.executable, "-c", PRINTER, letter], stdout=writing, env=ENV | {"RANK": str(i)}) for i, letter in enumerate("abc")]
    os.close(writing)
    lines = []
    with open(reading, "rb") as pipe:
        for line in pipe:
            lines.append(line)
            time.sleep(0.005)                            # so that the pipe is full
    assert [job.wait(timeout=60) for job in jobs] == [0, 0, 0]
    assert sorted(lines) == [letter * 30000 + b"\n" for letter in (b"a", b"b", b"c") for _ in range(40)]


def test_places_and_devices(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert place() == (0, 1) and type(join()) is Processes and own_device("cuda") == "cuda" and own_device("auto") == "auto"
    monkeypatch.setenv("RANK", "0"), monkeypatch.setenv("WORLD_SIZE", "1"), monkeypatch.setenv("LOCAL_RANK", "3")
    assert type(join()) is Processes and Shard().world == 1
    assert own_device("cuda") == "cuda:3" and own_device("cpu") == "cpu" and own_device("cuda:1") == "cuda:1"
    monkeypatch.setattr("torch.cuda.is_available", bool)
    assert own_device("auto") == "auto"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert own_device("auto") == "cuda:3"
    monkeypatch.setenv("WORLD_SIZE", "2")                # set by something else than torchrun: nobody to meet
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    assert type(join()) is Processes


# Files are written behind

def test_behind_is_in_order_and_bounded():
    made, done = [], []

    def items():
        for i in range(20):
            made.append(i)
            assert len(made) - len(done) <= 2 + 1       # with the one in the making
            yield i

    def slow(i):
        time.sleep(0.005)
        done.append(i)
        return 10 * i
    assert list(behind(slow, items(), 2)) == [10 * i for i in range(20)] and done == made

    with pytest.raises(ZeroDivisionError):
        list(behind(lambda i: 1 // (i - 3), range(20), 2))


def test_an_error_ends_what_has_begun_and_drops_the_rest():
    begun, ended = [], []

    def items():
        yield from range(3)
        raise KeyboardInterrupt

    def slow(i):
        begun.append(i)
        time.sleep(0.05)
        ended.append(i)
    with pytest.raises(KeyboardInterrupt):
        list(behind(slow, items(), 5))
    assert begun == ended and len(ended) < 3


def test_the_next_picture_is_segmented_while_an_overlay_is_drawn(monkeypatch, capsys):
    """Lines keep the order of the pictures, also where one fails, in whichever thread."""
    second, real_overlay, real_segment, calls = Event(), results.overlay, minifaseg.segment_many, []

    def segment_many(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            second.set()
        return real_segment(*arguments, **options)

    def overlay(picture, *arguments):
        assert second.wait(timeout=60)                   # the first one is drawn only now
        return real_overlay(picture, *arguments)
    monkeypatch.setattr(minifaseg, "segment_many", segment_many)
    monkeypatch.setattr(results, "overlay", overlay)
    Path("photos/2.png").write_bytes(b"no picture")
    Path("out/4_overlay.png").mkdir(parents=True)        # cannot be written
    assert main([*CARTOON, "photos", *CLASSES, "-o", "out", "--batch", "1", "--force"]) == 1
    out, err = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines() if line[0] != " "] == [f"photos/{i}.png" for i in (0, 1, 3, 5)]
    assert "photos/2.png" in err.splitlines()[1] and "4_overlay.png: cannot be written" in err.splitlines()[2]
    assert "2 of 6 pictures failed" in err and not os.path.exists("out/4_mask.png")


def test_without_overlays(capsys):
    command = [*CARTOON, "photos", *CLASSES, "--json", "-o"]
    assert main([*command, "without", "--no-overlay"]) == 0
    assert [json.loads(line)["overlay"] for line in capsys.readouterr().out.splitlines()] == [None] * 6
    assert main([*command, "with"]) == 0
    assert sorted(contents("without")) == [f"{i}_mask.png" for i in range(6)]
    for path in Path("without").iterdir():
        assert (np.asarray(Image.open(path)) == np.asarray(Image.open(f"with/{path.name}"))).all()
    capsys.readouterr()
    assert main([*command, "without", "--no-overlay", "--resume"]) == 0
    out, err = capsys.readouterr()
    assert not out and "6 of 6 pictures were done before" in err
    assert main([*command, "without", "--resume"]) == 0 and contents("without") == contents("with")
