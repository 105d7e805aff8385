"""08, the rivals."""
from functools import partial

import objects
import pytest
from adapters import (
    run_class_attention,
    run_cluster_distance,
    run_inversion_loss,
    run_iterate,
    run_merge_maps,
    run_raise_word,
    run_reduce_entropy,
    run_symmetric_kl,
    run_three_way,
)


@pytest.mark.exercise("8.1", points=2)
def test_raise_word(case):
    case.run(run_raise_word)


@pytest.mark.exercise("8.2", points=3)
def test_reduce_entropy(case):
    case.run(run_reduce_entropy)


@pytest.mark.exercise("8.3", points=2)
def test_iterate(case):
    case.run(run_iterate)


@pytest.mark.exercise("8.4", points=1)
def test_three_way(case):
    case.run(run_three_way)


@pytest.mark.exercise("8.5", points=2)
def test_symmetric_kl(case):
    case.run(run_symmetric_kl)


@pytest.mark.exercise("8.6", points=2)
def test_cluster_distance(case):
    case.run(run_cluster_distance)


@pytest.mark.exercise("8.7", points=3)
def test_class_attention(case):
    case.run(run_class_attention)


@pytest.mark.exercise("8.8", points=4)
def test_merge_maps(case):
    case.run(partial(objects.call_merge_maps, run_merge_maps))


@pytest.mark.exercise("8.9", points=3)
def test_inversion_loss(case):
    case.run(partial(objects.call_inversion_loss, run_inversion_loss))
