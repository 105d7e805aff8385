"""Small random models with SD 1.5's block structure, made by the authorities themselves (diffusers, transformers)."""
import os
import sys

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # One thread for each of the workers that share the cores, and for what they start.
    # Torch reads this when it is imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

os.environ.setdefault("HF_HUB_OFFLINE", "1")                  # no test but test_download may ask a network for anything
MOST_WORKERS = 8                     # each holds torch, diffusers and a model: up to 1.5 GB


def pytest_addoption(parser):
    parser.addoption("--run-slow", action="store_true",
                     help="also run the tests that take minutes: many kills, every notebook, ...")
    parser.addoption("--run-real-size", action="store_true",
                     help="run the tests at SD 1.5's real sizes (10 GB), and no others")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--run-real-size"):
        others = [item for item in items if "real_size" not in item.keywords]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if "real_size" in item.keywords]
        return
    real_size = pytest.mark.skip(reason="needs --run-real-size: 10 GB of memory and of disk")
    sd15 = pytest.mark.skip(reason="needs Stable Diffusion 1.5: MINIFASEG_SD15=path pytest -m sd15")
    for item in items:
        if "sd15" in item.keywords and not os.environ.get("MINIFASEG_SD15"):
            item.add_marker(sd15)
        if "real_size" in item.keywords:
            item.add_marker(real_size)
        elif "slow" in item.keywords and not config.getoption("--run-slow"):
            item.add_marker(pytest.mark.skip(reason="needs --run-slow: minutes"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """-n auto: one worker for every core that this process may use.

    xdist's own count takes two of some machines' cores for one.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores, MOST_WORKERS)


@pytest.fixture(scope="session")
def clip_vocabulary(tmp_path_factory):
    """Folder with CLIP's own vocab.json and merges.txt, made of the vocabulary inside the open_clip_torch wheel.

    That they are CLIP's is tested in test_tokenizers.
    """
    from minifaseg.checkpoints.clip_vocabulary import find_vocabulary, vocabulary_texts
    from minifaseg.checkpoints.tokenizer import write_tokenizer
    found = find_vocabulary()
    if found is None:
        pytest.skip("needs CLIP's vocabulary: pip install --no-deps open_clip_torch")
    folder = tmp_path_factory.mktemp("clip")
    write_tokenizer(folder, vocabulary_texts(found[1]))
    return folder


@pytest.fixture
def no_clip_package(monkeypatch):
    """As if no package were installed that carries CLIP's vocabulary."""
    from minifaseg.checkpoints.clip_vocabulary import PACKAGES
    for module in PACKAGES:
        monkeypatch.setitem(sys.modules, module, None)


@pytest.fixture
def empty_hub_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))


@pytest.fixture(scope="module")
def browser():
    """The system's browser, driven by playwright."""
    from minifaseg.bench.explorer import browser_path, launch
    if browser_path() is None:
        pytest.skip("needs a browser: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")
    with playwright.sync_playwright() as p:
        launched = launch(p)
        yield launched
        launched.close()


def make_diffusers(widths=(32, 64, 96, 96), context=32, heads=4, groups=8, vae_widths=(16, 32, 48, 48), text_layers=2, text_heads=4,
                   text_mlp=64, vae_groups=8, seed=0, **text):
    """(UNet2DConditionModel, AutoencoderKL, CLIPTextModel) in SD 1.5's plan with random weights."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(sample_size=64, block_out_channels=widths, cross_attention_dim=context, attention_head_dim=heads,
                                norm_num_groups=groups)
    with torch.no_grad():                                     # random attention is nearly uniform; make it choose
        for name, p in unet.named_parameters():
            if ".to_q." in name or ".to_k." in name:
                p *= 4
    n = len(vae_widths)
    vae = AutoencoderKL(block_out_channels=vae_widths, layers_per_block=2, norm_num_groups=vae_groups, latent_channels=4,
                        down_block_types=("DownEncoderBlock2D",) * n, up_block_types=("UpDecoderBlock2D",) * n, scaling_factor=0.18215)
    clip = CLIPTextModel(CLIPTextConfig(**dict(vocab_size=49408, hidden_size=context, intermediate_size=text_mlp, num_hidden_layers=text_layers,
                                               num_attention_heads=text_heads, hidden_act="quick_gelu", bos_token_id=49406,
                                               eos_token_id=49407, pad_token_id=49407) | text))
    return unet.eval(), vae.eval(), clip.eval()


def save_folder(folder, models, vocabulary, **options):
    for name, model in zip(("unet", "vae", "text_encoder"), models):
        model.save_pretrained(folder / name, **options)
    (folder / "tokenizer").mkdir()
    for name in ("vocab.json", "merges.txt"):
        (folder / "tokenizer" / name).write_bytes((vocabulary / name).read_bytes())
    return folder


def skip_text_in_float64(dtype):
    """transformers 4.x overflows in its own causal mask when the text encoder runs in float64."""
    import transformers
    if dtype == torch.float64 and transformers.__version__.startswith("4."):
        pytest.skip("transformers 4.x cannot run CLIP's text encoder in float64")


@pytest.fixture(scope="session")
def authority():
    return make_diffusers()


@pytest.fixture(scope="session")
def folder(authority, clip_vocabulary, tmp_path_factory):
    return save_folder(tmp_path_factory.mktemp("sd"), authority, clip_vocabulary)


def relative_error(ours, theirs):
    """Largest error over the standard deviation of the authority's output."""
    return ((ours.double() - theirs.double()).abs().max() / theirs.double().std()).item()
