"""Generated and once found foreign bytes: a checkpoint or a picture loads or raises InputError. fuzz.py has the properties and the
generators, and searches longer."""
import json
from pathlib import Path

import pytest

pytest.importorskip("hypothesis")
import fuzz
from hypothesis import given, settings
from hypothesis import strategies as st

from minifaseg.checkpoints.checkpoint import PREFIX
from minifaseg.checkpoints.hub import FOLDER

FOUND = Path(__file__).parent / "fixtures" / "fuzz"
always = dict(derandomize=True, deadline=None, database=None)


def quickly_or_long(few, many):
    return pytest.mark.parametrize("examples", [few, pytest.param(many, marks=pytest.mark.slow)])


def search(examples, strategy, check):
    settings(max_examples=examples, **always)(given(strategy)(check))()


@quickly_or_long(40, 1600)
def test_wrong_checkpoints(examples):
    search(examples, st.binary(min_size=1, max_size=40),
           lambda data: fuzz.check_checkpoint_files(fuzz.checkpoint_files(data)))


@pytest.mark.parametrize("layout, path, many", [
    (1, f"{FOLDER['unet']}.safetensors", ["down_blocks.{}.x", "down_blocks.0.resnets.{}.x"]),
    (1, f"{FOLDER['vae']}.safetensors", ["encoder.down_blocks.{}.x", "encoder.down_blocks.0.resnets.{}.x"]),
    (0, "one.safetensors", [PREFIX["vae"] + "encoder.down.0.block.{}.x"]),
    (0, "one.safetensors", [PREFIX["text"] + "encoder.layers.{}.x"]),
    (0, "one.safetensors", [f"x{i}.{{}}" for i in range(10)])])
def test_a_small_file_that_names_thousands(layout, path, many):
    """Empty tensors with a number in their name: networks of that depth, or tables of their names, would take hours."""
    files = json.loads(fuzz.good_checkpoints())[layout]
    files[path] |= {name.format(i): ["F16", [0], None] for name in many for i in range(2000)}
    fuzz.check_checkpoint_files({k: fuzz.encode(k, v, fuzz.Dice(b"")) for k, v in files.items()})


@quickly_or_long(400, 8000)
def test_wrong_pictures(examples):
    search(examples, st.binary(min_size=4, max_size=24),
           lambda data: fuzz.check_picture(fuzz.wrong_picture(data)))


@pytest.mark.parametrize("name", sorted(fuzz.picture_seeds()))
def test_good_seeds(name):
    fuzz.check_picture(fuzz.picture_seeds()[name])


@pytest.mark.parametrize("path", sorted(FOUND.iterdir()), ids=lambda p: p.name)
def test_what_was_found(path):
    if path.name.startswith("picture"):
        fuzz.check_picture(path.read_bytes())
    else:
        fuzz.check_checkpoint(path)
