"""How other models are told from Stable Diffusion 1.x.

By the names of their tensors, by shapes and configurations, and by what their network predicts.
`check_...` raises InputError if it is another model; the other functions say which one it is.
"""
import re
from collections.abc import Collection
from pathlib import Path

from ..errors import InputError, first_few, short
from .tensor_names import unwrapped

OTHER_MODELS = {
    r"lora_|base_model\.|.*[._]lora[._]|.*\.lora_":
        "a LoRA, which only changes another model; give the full checkpoint",
    r"conditioner\.|label_emb\.|add_embedding\.": "Stable Diffusion XL, not 1.x",
    r"(model\.diffusion_model\.)?joint_blocks\.": "Stable Diffusion 3, not 1.x",
    r"(model\.diffusion_model\.)?(double_blocks|single_transformer_blocks)\.":
        "Flux, not Stable Diffusion 1.x",
    r"control_model\.|controlnet_|input_hint_block\.":
        "a ControlNet, not Stable Diffusion itself",
    r"first_stage_model\.quantize\.":
        "a model with a VQ autoencoder, not Stable Diffusion 1.x",
    r"v_pred$|edm_vpred\.": "a v-prediction model, FA-Seg needs one that predicts the noise",
    r"edm_mean$|edm_std$": "an EDM model, FA-Seg needs one that predicts the noise",
    r"ztsnr$": "a model for other noise levels (ztsnr) than Stable Diffusion 1.x"}
ONE_PART = {
    r"(down_blocks|input_blocks)\.": "a UNet alone; give the full checkpoint",
    r"(encoder\.conv_in|decoder\.conv_in|quant_conv)\.": "a VAE alone; give the full checkpoint",
    r"(embeddings|encoder\.layers)\.": "a text encoder alone; give the full checkpoint",
    r"emb_params$|clip_[lg]$|<.*>$":
        "a textual inversion, which only adds a word to a model; give the full checkpoint"}
# What every original file holds beside the networks: noise levels, moving averages of the weights.
SCHEDULE = ("model_ema.", "betas", "alphas_cumprod", "sqrt_", "log_one_minus_", "posterior_")


def sign_of_2x(names: Collection[str] = (), proj_in: tuple = (), context: int = 768,
               heads: object = 8, activation: object = "quick_gelu") -> str | None:
    """What shows that a checkpoint is Stable Diffusion 2.x (or XL) and not 1.x; None if nothing.

    Each of four signs is enough: names (of single files), proj_in (of every checkpoint), heads and
    activation (of a diffusers folder's configurations). A caller gives what it has just read; the
    defaults show nothing.

    names: of tensors. 2.x: cond_stage_model.model.*, which is OpenCLIP's text encoder. 1.x:
        cond_stage_model.transformer.*, CLIP's.
    proj_in: shape of the projection into a transformer of the UNet. 2.x and XL: a matrix
        (out, in), a linear projection. 1.x: (out, in, 1, 1), a 1 x 1 convolution.
    heads: attention_head_dim in unet/config.json. 2.x and XL: a list, one number a level. 1.x:
        one number.
    activation: hidden_act in text_encoder/config.json. 2.x: gelu. 1.x: quick_gelu.

    context, the channels of a text state, is no sign: where proj_in is a matrix, it tells 2.x
    (1024) from XL. That a model predicts v instead of the noise is no sign either, since some of
    2.x predict the noise: see check_prediction.
    """
    if any(name.startswith("cond_stage_model.model.") for name in names):
        return "Stable Diffusion 2.x, not 1.x"
    if len(proj_in) == 2:
        version = "Stable Diffusion 2.x" if context == 1024 else "not Stable Diffusion 1.x"
        return f"{version}: its transformers use linear projections"
    if isinstance(heads, list):
        return "Stable Diffusion 2.x or XL has such a list, 1.x has not"
    if activation != "quick_gelu":
        return f"a text encoder with {short(activation)}, not Stable Diffusion 1.x (quick_gelu)"
    return None


def recognise(names: Collection[str], kinds: dict = OTHER_MODELS) -> str | None:
    """The kind of model that has tensors of these names; None if they do not tell."""
    sign = sign_of_2x(names)
    if sign:
        return sign
    for pattern, kind in kinds.items():
        if any(re.match(pattern, name) for name in names):
            return kind
    return None


def check_kind(path: Path, unread: list[str], keys: dict) -> None:
    """Do the tensors outside the networks say that this is another model? See layouts.Layout."""
    others = [name for name in unread if not unwrapped(name).startswith(SCHEDULE)]
    bare = [unwrapped(name) for name in others]
    kind = recognise(bare)
    if not any(keys.values()):
        kind = kind or recognise(bare, ONE_PART)
        kind = kind or "not a Stable Diffusion 1.x checkpoint"
    if kind:
        raise InputError(f"{path}: {kind} (it holds {first_few(others) or 'no tensors'})")


# ---- what the network predicts -------------------------------------------------------------------
# The keys of Stability's specification and kohya's scripts, of ComfyUI, and of others.
PREDICTION = ("modelspec.prediction_type", "modelspec.predict_key", "prediction_type")


def check_prediction(path: Path, metadata: dict) -> None:
    """Does a file's metadata say that its UNet predicts something else than the noise?"""
    said = [metadata.get(key) for key in PREDICTION]
    if str(metadata.get("ss_v_parameterization")).lower() == "true":  # kohya's training notes
        said.append("v")
    for prediction in said:
        check_is_noise(path, prediction or "epsilon")


def check_scheduler(path: Path, config: dict) -> None:
    """The same for a diffusers folder's scheduler_config.json."""
    check_prediction(path, config)
    if "FlowMatch" in str(config.get("_class_name")):
        check_is_noise(path, "flow")
    if config.get("rescale_betas_zero_snr"):
        raise InputError(f"{path}: {recognise(['ztsnr'])}")


def check_yaml(path: Path, text: str) -> None:
    """The same for the .yaml that web UIs want beside a single file trained on something else."""
    found = re.search(r"""^\s*parameterization:\s*["']?(\w+)""", text, re.MULTILINE)
    if found:
        check_is_noise(path, found[1])


def check_is_noise(path: Path, prediction: object) -> None:
    """Is this one of the words for the noise? path: the file that says it."""
    if str(prediction).lower() not in ("epsilon", "eps"):
        prediction = "v_prediction" if prediction == "v" else prediction
        raise InputError(f"{path}: its network predicts {short(prediction)}, as some Stable "
                         "Diffusion 2.x; FA-Seg needs 1.x, which predicts the noise (epsilon)")
