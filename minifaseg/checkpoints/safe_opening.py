"""Files that others made: opened without trust, and named when they are something else than a checkpoint of Stable Diffusion 1.x."""
import json
import os
import re
import struct

from safetensors import SafetensorError, safe_open

from ..errors import InputError

PICKLE = re.compile(rb"PK\x03\x04|\x80[\x02-\x05]|[}\]]q\0|\([dl]p\d+\n|c[\w.]+\n\w+\n")        # torch.save's archive; protocols 2 to 5, 1, 0
FIRST_FEW = 4
LARGEST_TEXT = 16 << 20        # bytes of a header or a JSON file: SD 1.5's header has 0.2 million; reading one takes ten times its size
MOST_TENSORS = 10_000
OTHERS = {                                                            # names of tensors -> the other kinds of file that people have
    r"lora_|base_model\.|.*[._]lora[._]|.*\.lora_": "a LoRA, which only changes another model; give the full checkpoint",
    r"conditioner\.|label_emb\.|add_embedding\.": "Stable Diffusion XL, not 1.x",
    r"cond_stage_model\.model\.": "Stable Diffusion 2.x, not 1.x",
    r"(model\.diffusion_model\.)?joint_blocks\.": "Stable Diffusion 3, not 1.x",
    r"(model\.diffusion_model\.)?(double_blocks|single_transformer_blocks)\.": "Flux, not Stable Diffusion 1.x",
    r"control_model\.|controlnet_|input_hint_block\.": "a ControlNet, not Stable Diffusion itself",
    r"first_stage_model\.quantize\.": "a model with a VQ autoencoder, not Stable Diffusion 1.x",
    r"v_pred$|edm_vpred\.": "a v-prediction model, FA-Seg needs one that predicts the noise",
    r"edm_mean$|edm_std$": "an EDM model, FA-Seg needs one that predicts the noise",
    r"ztsnr$": "a model for other noise levels (ztsnr) than Stable Diffusion 1.x"}
ALONE = {                                                             # one part, or less
    r"(down_blocks|input_blocks)\.": "a UNet alone; give the full checkpoint",
    r"(encoder\.conv_in|decoder\.conv_in|quant_conv)\.": "a VAE alone; give the full checkpoint",
    r"(text_model\.)?(embeddings|encoder\.layers)\.": "a text encoder alone; give the full checkpoint",
    r"emb_params$|clip_[lg]$|<.*>$": "a textual inversion, which only adds a word to a model; give the full checkpoint"}


def open_file(path):
    """safe_open with an error that says what the file is instead. Nothing is ever unpickled, whatever the file is called."""
    try:
        str(path).encode()                                            # raises UnicodeError
        with open(path, "rb") as f:
            if int.from_bytes(f.read(8), "little") > LARGEST_TEXT:
                raise ValueError(f"a header of more than {LARGEST_TEXT >> 20} MiB")
        file = safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as e:
        raise InputError(f"{path}: {diagnose(path, e)}") from None
    if len(file.keys()) > MOST_TENSORS:
        raise InputError(f"{path}: {len(file.keys()):,} tensors; Stable Diffusion 1.x has about 1,100, with a moving average 1,800")
    return file


def read_text(path) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as f:
            text = f.read(LARGEST_TEXT + 1)
    except OSError as e:
        why = e.strerror or e
        raise InputError(f"{path}: cannot be read ({why}); check its permissions") from None
    except UnicodeError as e:
        raise InputError(f"{path}: not UTF-8 ({one_line(e)}); download it again") from None
    if len(text) > LARGEST_TEXT:
        raise InputError(f"{path}: a text of more than {LARGEST_TEXT >> 20} MiB; download it again")
    return text


def read_json(path, text=None) -> dict:
    """The JSON object in `text`, or in the file."""
    text = read_text(path) if text is None else text
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise InputError(f"{path}: not valid JSON ({e}); download it again") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: JSON, but not an object; download it again")
    return content


def diagnose(path, error):
    if isinstance(error, UnicodeError):
        return "its path is not UTF-8, which safetensors cannot open; rename it"
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as f:
            head = f.read(512)
    except OSError as e:
        return f"cannot be read ({e.strerror or e})"
    except ValueError as e:
        return f"no file can have this name ({e})"
    text = head.lstrip().lower()
    if not size:
        return "an empty file; download it again"
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return f"a web page ({size} bytes), not weights; the download went wrong, try again (a login or licence page?)"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the weights themselves; run `git lfs pull`, or python weights.py download"
    if PICKLE.match(head):
        return "a pickle (.ckpt, .bin, .pt), which could run code and is never opened; get the .safetensors file"
    if len(head) >= 8 and 2 < struct.unpack("<Q", head[:8])[0] <= LARGEST_TEXT and head[8:9] == b"{":
        return f"truncated or damaged ({size} bytes: {one_line(error)}); download it again"
    return f"not a safetensors file ({one_line(error)})"


def recognise(keys, kinds=OTHERS):
    """A word for the other kinds of model that people have; None if the keys tell nothing."""
    return next((kind for pattern, kind in kinds.items() if any(re.match(pattern, k) for k in keys)), None)


# ---- what the network predicts -------------------------------------------------------------------
PREDICTION = ("modelspec.prediction_type", "modelspec.predict_key", "prediction_type")
# Stability's specification and kohya's scripts; ComfyUI; others


def check_prediction(path, says):
    """Raises InputError if a file's metadata says that its UNet does not predict the noise."""
    if str(says.get("ss_v_parameterization")).lower() == "true":      # kohya's training notes
        refuse_prediction(path, "v")
    for key in PREDICTION:
        if str(says.get(key) or "epsilon").lower() not in ("epsilon", "eps"):
            refuse_prediction(path, says[key])


def check_scheduler(path):
    """The same for a diffusers folder's scheduler_config.json."""
    says = read_json(path) if path.is_file() else {}
    check_prediction(path, says)
    if "FlowMatch" in str(says.get("_class_name")):
        refuse_prediction(path, "flow")
    if says.get("rescale_betas_zero_snr"):
        raise InputError(f"{path}: {recognise(['ztsnr'])}")


def check_yaml(path):
    """The same for the .yaml that web UIs want beside a single file trained on something else."""
    text = read_text(path) if path.is_file() else ""
    found = re.search(r"""^\s*parameterization:\s*["']?(\w+)""", text, re.MULTILINE)
    if found and found[1] not in ("eps", "epsilon"):
        refuse_prediction(path, found[1])


def refuse_prediction(path, says):
    says = "v_prediction" if says == "v" else says
    raise InputError(f"{path}: its network predicts {short(says)}, as some Stable Diffusion 2.x; "
                     "FA-Seg needs 1.x, which predicts the noise (epsilon)")


# ---- what is not there ---------------------------------------------------------------------------
def explain_no_file(path):
    return "a pipe or a device, not a file" if os.path.exists(path) else "no such file or folder"


def explain_missing(folder, stem, variants):
    """Why no weights of a part were found in a folder: is it something else?"""
    beside = (folder / stem).parent
    if variants:
        return (f"no {stem}.safetensors there, only the variants {few(variants)}; "
                "rename the right one")
    here = ""
    if list(beside.glob("*-of-*.safetensors")):
        here = " (only shards without their index.json)"
    elif list(beside.glob("*.bin")):
        here = " (only a .bin pickle, which is never opened)"
    configs = [folder / name for name in ("model_index.json", "config.json")]
    config = next((read_json(path) for path in configs if path.is_file()), {})
    says = config.get("_class_name", config.get("architectures"))
    hint = "is it a diffusers folder of Stable Diffusion 1.x?"
    if says not in (None, "StableDiffusionPipeline"):
        hint = (f"it says that it is a {short(says)}, "
                "FA-Seg needs a StableDiffusionPipeline of Stable Diffusion 1.x")
    return f"no {stem}.safetensors there{here}; {hint}"


# ---- words ---------------------------------------------------------------------------------------
def few(items):
    items = list(items)
    return ", ".join(map(short, items[:FIRST_FEW])) + (f" and {len(items) - FIRST_FEW} more" if len(items) > FIRST_FEW else "")


def short(item):
    return text if len(text := str(item)) <= 200 else f"{text[:200]}..."


def one_line(error):
    return " ".join(str(error).split())
