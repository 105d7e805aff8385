"""Tokenizers as today's libraries save them, and words that somebody added: read alike by
load, inspect and convert, and by transformers afterwards."""
import json
import shutil

import pytest
import torch
from pipelines import (
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
