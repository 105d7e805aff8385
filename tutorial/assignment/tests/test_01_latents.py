"""01, pictures as latents."""
import pytest
from adapters import run_latent, run_patch, run_psnr


@pytest.mark.exercise("1.1", points=2)
def test_latent(case):
    case.run(run_latent)


@pytest.mark.exercise("1.2", points=2)
def test_psnr(case):
    case.run(run_psnr)


@pytest.mark.exercise("1.3", points=1)
def test_patch(case):
    case.run(run_patch)


@pytest.mark.exercise("1.3", points=1)
@pytest.mark.parametrize("place", [(4, 0), (0, 4), (-1, 0), (0, -1)])
def test_there_is_no_such_patch(place):
    with pytest.raises(ValueError):
        run_patch(*place, 8, 32)
