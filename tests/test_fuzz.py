"""Generated and once found foreign bytes: a checkpoint or a picture loads or raises InputError. fuzz.py has the properties and the
generators, and searches longer."""
from pathlib import Path

import pytest

pytest.importorskip("hypothesis")
import fuzz
from hypothesis import given, settings
from hypothesis import strategies as st

FOUND = Path(__file__).parent / "fixtures" / "fuzz"
always = dict(derandomize=True, deadline=None, database=None)


@settings(max_examples=200, **always)
@given(st.binary(min_size=1, max_size=40))
def test_wrong_checkpoints(data):
    fuzz.check_checkpoint_files(fuzz.checkpoint_files(data))


@settings(max_examples=400, **always)
@given(st.binary(min_size=4, max_size=24))
def test_wrong_pictures(data):
    fuzz.check_picture(fuzz.wrong_picture(data))


@pytest.mark.parametrize("name", sorted(fuzz.picture_seeds()))
def test_good_seeds(name):
    fuzz.check_picture(fuzz.picture_seeds()[name])


@pytest.mark.parametrize("path", sorted(FOUND.glob("checkpoint-*")), ids=lambda p: p.name)
def test_found_checkpoints(path):
    fuzz.check_checkpoint(path)


@pytest.mark.parametrize("path", sorted(FOUND.glob("picture-*")), ids=lambda p: p.name)
def test_found_pictures(path):
    fuzz.check_picture(path.read_bytes())
