"""02, diffusion and DDIM."""
from functools import partial

import objects
import pytest
import scenes
from adapters import (
    run_alpha_bars,
    run_clean,
    run_ddim_step,
    run_invert,
    run_timestep_embedding,
    run_training_loss,
    run_which_caption,
)


@pytest.mark.exercise("2.1", points=2)
def test_alpha_bars(case):
    case.run(run_alpha_bars)


@pytest.mark.exercise("2.2", points=1)
def test_clean(case):
    case.run(run_clean)


@pytest.mark.exercise("2.3", points=2)
def test_ddim_step(case):
    case.run(run_ddim_step)


@pytest.mark.exercise("2.4", points=3)
def test_invert(case):
    case.run(partial(objects.call_invert, run_invert))


@pytest.mark.exercise("2.5", points=2)
def test_training_loss(case):
    case.run(partial(objects.call_training_loss, run_training_loss))


@pytest.mark.exercise("2.6", points=2)
def test_timestep_embedding(case):
    case.run(run_timestep_embedding)


@pytest.mark.exercise("2.7", points=4)
@pytest.mark.scored
def test_which_caption():
    """Of ten questions, with 24 latents through the UNet for each."""
    right = 0
    for image, captions, true in scenes.questions():
        got = run_which_caption(scenes.Thrifty(24), image.copy(), list(captions))
        assert got in range(len(captions)), "the index of a caption is asked for"
        right += int(got) == true
    assert right >= 9, f"{right} of 10 captions are right, 9 are asked for"
