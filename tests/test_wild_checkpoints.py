"""Single files as people have them: carried through many tools, with more in them than the three
networks, or under other names; and files whose network does not predict noise."""
import shutil
from pathlib import Path

import pytest
import torch
from pipelines import (
    changed,
    inspected,
    pipeline,
    same_tensors,
    same_words,
    saved,
    single,
    unpacked,
    words,
)
from safetensors.torch import load_file, save_file

import minifaseg
import weights
from minifaseg import InputError
from minifaseg.checkpoints.checkpoint import PREFIX
from minifaseg.checkpoints.hub import FOLDER, find

diffusers = pytest.importorskip("diffusers")
UNET, VAE, TEXT = PREFIX.values()


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
    assert "3 x first_stage_model.loss.*" in line or kind != "kl-f8"
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
