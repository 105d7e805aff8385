"""weights.py verify: files by their checksums, networks by what diffusers computes on the same weights."""
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import save_folder
from safetensors.torch import load_file, save_file

import weights
from minifaseg.checkpoints import activations, checksums, hub
from minifaseg.errors import InputError

UNET, VAE = "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"
WIDTH = 32                          # of the text states of conftest's models
SHAPES = {"unet": ((2, 4, 16, 16), (2, 77, WIDTH)), "vae": ((2, 3, 64, 64),)}


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def noise(seed, shape):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


@pytest.fixture(scope="module")
def known(folder, authority, tmp_path_factory):
    """A folder with the checksums of conftest's models, and with what diffusers computes on them."""
    unet, vae, _ = authority
    path = tmp_path_factory.mktemp("known")
    lines = [f"{name},{sha256(folder / name)},{(folder / name).stat().st_size},diffusers folder,ourselves" for name in (UNET, VAE, TEXT)]
    (path / "checksums.csv").write_text("\n".join(["file,sha256,bytes,layout,confirmed_by", *lines]) + "\n")

    content = {"inputs": {"repository": "nobody/nothing", "file": "noise_s={seed}_shape={shape}.npy"}}
    for kind, part, atol in (("unet", "unet", 1e-3), ("vae_mode", "vae", 3e-3)):
        cases = []
        for seed, t in ((33, 4), (9, 1000)):
            arrays = [noise(seed, shape) for shape in SHAPES[part]]
            for shape, array in zip(SHAPES[part], arrays):
                np.save(path / f"noise_s={seed}_shape={'_'.join(map(str, shape))}.npy", array)
            x = [torch.from_numpy(array) for array in arrays]
            with torch.no_grad():
                sample = unet(x[0], t, x[1]).sample if part == "unet" else vae(x[0]).sample
            cases.append({"seed": seed, "expected": sample[-1, -2:, -2:, :2].flatten().tolist()} | ({"t": t} if part == "unet" else {}))
        content[kind] = {"part": part, "dtype": "float32", "shapes": SHAPES[part], "atol": atol, "cases": cases}
    (path / "activations.json").write_text(json.dumps(content))
    return path


@pytest.fixture
def copy(folder, tmp_path):
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture
def verify(known, capsys):
    """Runs the command; returns (exit code, what it printed)."""
    def run(path, *options, known=known):
        capsys.readouterr()
        code = weights.main(["verify", str(path), *options, *(["--known", str(known)] if known else [])])
        out, err = capsys.readouterr()
        return code, out + err
    return run


def test_right_files_and_right_answers(folder, verify):
    code, text = verify(folder, "--activations", "--device", "cpu")
    assert code == 0, text
    assert [line.partition(":")[0] for line in text.splitlines() if ": known: " in line] == [UNET, VAE, TEXT]
    assert "4 of 4 known activations are met" in text and text.count(": met\n") == 4
    assert "unet, noise of seed 9, t = 1000" in text and "vae, noise of seed 33\n" in text


def test_one_flipped_bit(copy, verify):
    content = bytearray((copy / VAE).read_bytes())
    content[-1] ^= 1
    (copy / VAE).write_bytes(content)
    code, text = verify(copy)
    assert code == 1 and f"{VAE}: damaged: as many bytes as {VAE}" in text and sha256(copy / VAE) in text
    assert f"{UNET}: known" in text


def test_exchanged_tensors_are_seen_by_their_checksum_and_by_their_answers(copy, verify, known, tmp_path):
    """Two tensors of one shape change places: everything fits, and all is wrong."""
    state = load_file(copy / UNET)
    a, b = (f"mid_block.resnets.{i}.conv1.weight" for i in (0, 1))
    state[a], state[b] = state[b], state[a]
    save_file(state, copy / UNET, {"format": "pt"})
    code, text = verify(copy)
    assert code == 1 and f"{UNET}: damaged" in text

    believed = Path(shutil.copytree(known, tmp_path / "believed"))
    table = (believed / "checksums.csv").read_text().splitlines()
    (believed / "checksums.csv").write_text("\n".join(line for line in table if not line.startswith("unet")) + "\n")
    code, text = verify(copy, "--activations", "--device", "cpu", known=believed)
    assert code == 1 and f"{UNET}: unknown" in text
    assert text.count("NOT MET") == 2 and text.count(": met\n") == 2 and "2 of 4 known activations are met" in text


def test_a_truncated_file(copy, verify):
    size = (copy / TEXT).stat().st_size
    os.truncate(copy / TEXT, size - 100)
    code, text = verify(copy)
    assert code == 1 and f"{TEXT}: cut short: {size - 100:,} of {size:,} bytes are there" in text
    os.truncate(copy / TEXT, 4)
    code, text = verify(copy)
    assert code == 1 and f"{TEXT}: damaged: " in text


def test_other_whole_files_are_unknown_and_load(folder, verify):
    """The real table knows none of conftest's models."""
    code, text = verify(folder, known=None)
    assert code == 0 and text.count(": unknown: ") == 3 and "all tensors are there and fit: loads" in text
    assert all(sha256(folder / name) in text for name in (UNET, VAE, TEXT))


def test_an_unknown_file_that_would_not_load(copy, verify):
    state = load_file(copy / UNET)
    state.pop("conv_out.bias")
    save_file(state, copy / UNET, {"format": "pt"})
    code, text = verify(copy)
    assert code == 1 and f"{UNET}: unknown" in text and "unet: missing out.2.bias" in text


@pytest.mark.parametrize("damage", ["missing", "other shape", "pickle", "cut short"])
def test_a_bad_input_is_named(folder, verify, known, tmp_path, damage):
    mine = Path(shutil.copytree(known, tmp_path / "known"))
    name = "noise_s=33_shape=2_77_32.npy"
    if damage == "missing":
        (mine / name).unlink()
    elif damage == "other shape":
        np.save(mine / name, noise(0, (2, 77, WIDTH + 1)))
    elif damage == "pickle":
        np.save(mine / name, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    else:
        os.truncate(mine / name, 300)
    code, text = verify(folder, "--activations", "--device", "cpu", known=mine)
    assert code == 1 and name in text.splitlines()[-1] and text.splitlines()[-1].startswith("weights.py: "), text


def test_without_a_connection_the_missing_input_is_named(monkeypatch, tmp_path):
    """HF_HUB_OFFLINE is set for all tests, and this cache is empty."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    repository, cases = activations.read_cases()
    name, _ = cases[0].inputs[0]
    with pytest.raises(InputError, match="is there a connection") as e:
        activations.from_hub(repository)(name)
    assert name == "gaussian_noise_s=33_shape=4_4_64_64.npy" and str(e.value).startswith(name) and "\n" not in str(e.value)


@pytest.mark.parametrize("file, text", [("checksums.csv", "a,b\n1,2\n"), ("activations.json", "{}"), ("activations.json", None)])
def test_a_bad_table_is_named(folder, verify, known, tmp_path, file, text):
    mine = Path(shutil.copytree(known, tmp_path / "known"))
    (mine / file).unlink()
    if text:
        (mine / file).write_text(text)
    code, said = verify(folder, "--activations", "--device", "cpu", known=mine)
    assert code == 1 and said.splitlines()[-1].startswith(f"weights.py: {mine / file}: ")


def test_activations_of_other_sizes_say_nothing(verify, capsys, known):
    """The cartoon model takes text states of another width."""
    code, text = verify("cartoon", "--activations", "--device", "cpu")
    assert code == 1 and "they say nothing about it" in text.splitlines()[-1] and text.splitlines()[-1].startswith("weights.py: ")


def test_weights_in_16_bits_may_be_further_off(authority, clip_vocabulary, known, verify, tmp_path):
    """What diffusers allows for its own float16 answers: the answers are those of the weights in 32 bits."""
    import copy
    half = [copy.deepcopy(model).half() for model in authority]
    save_folder(tmp_path / "half", half, clip_vocabulary)
    code, text = verify(tmp_path / "half", "--activations", "--device", "cpu")
    assert code == 0, text
    assert "unet, noise of seed 33, t = 4, of weights in 16 bits" in text and text.count("0.005 allowed: met") == 4
    assert [line.partition(":")[0] for line in text.splitlines() if ": unknown: " in line] == [UNET, VAE, TEXT]


# ---- the hub's cache -----------------------------------------------------------------------------
@pytest.fixture
def cached(folder, tmp_path, monkeypatch):
    """A hub cache with conftest's models in place of Stable Diffusion 1.5: links to blobs by SHA-256."""
    cache = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    home = hub.cache_of(hub.REPO)
    snapshot = home / "snapshots" / hub.REVISION
    (home / "blobs").mkdir(parents=True)
    for file in filter(Path.is_file, folder.rglob("*")):
        blob = home / "blobs" / sha256(file)
        shutil.copy(file, blob)
        link = snapshot / file.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return snapshot


def test_a_cached_file_is_known_by_its_name_and_read_on_demand(cached, verify):
    code, text = verify("sd15")
    assert code == 0 and text.count(": known: ") == 3 and text.count("--full reads it") == 3

    blob = (cached / VAE).resolve()
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    code, text = verify("sd15")
    assert code == 0 and text.count(": known: ") == 3                    # nothing was read
    code, text = verify("sd15", "--full")
    assert code == 1 and f"{VAE}: damaged: other content than its blob" in text and text.count("read whole") == 2

    os.truncate(blob, len(content) - 8)                                  # but its size is looked at
    code, text = verify("sd15")
    assert code == 1 and f"{VAE}: cut short" in text


def test_an_unknown_cached_file_is_not_called_damaged(cached, verify, known, tmp_path):
    """As many bytes as a known file, but the hub says that it should have this content."""
    mine = Path(shutil.copytree(known, tmp_path / "known"))
    table = (mine / "checksums.csv").read_text()
    (mine / "checksums.csv").write_text(table.replace(sha256(cached / UNET), "0" * 64))
    code, text = verify("sd15", known=mine)
    assert code == 0 and f"{UNET}: unknown: a fine-tune" in text


# ---- the tables in the package -------------------------------------------------------------------
def test_the_tables_in_the_package():
    """Sizes against what the networks need: tensors of SD 1.5's shapes, and a header."""
    known = {entry.file: entry for entry in checksums.read_known().values()}
    assert len(known) == 7 and all(len(entry.sha256) == 64 for entry in known.values())
    parameters = {UNET: 859_520_964, VAE: 83_653_863, TEXT: 123_060_480}
    for file, n in parameters.items():
        assert 0 < known[file].bytes - 4 * n < 200_000

    repository, cases = activations.read_cases()
    assert repository == "fusing/diffusers-testing" and len(cases) == 10
    assert {name for case in cases for name, _ in case.inputs} >= {"gaussian_noise_s=33_shape=4_4_64_64.npy",
                                                                   "gaussian_noise_s=33_shape=4_77_768.npy",
                                                                   "gaussian_noise_s=33_shape=4_3_512_512.npy"}
    assert all(case.expected.shape == (8,) for case in cases)
    assert sorted({case.atol for case in cases}) == [1e-3, 3e-3, 5e-3]


@pytest.mark.sd15
def test_the_real_weights(capsys, monkeypatch):
    """MINIFASEG_SD15=path pytest -m sd15: real weights, real inputs (fetched into the hub's cache)."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert weights.main(["verify", os.environ["MINIFASEG_SD15"], "--activations"]) == 0, capsys.readouterr()
