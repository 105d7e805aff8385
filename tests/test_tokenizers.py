"""Tokenizers as today's libraries save them, and words that somebody added: read alike by
load, inspect and convert, and by transformers afterwards."""
import gzip
import hashlib
import importlib.util
import json
import shutil
import sys
import types
from pathlib import Path

import pytest
import torch
from pipelines import (
    PROMPT,
    changed,
    ids,
    inspected,
    make_pipeline,
    metadata_of,
    pipeline,
    round_trip,
    same_words,
    saved,
    single,
    with_inversion,
    words,
)

import minifaseg
import weights
from minifaseg import InputError
from minifaseg.checkpoints.checkpoint import PREFIX, Checkpoint
from minifaseg.checkpoints.clip_vocabulary import FILE, find_vocabulary
from minifaseg.evaluate.datasets import PAINTED
from minifaseg.evaluate.folder_layouts import LAYOUTS

transformers = pytest.importorskip("transformers")
TEXT = PREFIX["text"]


# ---- saved by today's libraries ------------------------------------------------------------------
def test_a_pipeline_saved_today(saved, single, pipeline, capsys):
    minifaseg.load(saved, device="cpu")
    assert same_words(saved, pipeline) and same_words(single, pipeline)
    for path in (saved, single):
        assert "tokenizer 397 tokens" in inspected(path, capsys)


def test_diffusers_takes_what_convert_made_of_it(single, pipeline, tmp_path):
    """A folder with from_pretrained, a single file with from_single_file."""
    from diffusers import StableDiffusionPipeline
    assert weights.main(["convert", str(single), str(tmp_path / "back")]) == 0
    back = StableDiffusionPipeline.from_pretrained(tmp_path / "back", local_files_only=True)
    file = StableDiffusionPipeline.from_single_file(str(single), config=str(tmp_path / "back"),
                                                    local_files_only=True)
    assert ids(back.tokenizer) == ids(pipeline.tokenizer)
    for part in ("unet", "vae", "text_encoder"):
        want = getattr(pipeline, part).state_dict()
        for other in (back, file):
            have = getattr(other, part).state_dict()
            assert have.keys() == want.keys()
            assert all(torch.equal(have[key], want[key]) for key in want), part


def test_a_tokenizer_of_today_beside_a_single_file(saved, single, pipeline, tmp_path, capsys):
    """In `tokenizer/` or right beside it; CLIP's own two files before that."""
    path = tmp_path / "sd.safetensors"
    notes = Checkpoint(single).notes
    del notes["tokenizer"]
    changed(single, path, metadata={"minifaseg": json.dumps(notes)})
    for beside in (tmp_path / "tokenizer", tmp_path):
        shutil.copytree(saved / "tokenizer", beside, dirs_exist_ok=True)
        assert same_words(path, pipeline)
        assert str(beside) in inspected(path, capsys)
        shutil.rmtree(tmp_path / "tokenizer", ignore_errors=True)


def test_tokenizer_json_alone(saved, words, pipeline, tmp_path, capsys):
    """With transformers 4 too, which writes and prefers the two files."""
    shutil.copytree(saved, tmp_path / "sd")
    shutil.rmtree(tmp_path / "sd/tokenizer")
    (tmp_path / "sd/tokenizer").mkdir()
    fast = transformers.CLIPTokenizerFast.from_pretrained(str(words))
    fast.backend_tokenizer.save(str(tmp_path / "sd/tokenizer/tokenizer.json"))
    round_trip(tmp_path / "sd", pipeline, tmp_path)
    assert inspected(tmp_path / "sd", capsys).count("tokenizer.json") == 1


def test_clips_own_vocabulary_goes_beside_the_file(clip_vocabulary, tmp_path):
    """49,408 tokens, saved by today's libraries. With one more, the file carries them itself."""
    pipe = make_pipeline(clip_vocabulary, 49408)
    pipe.save_pretrained(tmp_path / "sd")
    file = tmp_path / "a" / "sd.safetensors"
    file.parent.mkdir()
    assert weights.main(["convert", str(tmp_path / "sd"), str(file)]) == 0
    assert "minifaseg" not in metadata_of(file) or "tokenizer" not in Checkpoint(file).notes
    assert (tmp_path / "a/tokenizer/tokenizer_config.json").read_bytes() == \
        (tmp_path / "sd/tokenizer/tokenizer_config.json").read_bytes()
    assert same_words(file, pipe)
    shutil.rmtree(tmp_path / "a/tokenizer")              # the same in CLIP's own two files: enough
    shutil.copytree(clip_vocabulary, tmp_path / "a/tokenizer")
    assert weights.main(["convert", str(tmp_path / "sd"), str(file), "--force"]) == 0
    assert "tokenizer" not in Checkpoint(file).notes and same_words(file, pipe)
    pipe = with_inversion(pipe)
    pipe.save_pretrained(tmp_path / "one-more")
    file = tmp_path / "a" / "one-more.safetensors"
    assert weights.main(["convert", str(tmp_path / "one-more"), str(file)]) == 0
    assert same_words(file, pipe) and ids(pipe.tokenizer, "<my-cat>") == [49408]


def test_half_a_tokenizer_is_none(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "sd")
    shutil.rmtree(tmp_path / "sd/tokenizer")
    (tmp_path / "sd/tokenizer").mkdir()
    (tmp_path / "sd/tokenizer/vocab.json").write_text("{}")
    with pytest.raises(InputError, match="no merges.txt there, and no tokenizer.json"):
        minifaseg.load(tmp_path / "sd", device="cpu")
    (tmp_path / "sd/tokenizer/vocab.json").unlink()
    (tmp_path / "sd/tokenizer/tokenizer.json").write_text('{"version": "1.0"}')
    with pytest.raises(InputError, match="its tokenizer is damaged"):
        minifaseg.load(tmp_path / "sd", device="cpu")


@pytest.mark.parametrize("merge", [["<|startoftext|>", "a"], ["cat</w>", "x"], ["nowhere", "x"]])
def test_merges_that_make_no_word(saved, words, tmp_path, merge):
    """The tokenizers library panics on some of them, which is no Exception."""
    fast = transformers.CLIPTokenizerFast.from_pretrained(str(words))
    content = json.loads(fast.backend_tokenizer.to_str())
    merges = content["model"]["merges"]
    merges.append(merge if isinstance(merges[0], list) else " ".join(merge))
    shutil.copytree(saved, tmp_path / "sd")
    shutil.rmtree(tmp_path / "sd/tokenizer")
    (tmp_path / "sd/tokenizer").mkdir()
    (tmp_path / "sd/tokenizer/tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="its tokenizer is damaged"):
        minifaseg.load(tmp_path / "sd", device="cpu")


# ---- added words ---------------------------------------------------------------------------------
def two_added(folder):
    """added_tokens.json beside vocab.json and merges.txt, as transformers 4 writes it."""
    (folder / "added_tokens.json").write_text('{"<my-cat>": 397, "<my-dog>": 398}')


def decoder_added(folder):
    """The same inside tokenizer_config.json."""
    flags = dict(lstrip=False, rstrip=False, normalized=True, single_word=False, special=False)
    added = {"397": {"content": "<my-cat>"} | flags, "398": {"content": "<my-dog>"} | flags}
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "CLIPTokenizer", "added_tokens_decoder": added}))


def special_added(folder):
    """As a special token."""
    (folder / "special_tokens_map.json").write_text(
        '{"additional_special_tokens": ["<my-cat>", "<my-dog>"]}')


@pytest.mark.parametrize("add", [two_added, decoder_added, special_added],
                         ids=lambda add: add.__name__)
def test_added_words_survive_conversion(words, add, tmp_path, capsys):
    shutil.copytree(words, tmp_path / "words")
    add(tmp_path / "words")
    pipe = make_pipeline(tmp_path / "words", 399)
    assert ids(pipe.tokenizer, "<my-cat>") == [397]
    pipe.save_pretrained(tmp_path / "sd")
    shutil.rmtree(tmp_path / "sd/tokenizer")
    shutil.copytree(tmp_path / "words", tmp_path / "sd/tokenizer")       # as it was brought
    round_trip(tmp_path / "sd", pipe, tmp_path)


def test_a_textual_inversion_survives_conversion(pipeline, tmp_path, capsys):
    """Saved by the installed libraries, in whatever files they choose."""
    pipe = with_inversion(pipeline)
    assert ids(pipe.tokenizer, "<my-cat>") == [397]
    pipe.save_pretrained(tmp_path / "sd")
    round_trip(tmp_path / "sd", pipe, tmp_path)
    assert "added words: <my-cat>" in inspected(tmp_path / "one.safetensors", capsys)
    back = transformers.CLIPTokenizer.from_pretrained(str(tmp_path / "back/tokenizer"))
    assert ids(back) == ids(pipe.tokenizer)


def test_embeddings_without_a_word_are_named(pipeline, single, tmp_path, capsys):
    """Another tool kept the embedding of <my-cat> and lost the word: nobody can ask for it."""
    key = TEXT + "embeddings.token_embedding.weight"
    longer = changed(single, tmp_path / "x.safetensors",
                     lambda s: s | {key: torch.cat([s[key], torch.zeros(1, 8)])})
    assert "the text encoder knows 398: 1 of them have no word" in inspected(longer, capsys)


# ---- from an installed package -------------------------------------------------------------------
# SD 1.5's own files on the Hugging Face hub, as several public repositories list their SHA-256.
PUBLISHED = {
    "vocab.json": "e089ad92ba36837a0d31433e555c8f45fe601ab5c221d4f607ded32d9f7a4349",
    "merges.txt": "9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051a"}


@pytest.fixture(scope="module")
def alone(clip_vocabulary, tmp_path_factory):
    """A single file with CLIP's vocabulary and no tokenizer in or beside it."""
    place = tmp_path_factory.mktemp("alone")
    make_pipeline(clip_vocabulary, 49408).save_pretrained(place / "folder")
    path = place / "file" / "sd.safetensors"
    path.parent.mkdir()
    assert weights.main(["convert", str(place / "folder"), str(path)]) == 0
    shutil.rmtree(path.parent / "tokenizer")
    return path


@pytest.fixture
def package(no_clip_package, empty_hub_cache, clip_vocabulary, tmp_path, monkeypatch):
    """The folder of an installed package `clip`, still empty. open_clip is hidden."""
    monkeypatch.delitem(sys.modules, "clip")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    folder = tmp_path / "site" / "clip"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('not to be imported')")
    return folder


@pytest.fixture(scope="module")
def packed(clip_vocabulary):
    """The bytes of open_clip's file."""
    spec = importlib.util.find_spec("open_clip")
    return (Path(spec.origin).parent / "bpe_simple_vocab_16e6.txt.gz").read_bytes()


@pytest.fixture(scope="module")
def open_clip_tokenizer(clip_vocabulary):
    """open_clip's own tokenizer. Its file is run without its package, which needs torchvision."""
    path = Path(importlib.util.find_spec("open_clip").origin).parent / "tokenizer.py"
    spec = importlib.util.spec_from_file_location("open_clip_tokenizer", path)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKENIZERS_PARALLELISM", "false")          # set by the module, too
        if importlib.util.find_spec("ftfy") is None:             # it mends broken Unicode
            patch.setitem(sys.modules, "ftfy", types.SimpleNamespace(fix_text=str))
        spec.loader.exec_module(module)
    return module.SimpleTokenizer()


def test_a_package_makes_sd15s_own_files(clip_vocabulary):
    for name, published in PUBLISHED.items():
        assert hashlib.sha256((clip_vocabulary / name).read_bytes()).hexdigest() == published


def test_tokens_are_those_of_open_clip(alone, empty_hub_cache, open_clip_tokenizer):
    text = Checkpoint(alone).text()
    names = set()
    for layout in LAYOUTS.values():
        names |= {spelling for pair in layout.pairs for spelling in pair}
    for _, classes, _ in PAINTED.values():
        names |= set(classes)
    assert len(names) > 250 and all(name.isascii() for name in names)
    for name in [*names, "don't; it's 9 o'clock (a photo)", ", ".join(sorted(names))]:
        assert text.pieces(name) == open_clip_tokenizer.encode(name), name

    ours = sorted(text.tokenizer.get_vocab().items(), key=lambda item: item[1])
    theirs = sorted(open_clip_tokenizer.encoder.items(), key=lambda item: item[1])
    assert ours[:-2] == theirs[:-2] and len(ours) == len(theirs) == 49408
    assert ours[-2:] == [("<|startoftext|>", 49406), ("<|endoftext|>", 49407)]         # open_clip has other names for them


def test_a_package_serves_a_file_that_stands_alone(alone, clip_vocabulary, empty_hub_cache, tmp_path, capsys):
    minifaseg.load(alone, device="cpu")
    assert "open_clip" not in sys.modules                # located, not imported
    out = inspected(alone, capsys)
    assert "tokenizer 49408 tokens" in out and "in the package open_clip_torch" in out
    assert weights.main(["convert", str(alone), str(tmp_path / "folder")]) == 0
    for name in ("vocab.json", "merges.txt"):
        assert (tmp_path / "folder/tokenizer" / name).read_bytes() == (clip_vocabulary / name).read_bytes()
    clip = transformers.CLIPTokenizer.from_pretrained(str(tmp_path / "folder/tokenizer"))
    assert Checkpoint(alone).text().pieces(PROMPT) == ids(clip)


def test_a_package_comes_last(alone, clip_vocabulary, words, tmp_path, monkeypatch, capsys):
    """After a tokenizer beside the file, and after the hub cache."""
    path = shutil.copy(alone, tmp_path / "sd.safetensors")
    home = tmp_path / "hub" / "models--stable-diffusion-v1-5--stable-diffusion-v1-5"
    cached = home / "snapshots" / "1234" / "tokenizer"
    shutil.copytree(clip_vocabulary, cached)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert f"49408 tokens, {cached}: " in inspected(path, capsys)
    shutil.copytree(words, tmp_path / "tokenizer")
    assert f"397 tokens, {tmp_path / 'tokenizer'}: " in inspected(path, capsys)


def test_without_a_package_it_names_both_ways_to_get_one(alone, no_clip_package, empty_hub_cache, tmp_path, capsys):
    with pytest.raises(InputError) as e:
        minifaseg.load(alone, device="cpu")
    message = str(e.value)
    for part in (str(alone), "no tokenizer beside it", "none in the hub cache", "1.6 MB",
                 "python weights.py download --tokenizer", "pip install --no-deps open_clip_torch"):
        assert part in message
    assert message in inspected(alone, capsys, code=1)
    assert weights.main(["convert", str(alone), str(tmp_path / "folder")]) == 1
    assert message in capsys.readouterr().err and not (tmp_path / "folder").exists()


def test_openais_package_will_do(alone, package, packed, capsys):
    (package / FILE).write_bytes(packed)
    assert "in the package clip:" in inspected(alone, capsys)
    other = gzip.compress(gzip.decompress(packed), compresslevel=1, mtime=1)        # packed again
    (package / FILE).write_bytes(other)
    assert other != packed and "in the package clip:" in inspected(alone, capsys)


def lines_exchanged(packed):
    lines = gzip.decompress(packed).split(b"\n")
    lines[1000], lines[1001] = lines[1001], lines[1000]
    return gzip.compress(b"\n".join(lines))


def one_bit_flipped(packed):
    return packed[:500_000] + bytes([packed[500_000] ^ 1]) + packed[500_001:]


@pytest.mark.parametrize("damage", [
    lambda packed: b"", lambda packed: b"<html>login</html>", lambda packed: packed[:-1000], one_bit_flipped,
    lines_exchanged, gzip.decompress, lambda packed: gzip.compress(bytes(50_000_000))],
    ids=["empty", "web page", "cut short", "one bit", "two lines", "unpacked", "bomb"])
def test_a_damaged_file_in_a_package_is_named(alone, package, packed, damage, capsys):
    (package / FILE).write_bytes(damage(packed))
    with pytest.raises(InputError, match="not CLIP's vocabulary, or damaged") as e:
        minifaseg.load(alone, device="cpu")
    assert str(e.value).startswith(str(package / FILE)) and "download --tokenizer" in str(e.value)
    assert "\n" not in str(e.value) and str(e.value) in inspected(alone, capsys, code=1)


def test_other_packages_of_that_name_are_passed_over(package, tmp_path, monkeypatch):
    """`clip` on PyPI is something else."""
    assert find_vocabulary() is None
    (package / FILE).mkdir()
    assert find_vocabulary() is None
    (package / FILE).rmdir()
    (package / "__init__.py").unlink()                   # a folder of data
    assert find_vocabulary() is None
    package.rmdir()
    (package.parent / "clip.py").write_text("")
    importlib.invalidate_caches()
    assert find_vocabulary() is None
    monkeypatch.setitem(sys.modules, "clip", types.ModuleType("clip"))
    assert find_vocabulary() is None
