"""Checkpoints as people have them: saved by today's libraries, carried through many tools, with more
in them than the three networks, or under other names. Diffusers and transformers decide."""
import copy
import json
import os
import shutil
import struct
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import minifaseg
import weights
from conftest import make_diffusers
from minifaseg import InputError
from minifaseg.cartoon.words import tokenizer_files
from minifaseg.checkpoint import PREFIX, Checkpoint
from minifaseg.hub import FOLDER, find

diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")
SIZES = dict(widths=(8, 16, 16, 16), context=8, heads=2, groups=4, vae_widths=(8, 8, 8, 8),
             text_layers=1, text_heads=2, text_mlp=8, vae_groups=4)
UNET, VAE, TEXT = PREFIX.values()
PROMPT = "a red cat near <my-cat>, under a tree"


def make_pipeline(words, size, **tokenizer):
    """A whole StableDiffusionPipeline of diffusers, as thin as the plan allows."""
    from diffusers import PNDMScheduler, StableDiffusionPipeline
    ids = dict(bos_token_id=size - 2, eos_token_id=size - 1, pad_token_id=size - 1)
    unet, vae, text = make_diffusers(**SIZES, vocab_size=size, **ids)
    scheduler = PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                              skip_prk_steps=True, steps_offset=1)
    clip = transformers.CLIPTokenizer.from_pretrained(str(words), model_max_length=77)
    return StableDiffusionPipeline(vae=vae, text_encoder=text, tokenizer=clip, unet=unet,
                                   scheduler=scheduler, safety_checker=None,
                                   feature_extractor=None, requires_safety_checker=False)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """The cartoon world's vocab.json and merges.txt: 397 tokens."""
    folder = tmp_path_factory.mktemp("words")
    for name, content in zip(("vocab.json", "merges.txt"), tokenizer_files()):
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def pipeline(words):
    return make_pipeline(words, 397)


@pytest.fixture(scope="module")
def saved(pipeline, tmp_path_factory):
    """What the installed diffusers and transformers write."""
    path = tmp_path_factory.mktemp("saved") / "sd"
    pipeline.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def single(saved):
    path = saved.parent / "single.safetensors"
    assert weights.main(["convert", str(saved), str(path)]) == 0
    return path


def tensors(path):
    """Every tensor that we read, under our names; the VAE's 1 x 1 kernels as matrices."""
    return {(part, key): file.get_tensor(stored).squeeze()
            for part, keys in Checkpoint(path).keys.items()
            for key, (stored, file) in keys.items()}


def same_tensors(a, b):
    a, b = tensors(a), tensors(b)
    assert a.keys() == b.keys()
    for key in a:
        assert a[key].dtype == b[key].dtype and torch.equal(a[key], b[key]), key
    return True


def ids(tokenizer, prompt=PROMPT):
    return tokenizer(prompt, add_special_tokens=False)["input_ids"]


@torch.no_grad()
def same_words(path, pipeline):
    """The same ids and the same text states as the pipeline's own tokenizer and encoder make."""
    text = Checkpoint(path).text()
    assert text.pieces(PROMPT) == ids(pipeline.tokenizer)
    theirs = pipeline.tokenizer(PROMPT, padding="max_length", max_length=77, truncation=True,
                                return_tensors="pt").input_ids
    assert torch.equal(text.ids(text.pieces(PROMPT)), theirs[0])
    expected = pipeline.text_encoder.eval()(input_ids=theirs).last_hidden_state
    assert torch.allclose(text([PROMPT]), expected, atol=1e-5)
    return True


def inspected(path, capsys, code=0):
    capsys.readouterr()
    assert weights.main(["inspect", str(path)]) == code
    out, err = capsys.readouterr()
    return out + err


def changed(single, path, change=None, metadata=None):
    """The good single file with other tensors and other metadata."""
    state = load_file(single)
    with safe_open(single, "pt") as file:
        says = file.metadata() | (metadata or {})
    state = change(state) or state if change else state
    save_file(state, path, says)
    return path


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
    notes = Checkpoint(single).metadata
    del notes["tokenizer"]
    changed(single, path, metadata={"minifaseg": json.dumps(notes)})
    for beside in (tmp_path / "tokenizer", tmp_path):
        shutil.copytree(saved / "tokenizer", beside, dirs_exist_ok=True)
        assert same_words(path, pipeline)
        assert str(beside) in inspected(path, capsys)
        shutil.rmtree(tmp_path / "tokenizer", ignore_errors=True)


def metadata_of(path):
    with safe_open(path, "pt") as file:
        return file.metadata()


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
    assert "minifaseg" not in metadata_of(file) or "tokenizer" not in Checkpoint(file).metadata
    assert (tmp_path / "a/tokenizer/tokenizer_config.json").read_bytes() == \
        (tmp_path / "sd/tokenizer/tokenizer_config.json").read_bytes()
    assert same_words(file, pipe)
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


# ---- added words ---------------------------------------------------------------------------------
def with_inversion(pipeline):
    """A textual inversion loaded by diffusers itself: one more token, one more embedding."""
    pipe = copy.deepcopy(pipeline)
    pipe.load_textual_inversion({"<my-cat>": torch.randn(8)}, token="<my-cat>")
    return pipe


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


def round_trip(folder, pipe, tmp_path):
    """Folder -> single file -> folder -> single file: the same words and bits everywhere."""
    one, back, two = tmp_path / "one.safetensors", tmp_path / "back", tmp_path / "two.safetensors"
    for source, target in ((folder, one), (one, back), (back, two)):
        assert weights.main(["convert", str(source), str(target)]) == 0
        assert same_tensors(source, target) and same_words(target, pipe)
    assert unpacked(one) == unpacked(two)


def unpacked(path):
    """(header, bytes of all tensors); safetensors writes metadata in any order."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + size]), data[8 + size:]


def test_embeddings_without_a_word_are_named(pipeline, single, tmp_path, capsys):
    """Another tool kept the embedding of <my-cat> and lost the word: nobody can ask for it."""
    key = TEXT + "embeddings.token_embedding.weight"
    longer = changed(single, tmp_path / "x.safetensors",
                     lambda s: s | {key: torch.cat([s[key], torch.zeros(1, 8)])})
    assert "the text encoder knows 398: 1 of them have no word" in inspected(longer, capsys)


# ---- what the network predicts -------------------------------------------------------------------
@pytest.mark.parametrize("metadata, word", [
    ({"modelspec.prediction_type": "v"}, "v_prediction"),                     # kohya, OneTrainer
    ({"modelspec.predict_key": "v"}, "v_prediction"),                         # ComfyUI
    ({"prediction_type": "v_prediction"}, "v_prediction"),
    ({"ss_v_parameterization": "True"}, "v_prediction"),
    ({"modelspec.prediction_type": "sample"}, "sample")])
def test_metadata_that_says_no_noise(saved, single, tmp_path, capsys, metadata, word):
    path = changed(single, tmp_path / "x.safetensors", metadata=metadata)
    refused_prediction(path, path, word, capsys)
    shutil.copytree(saved, tmp_path / "sd")
    file = tmp_path / "sd" / f"{FOLDER['unet']}.safetensors"
    save_file(load_file(file), file, {"format": "pt"} | metadata)
    refused_prediction(tmp_path / "sd", tmp_path / "sd", word, capsys)


@pytest.mark.parametrize("names, word", [
    (["v_pred"], "v-prediction"), (["v_pred", "ztsnr"], "v-prediction"), (["ztsnr"], "ztsnr"),
    (["edm_vpred.sigma_max", "edm_vpred.sigma_min"], "v-prediction"),
    (["edm_mean", "edm_std"], "EDM"), (["state_dict.v_pred"], "v-prediction")])
def test_marker_tensors(single, tmp_path, capsys, names, word):
    """Empty tensors, as ComfyUI and newer trainers write them."""
    markers = {name: torch.tensor([]) for name in names}
    path = changed(single, tmp_path / "x.safetensors", lambda state: state | markers)
    refused_prediction(path, path, word, capsys)


def test_a_yaml_beside_the_file(single, tmp_path, capsys):
    """What web UIs want beside an SD 1.x model that was trained on v."""
    path = changed(single, tmp_path / "x.safetensors")
    yaml = tmp_path / "x.yaml"
    yaml.write_text("model:\n  params:\n    linear_start: 0.00085\n    use_ema: false\n")
    minifaseg.load(path, device="cpu")
    yaml.write_text('model:\n  params:\n    parameterization: "v"\n    linear_start: 0.00085\n')
    refused_prediction(path, yaml, "v_prediction", capsys)


@pytest.mark.parametrize("scheduler, change, word", [
    ("DDIMScheduler", dict(prediction_type="v_prediction"), "v_prediction"),
    ("DDIMScheduler", dict(rescale_betas_zero_snr=True), "ztsnr"),
    ("FlowMatchEulerDiscreteScheduler", {}, "flow")])
def test_schedulers_that_say_so(saved, tmp_path, capsys, scheduler, change, word):
    shutil.copytree(saved, tmp_path / "sd")
    getattr(diffusers, scheduler)(**change).save_pretrained(tmp_path / "sd/scheduler")
    config = tmp_path / "sd/scheduler/scheduler_config.json"
    refused_prediction(tmp_path / "sd", config, word, capsys)


def refused_prediction(path, named, word, capsys):
    with pytest.raises(InputError) as e:
        minifaseg.load(path, device="cpu")
    message = str(e.value)
    assert str(named) in message and word in message, message
    assert word in inspected(path, capsys, code=1)
    assert weights.main(["convert", str(path), str(named.parent / "no.safetensors")]) == 1


@pytest.mark.parametrize("metadata", [
    {"modelspec.prediction_type": "epsilon"}, {"modelspec.predict_key": "epsilon"},
    {"ss_v_parameterization": "False"}, {"modelspec.prediction_type": ""}])
def test_metadata_that_says_noise(single, tmp_path, capsys, metadata):
    metadata = metadata | {"modelspec.title": "My cats", "modelspec.license": "mine"}
    path = changed(single, tmp_path / "x.safetensors", metadata=metadata)
    minifaseg.load(path, device="cpu")
    assert "modelspec.title: My cats" in inspected(path, capsys)
    for source, target in ((path, tmp_path / "sd"), (tmp_path / "sd", tmp_path / "y.safetensors")):
        assert weights.main(["convert", str(source), str(target)]) == 0
    assert unpacked(path) == unpacked(tmp_path / "y.safetensors")     # the title goes along


# ---- more than the three networks ----------------------------------------------------------------
LOSS = "first_stage_model.loss."
EXTRAS = {
    "comfyui": {"cond_stage_model.logit_scale": (),
                "cond_stage_model.transformer.text_projection.weight": (8, 8)},
    "clip": {"cond_stage_model.transformer.logit_scale": (),
             "cond_stage_model.transformer.visual_projection.weight": (8, 8),
             "cond_stage_model.transformer.vision_model.encoder.layers.0.mlp.fc1.bias": (8,)},
    "kl-f8": {LOSS + "logvar": (), LOSS + "perceptual_loss.lin0.model.1.weight": (1, 64, 1, 1),
              LOSS + "discriminator.main.0.weight": (64, 3, 4, 4)},
    "vae-ema": {"first_stage_model.model_ema.decay": (),
                "first_stage_model.model_ema.encoderconv_inweight": (8, 3, 3, 3)},
    "ema": {"model_ema.decay": (), "model_ema.num_updates": (),
            "model_ema.diffusion_modelout2bias": (4,)},
    "sgm": {"denoiser.sigmas": (1000,), "denoiser.weighting": (1000,)},
    "inversion": {"embedding_manager.string_to_param_dict.*": (1, 8),
                  "embedding_manager.initial_embeddings.*": (1, 8)},
    "training": {"scale_factor": (), "logvar": (1000,), "lvlb_weights": (1000,), "betas": (1000,),
                 "global_step": (), "optimizer.state.0.exp_avg": (8,), "epoch_state": (1,)},
    "safety": {"safety_checker.concept_embeds": (17, 8)}}


@pytest.mark.parametrize("kind", EXTRAS)
def test_tensors_of_no_network_are_left_unread(single, pipeline, tmp_path, capsys, kind):
    extra = {name: torch.zeros(shape) for name, shape in EXTRAS[kind].items()}
    path = changed(single, tmp_path / "x.safetensors", lambda state: state | extra)
    minifaseg.load(path, device="cpu")
    assert same_tensors(path, single)
    out = inspected(path, capsys)
    line = next(line for line in out.splitlines() if line.startswith("not read: "))
    assert all(name.split(".")[0] in line for name in extra), line
    assert weights.main(["convert", str(path), str(tmp_path / "y.safetensors")]) == 0
    assert f"{len(extra)} tensors outside the three networks are not copied" in \
        capsys.readouterr().err
    assert unpacked(tmp_path / "y.safetensors") == unpacked(single)


def wrapped(state, word):
    """What training tools put before the names, or into them."""
    return {word.format(*key.split(".", 1)): tensor for key, tensor in state.items()}


def old_text(state):
    return {key.replace("transformer.text_model.", "transformer."): v for key, v in state.items()}


@pytest.mark.parametrize("change", [
    lambda s: wrapped(s, "state_dict.{}.{}"), lambda s: wrapped(s, "module.{}.{}"),
    lambda s: wrapped(s, "state_dict.module.{}.{}"), lambda s: wrapped(s, "{}._orig_mod.{}"),
    lambda s: wrapped(s, "_orig_mod.module.{}.{}"), old_text,
    lambda s: wrapped(old_text(s), "module.{}.{}")],
    ids=["lightning", "parallel", "both", "compiled", "compiled-parallel", "old-text", "old-both"])
def test_other_names_for_the_same(single, pipeline, tmp_path, capsys, change):
    path = changed(single, tmp_path / "x.safetensors", change)
    assert same_tensors(path, single) and same_words(path, pipeline)
    assert "  stored as " in inspected(path, capsys)
    assert weights.main(["convert", str(path), str(tmp_path / "y.safetensors")]) == 0
    assert unpacked(tmp_path / "y.safetensors") == unpacked(single)


def test_two_names_of_one_tensor_are_refused(single, tmp_path):
    """A merge of an older and a newer file: nobody can tell which half counts."""
    both = changed(single, tmp_path / "x.safetensors",
                   lambda s: s | {key: v.clone() for key, v in old_text(s).items()})
    with pytest.raises(InputError, match="two names of one tensor of the text"):
        minifaseg.load(both, device="cpu")


@pytest.mark.parametrize("change, says", [
    (lambda s: s.pop(UNET + "out.2.bias"), "missing out.2.bias"),
    (lambda s: s.pop(VAE + "encoder.conv_in.bias"), "missing encoder.conv_in.bias"),
    (lambda s: s.pop(TEXT + "final_layer_norm.bias"), "missing final_layer_norm.bias"),
    (lambda s: s.update({UNET + "out.2.bias": torch.zeros(5)}), "is (5,), not (4,)"),
    (lambda s: s.update({UNET + "input_blocks.1.2.x": torch.zeros(5)}), "surplus input_blocks")])
def test_inside_a_network_all_is_strict(single, tmp_path, capsys, change, says):
    def damage(state):
        change(state)
        return state | {"logvar": torch.zeros(1)}
    path = changed(single, tmp_path / "x.safetensors", damage)
    with pytest.raises(InputError) as e:
        minifaseg.load(path, device="cpu")
    assert says in str(e.value)
    assert says in inspected(path, capsys, code=1)


@pytest.mark.parametrize("name, kind", [
    ("control_model.input_blocks.0.0.weight", "ControlNet"), ("lora_unet_x.alpha", "LoRA"),
    ("cond_stage_model.model.ln_final.bias", "Stable Diffusion 2.x"),
    ("conditioner.embedders.0.x", "XL"), ("first_stage_model.quantize.embedding.weight", "VQ")])
def test_another_model_stays_refused(single, tmp_path, name, kind):
    """Even with all three networks beside it, and however its names are wrapped."""
    for key in (name, "module." + name):
        path = changed(single, tmp_path / "x.safetensors", lambda s: s | {key: torch.zeros(1)})
        with pytest.raises(InputError, match=kind):
            minifaseg.load(path, device="cpu")


# ---- folders -------------------------------------------------------------------------------------
@pytest.mark.parametrize("options", [
    dict(variant="fp16"), dict(variant="bf16"), dict(variant="non_ema"), dict(variant="ema"),
    dict(max_shard_size="60KB"), dict(max_shard_size="60KB", variant="fp16")], ids=str)
def test_variants_and_shards(pipeline, saved, tmp_path, capsys, options):
    """As diffusers writes them."""
    pipeline.save_pretrained(tmp_path / "sd", **options)
    assert same_tensors(tmp_path / "sd", saved)
    minifaseg.load(tmp_path / "sd", device="cpu")
    named = "index" if "max_shard_size" in options else f".{options['variant']}.safetensors"
    line = next(x for x in inspected(tmp_path / "sd", capsys).splitlines() if "from diff" in x)
    assert named in line and options.get("variant", "") in line


def test_the_plain_file_before_its_variants(pipeline, saved, tmp_path, capsys):
    """As in the SD 1.5 repository: plain, .fp16 and, for the UNet, .non_ema, side by side."""
    shutil.copytree(saved, tmp_path / "sd")
    other = copy.deepcopy(pipeline)
    with torch.no_grad():
        other.unet.conv_out.bias += 1
    other.unet.save_pretrained(tmp_path / "sd/unet", variant="non_ema")
    copy.deepcopy(pipeline).to(dtype=torch.float16).save_pretrained(tmp_path / "sd", variant="fp16")
    assert same_tensors(tmp_path / "sd", saved)
    assert "not read: diffusion_pytorch_model.fp16.safetensors, " \
        "diffusion_pytorch_model.non_ema.safetensors" in inspected(tmp_path / "sd", capsys)
    half = Checkpoint(tmp_path / "sd", half=True).unet()
    assert half.out[2].bias.dtype == torch.float16
    (tmp_path / "sd/unet/diffusion_pytorch_model.safetensors").unlink()
    (tmp_path / "sd/unet/diffusion_pytorch_model.fp16.safetensors").unlink()
    bias = Checkpoint(tmp_path / "sd").unet().out[2].bias
    assert torch.equal(bias, other.unet.conv_out.bias)


def test_shards_that_lack_something(pipeline, tmp_path, capsys):
    pipeline.save_pretrained(tmp_path / "sd", max_shard_size="60KB")
    index = tmp_path / "sd/unet/diffusion_pytorch_model.safetensors.index.json"
    table = json.loads(index.read_text())
    shard = sorted(set(table["weight_map"].values()))[1]
    (tmp_path / "sd/unet" / shard).rename(tmp_path / "gone")
    with pytest.raises(InputError, match=f"{shard}: cannot be read"):
        minifaseg.load(tmp_path / "sd", device="cpu")
    (tmp_path / "gone").rename(tmp_path / "sd/unet" / shard)
    for wrong in (["../unet/" + shard], [""], [".."], ["a\0b"], [5], [], [None], ["\ud800"]):
        index.write_text(json.dumps({"weight_map": {str(i): w for i, w in enumerate(wrong)}}))
        with pytest.raises(InputError, match="unet"):
            minifaseg.load(tmp_path / "sd", device="cpu")
    index.unlink()
    with pytest.raises(InputError, match="only shards without their index.json"):
        minifaseg.load(tmp_path / "sd", device="cpu")


def test_a_variant_that_nobody_knows(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "sd")
    plain = tmp_path / "sd/unet/diffusion_pytorch_model.safetensors"
    plain.rename(plain.with_name("diffusion_pytorch_model.best.safetensors"))
    with pytest.raises(InputError, match="only the variants best; rename the right one"):
        minifaseg.load(tmp_path / "sd", device="cpu")


def test_a_whole_clip_as_text_encoder(saved, pipeline, tmp_path, capsys):
    """CLIPModel or CLIPTextModelWithProjection where CLIPTextModel belongs: its text half is it."""
    from transformers import CLIPConfig, CLIPModel, CLIPTextModelWithProjection
    text = pipeline.text_encoder.config
    vision = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
                  image_size=8, patch_size=4)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision, projection_dim=8)
    for model in (CLIPModel(config), CLIPTextModelWithProjection(text)):
        state = pipeline.text_encoder.state_dict()
        state = {k.removeprefix("text_model."): v for k, v in state.items()}
        model.text_model.load_state_dict(state, strict=False)
        path = tmp_path / type(model).__name__
        shutil.copytree(saved, path)
        model.save_pretrained(path / "text_encoder")
        shutil.copy(saved / "text_encoder/config.json", path / "text_encoder")
        assert same_words(path, pipeline)
        assert "text_projection.weight" in inspected(path, capsys)


def test_a_folder_written_by_a_wrapped_network(saved, tmp_path):
    """accelerate and torch.compile: module., _orig_mod. before diffusers' names."""
    for word in ("module.", "_orig_mod."):
        path = tmp_path / word
        shutil.copytree(saved, path)
        for stem in FOLDER.values():
            file = path / f"{stem}.safetensors"
            save_file({word + k: v for k, v in load_file(file).items()}, file, {"format": "pt"})
        assert same_tensors(path, saved)


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_hub_snapshot_is_a_folder_of_links(saved, pipeline, tmp_path):
    """The names are in the snapshot, the bytes in blobs/ under their checksums."""
    (tmp_path / "blobs").mkdir()
    for i, path in enumerate(sorted(p for p in saved.rglob("*") if p.is_file())):
        link = tmp_path / "snapshots/1" / path.relative_to(saved)
        link.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "blobs" / str(i))
        link.symlink_to(tmp_path / "blobs" / str(i))
    assert same_tensors(tmp_path / "snapshots/1", saved)
    assert same_words(tmp_path / "snapshots/1", pipeline)


# ---- conversion ----------------------------------------------------------------------------------
def test_convert_keeps_the_number_types(pipeline, tmp_path):
    """A float16 UNet beside a float32 VAE, as many fine-tunes are; and all in bfloat16."""
    mixed = copy.deepcopy(pipeline)
    mixed.unet.half()
    mixed.save_pretrained(tmp_path / "mixed")
    copy.deepcopy(pipeline).to(dtype=torch.bfloat16).save_pretrained(tmp_path / "bf16")
    for name in ("mixed", "bf16"):
        one, two = tmp_path / f"{name}1.safetensors", tmp_path / f"{name}2.safetensors"
        back = tmp_path / f"{name}-back"
        for source, target in ((tmp_path / name, one), (one, back), (back, two)):
            assert weights.main(["convert", str(source), str(target)]) == 0
            assert same_tensors(source, target)
        assert unpacked(one) == unpacked(two)


# ---- small things --------------------------------------------------------------------------------
@pytest.mark.parametrize("gone", [("encoder.",), ("encoder.", "quant_conv.")])
def test_a_vae_without_an_encoder(single, tmp_path, capsys, gone):
    """A decoder alone, as for faster painting."""
    gone = tuple(VAE + name for name in gone)
    path = changed(single, tmp_path / "x.safetensors",
                   lambda s: {k: v for k, v in s.items() if not k.startswith(gone)})
    with pytest.raises(InputError, match="its VAE has no encoder"):
        minifaseg.load(path, device="cpu")
    out = inspected(path, capsys, code=1)
    assert "its VAE has no encoder" in out and "tuple index" not in out


@pytest.mark.parametrize("gone, says", [
    (UNET + "input_blocks.", "input_blocks"), (TEXT + "encoder.layers.", "encoder.layers.0"),
    (VAE + "encoder.down.", "no encoder"), (UNET + "middle_block.", "middle_block")])
def test_a_network_without_its_blocks(single, tmp_path, gone, says):
    path = changed(single, tmp_path / "x.safetensors",
                   lambda s: {k: v for k, v in s.items() if not k.startswith(gone)})
    with pytest.raises(InputError) as e:
        minifaseg.load(path, device="cpu")
    assert says in str(e.value) and "tuple index" not in str(e.value)


def test_home(single, saved, tmp_path, monkeypatch):
    """`~` in load(), in $MINIFASEG_WEIGHTS, and given to convert."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))                  # Windows
    shutil.copy(single, tmp_path / "sd.safetensors")
    shutil.copytree(saved, tmp_path / "sd")
    for name in ("~/sd.safetensors", "~/sd", Path("~/sd")):
        assert minifaseg.load(name, device="cpu").checkpoint.path.is_relative_to(tmp_path)
    monkeypatch.setenv("MINIFASEG_WEIGHTS", "~/sd.safetensors")
    assert find() == tmp_path / "sd.safetensors"
    minifaseg.load(device="cpu")
    assert weights.main(["convert", "~/sd", "~/new.safetensors"]) == 0
    assert (tmp_path / "new.safetensors").is_file()
    with pytest.raises(InputError, match="no such file"):
        minifaseg.load("~nobody-here/sd", device="cpu")
