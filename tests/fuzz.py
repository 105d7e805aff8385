"""Fuzzing of the two parsers that take foreign bytes: checkpoints and pictures. Whatever they get, they succeed or raise InputError.

    pip install atheris                                             the coverage-guided fuzzer; Linux and macOS
    python tests/fuzz.py checkpoint -max_total_time=3600            options are libFuzzer's
    python tests/fuzz.py picture -max_total_time=3600

Seeds are made here, from tiny good files. A finding does not stop the run: the first input of each kind is kept under --findings
(default: runs/fuzz), with its traceback; crashes, hangs and memory beyond the limit stop it, and libFuzzer keeps their input
there too. test_fuzz.py checks the same properties with inputs from hypothesis and replays what was ever found.

A checkpoint's input is not the file but a list of choices: which places of a good checkpoint change, and into what.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
if __name__ == "__main__":                               # before the imports below: atheris rewrites what it watches on import
    import atheris
    with atheris.instrument_imports(include=["minifaseg", "PIL", "safetensors"]):
        import PIL.Image

        from minifaseg.checkpoints import command
        PIL.Image.init()

import contextlib
import io
import json
import math
import random
import re
import struct
import tempfile
import time
import traceback
import warnings
import zlib
from copy import deepcopy
from functools import cache

import torch
from PIL import Image

from minifaseg.checkpoints import command, tensor_names
from minifaseg.checkpoints.checkpoint import PREFIX, Checkpoint
from minifaseg.checkpoints.convert import folder_configs
from minifaseg.checkpoints.hub import FOLDER
from minifaseg.errors import InputError
from minifaseg.pictures.formats import FORMATS
from minifaseg.pictures.opening import open_image
from minifaseg.text import Text, TextConfig
from minifaseg.unet import UNet, UNetConfig
from minifaseg.vae import VAE, VAEConfig

try:
    import resource
except ImportError:                                      # Windows
    resource = None

LIMITS = ["-timeout=60", "-rss_limit_mb=3000"]
MAX_PIXELS = 1 << 20                                     # the bound under test; the default's 179 million take seconds to decode
SECONDS, MEGABYTES = 10, 500                             # that reading one input may take
LONGEST = 4096                                           # bytes of a picture
PARTS = ("unet_config", "vae_config", "text_config", "unet", "vae", "text")
EXECUTES = ("pickle.find_class", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect")


# ---- what must hold ----------------------------------------------------------------------------------------------------------------
class Broken(Exception):
    """A property does not hold; other exceptions than InputError speak for themselves."""


@cache
def executed():
    """A list that grows when a pickle calls, a program starts or a connection opens: an exception could be swallowed."""
    seen = []
    sys.addaudithook(lambda event, args: event in EXECUTES and seen.append(event))
    return seen


@contextlib.contextmanager
def only_input_errors():
    """Lets InputError pass, if it is one line of bounded length, and nothing else; looks at what was executed, time and memory."""
    seen, start, high = len(executed()), time.process_time(), most_memory()
    try:
        yield
    except InputError as e:
        if len(str(e).splitlines()) != 1 or len(str(e)) > 3000:
            raise Broken(f"not one short line: {str(e)[:3000]!r}") from e
    if executed()[seen:]:
        raise Broken(f"executed: {executed()[seen:]}")
    if time.process_time() - start > SECONDS:
        raise Broken(f"took {time.process_time() - start:.1f} s")
    if most_memory() - high > MEGABYTES:
        raise Broken(f"took {most_memory() - high} MB")


def most_memory():
    """Megabytes that this process had at its worst so far; 0 on Windows."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1 << 20 if sys.platform == "darwin" else 1 << 10) if resource else 0


def check_picture(data):
    with only_input_errors(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = open_image(data, max_pixels=MAX_PIXELS)
        if picture.mode != "RGB" or not 0 < picture.width * picture.height <= MAX_PIXELS:
            raise Broken(f"a picture of {picture.mode} {picture.size}")


def check_checkpoint(path):
    """All that reads a checkpoint; what `weights.py inspect` finds good must load and compute."""
    good, read = None, {}
    with only_input_errors(), contextlib.redirect_stdout(io.StringIO()):
        good = command.inspect(path) == 0
    with only_input_errors():
        file = Checkpoint(path)
        for name in PARTS:
            with only_input_errors():
                read[name] = getattr(file, name)()
    if good and len(read) < len(PARTS):
        raise Broken(f"inspect says that it loads, but it does not read {set(PARTS) - set(read)}")
    if good:
        with only_input_errors(), torch.inference_mode():
            unet, vae, text = (read[name].float() for name in ("unet", "vae", "text"))
            side = vae.factor * 2 ** (len(unet.config.widths) - 1)
            unet(vae.encode(torch.zeros(1, 3, side, side)), 1, text(["ab a"]))


# ---- choices -----------------------------------------------------------------------------------------------------------------------
class Dice:
    """Choices read off bytes, so that a fuzzer that knows nothing but bytes can steer them; 0 when they are used up."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def __bool__(self):
        return self.at < len(self.data)

    def below(self, n):
        size = 1 if n <= 256 else 2 if n <= 65536 else 4
        self.at += size
        return int.from_bytes(self.data[self.at - size:self.at], "big") % n

    def pick(self, things):
        return things[self.below(len(things))]


def edit(data, dice, odd=(b"", b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\n", b'"', b"\0" * 300)):
    """A few changes of bytes anywhere: set, insert, remove, double, cut off."""
    data = bytearray(data)
    for _ in range(1 + dice.below(4)):
        at, length, put = dice.below(len(data) + 1), dice.below(256), dice.pick(odd)
        what = dice.below(6)
        if what == 0 and at < len(data):
            data[at] = length
        elif what == 1:
            data[at:at + len(put)] = put
        elif what == 2:
            data[at:at] = put
        elif what == 3:
            del data[at:at + length]
        elif what == 4:
            data[at:at] = data[at:at + length]
        elif what == 5:
            del data[at:]
    return bytes(data)


# ---- checkpoints -------------------------------------------------------------------------------------------------------------------
SIZES = [0, 1, 2, 3, 4, 5, 8, 9, 16, 77, 320, 1024, 4096, 49408, 1 << 20, 1 << 31, 1 << 40, (1 << 63) - 1, 1 << 63, 10 ** 30, -1]
ODD = [*SIZES, None, True, False, 0.0, -0.5, 0.18215, 1e308, math.inf, math.nan, "", "x", "8", "a\nb", "x" * 5000, "\u2028", [], {}, [8],
       [4, 8, 8], ["cat", 3], [[]], {"heads": 2}, {"x": None}, {"vocab_json": "{}", "merges_txt": ""}]
FACTS = ["unet", "vae", "text", "tokenizer", "words", "side", "heads", "groups", "scaling", "num_attention_heads", "norm_num_groups", "hidden_act",
         "prediction_type", "_class_name", "auto_map", "tokenizer_file", "added_tokens_decoder", "x", ""]
RAW_JSON = ["", "{", "[]", "null", "1", '"x"', "NaN", "{}", "[" * 100_000, '{"a":' * 100_000, "9" * 5000, "\ufeff{}", '{"heads": %s}' % ("9" * 5000),
            '{"unet": 1}', '{"text": {"heads": 2, "heads": 0}}']
RAW_BYTES = [b"", b"\0", b"\xff\xfe{\0}\0", b"\x80\x04.", b"PK\x03\x04", b"<!doctype html>", b"version https://git-lfs", b"[" * 50_000,
             struct.pack("<Q", 2) + b"{}", struct.pack("<Q", 1 << 63) + b"{", struct.pack("<Q", 3000) + b"{"]
TYPES = ["F16", "F32", "F64", "BF16", "I64", "I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3", "C64", "U16", "U64", "X9", "", 7]
BYTES = {"F16": 2, "BF16": 2, "U16": 2, "F32": 4, "F64": 8, "I64": 8, "U64": 8, "C64": 8, "F4": 0.5, "F6_E2M3": 0.75}
NUMBERS = ["0", "1", "2", "3", "4", "6", "11", "12", "99", "1000", "9999999", "99999999999", "9" * 5000, "-1", "x", "", "\u0663", "01", "1.0", " 1"]
WORDS = ["", "weight", "bias", "0", "x\ny", "attn1", "position_ids", "to_q", "query"]
FOREIGN = ["lora_unet_down.lora_down.weight", "conditioner.embedders.0.x", "cond_stage_model.model.ln_final.bias", "control_model.x", "betas",
           "model_ema.x", "x" * 5000, "", "\n", "a\r\nb\u2028c", "..", "../../x", "\0", "\U0001f408", "model.diffusion_model.", "first_stage_model.",
           "text_model.", "__metadata__x", "cond_stage_model.transformer.text_model.embeddings.position_ids",
           "model.diffusion_model.input_blocks.x.0.op.weight"]


@cache
def good_checkpoints():
    """A single file and a folder of the smallest sizes, both {path: content}, as JSON. A tensor is [type, shape, offsets, None: as they come]."""
    unet = UNetConfig(widths=(4, 4), blocks=1, attention=(True, False), context=4, heads=2, groups=2)
    vae, text = VAEConfig(widths=(4, 4), blocks=1, groups=2), TextConfig(width=4, layers=1, mlp=4, tokens=8, vocabulary=8, heads=2)
    vocab, merges = {t: i for i, t in enumerate(["a", "a</w>", "b", "b</w>", "ab", "<|startoftext|>", "<|endoftext|>"])}, "#version: 0.2\na b\n"
    with torch.device("meta"):
        nets = {"unet": UNet(unet), "vae": VAE(vae), "text": Text(text).build()}
    headers = {part: {tensor_names.unwrapped(k): ["F16", list(v.shape), None] for k, v in net.state_dict().items()}
               for part, net in nets.items()}
    notes = {"unet": {"heads": 2, "groups": 2}, "vae": {"groups": 2, "scaling": 0.5}, "text": {"heads": 2}, "words": ["a", "ab"], "side": 16,
             "tokenizer": {"vocab_json": json.dumps(vocab), "merges_txt": merges}}
    single = {"__metadata__": {"format": "pt", "minifaseg": notes}} | {PREFIX[p] + k: v for p, header in headers.items() for k, v in header.items()}
    theirs = {"unet": lambda k: tensor_names.rename(k, tensor_names.unet_table(1, [True, False])), "vae": lambda k: tensor_names.rename(k, tensor_names.vae_table(2, 1)),
              "text": lambda k: "text_model." + k}
    folder = {f"{FOLDER[p]}.safetensors": {theirs[p](k): v for k, v in header.items()} for p, header in headers.items()}
    folder |= folder_configs(unet, vae, text, 6, 7) | {"minifaseg.json": {"words": ["a", "ab"], "side": 16}, "tokenizer/vocab.json": vocab,
              "tokenizer/tokenizer_config.json": {"tokenizer_class": "CLIPTokenizer", "model_max_length": 8}, "tokenizer/merges.txt": merges}
    return json.dumps([{"one.safetensors": single}, folder, newer(folder)])


def newer(folder):
    """The same in other files: the UNet in shards, the VAE as .bf16, the tokenizer in one file."""
    files, unet = dict(folder), f"{FOLDER['unet']}.safetensors"
    header, places = list(files.pop(unet).items()), {}
    for i, name in enumerate(("part-1-of-2.safetensors", "part-2-of-2.safetensors")):
        files[f"unet/{name}"] = dict(header[i::2])
        places |= dict.fromkeys(files[f"unet/{name}"], name)
    files[f"{unet}.index.json"] = {"weight_map": places}
    files[f"{FOLDER['vae']}.bf16.safetensors"] = files.pop(f"{FOLDER['vae']}.safetensors")
    vocab = files.pop("tokenizer/vocab.json")
    del files["tokenizer/merges.txt"]
    end = "<|endoftext|>"
    flags = dict.fromkeys(["lstrip", "rstrip", "normalized", "single_word"], False)
    files["tokenizer/tokenizer.json"] = {
        "version": "1.0",
        "added_tokens": [{"id": vocab[end], "content": end, "special": True} | flags],
        "model": {"type": "BPE", "vocab": vocab, "merges": [["a", "b"]],
                  "end_of_word_suffix": "</w>", "unk_token": end}}
    return files


def checkpoint_files(data):
    """{path: content} of a checkpoint gone wrong: first a good one as dicts, some places in it changed, then bytes."""
    dice = Dice(data)
    how = dice.below(8)
    if how == 7:
        return {"one.safetensors": data[1:]}
    files = json.loads(good_checkpoints())[how % 3]
    for _ in range(8):
        if not dice:
            break
        path = dice.pick(sorted(files))
        if isinstance(files[path], (str, bytes)) or dice.below(16) == 15:
            files[path] = dice.pick([*RAW_BYTES, None])
        elif path.endswith(".safetensors"):
            wrong_header(files[path], dice)
        else:
            files[path] = wrong_json(files[path], dice)
        files = {k: v for k, v in files.items() if v is not None} or {"empty": b""}
    return {k: encode(k, v, dice) for k, v in files.items()}


def wrong_header(header, dice):
    if not header:
        return
    key = dice.pick(list(header))
    what = dice.below(10)
    if what == 0 or "__metadata__" in header and what < 3:
        meta = header.setdefault("__metadata__", {"minifaseg": {}})
        if isinstance(meta, dict) and isinstance(meta.get("minifaseg"), dict):
            meta["minifaseg"] = wrong_json(meta["minifaseg"], dice)
        else:
            header["__metadata__"] = wrong_json(meta, dice)
    elif what == 1:
        del header[key]
    elif what < 5:
        header[wrong_key(key, dice)] = header.pop(key) if dice.below(2) else header[key]
    elif not isinstance(header[key], list):
        header[key] = deepcopy(dice.pick(ODD))
    elif what == 5:
        header[key][0] = dice.pick(TYPES)
    elif what == 6:
        header[key][2] = [dice.pick(SIZES), dice.pick(SIZES)]
    elif what == 7:
        header[key][1] = dice.pick([[], [0], [1 << 40, 0], [0, 1 << 62], [4, 4, 1, 1], [1] * 200, [1 << 20] * 4, None, "x", [-1], [2.5]])
    elif what == 8:                                      # many of its kind: levels, blocks, layers
        start, end = dice.pick(numbers(key) or [(0, 0)])
        header |= {f"{key[:start]}{i}{key[end:]}": ["F16", [0], None] for i in range(dice.pick([30, 300, 3000]))}
    else:
        shape = header[key][1]
        if isinstance(shape, list) and shape:
            shape[dice.below(len(shape))] = dice.pick(SIZES)
            if dice.below(2):                            # nothing to store, so any other size is free
                shape[dice.below(len(shape))] = 0


def numbers(key):
    return [m.span() for m in re.finditer(r"\d+", key)]


def wrong_key(key, dice):
    spans, what = numbers(key), dice.below(4)
    if what < 2 and spans:
        start, end = dice.pick(spans)
        return key[:start] + dice.pick(NUMBERS) + key[end:]
    if what == 2:
        words = key.split(".")
        words[dice.below(len(words))] = dice.pick(WORDS)
        return ".".join(words)
    return dice.pick(["", key.partition(".")[0] + "."]) + dice.pick(FOREIGN)


def wrong_json(value, dice):
    """The value with one place in it changed: removed, replaced, or named otherwise."""
    if not isinstance(value, (dict, list)) or not value or dice.below(6) == 0:
        return RawJson(dice.pick(RAW_JSON)) if dice.below(4) == 3 else deepcopy(dice.pick(ODD))
    place = dice.pick(sorted(value)) if isinstance(value, dict) else dice.below(len(value))
    what = dice.below(4)
    if what == 0:
        del value[place]
    elif what == 1 and isinstance(value, dict):
        value[dice.pick(FACTS)] = value[place]
    else:
        value[place] = wrong_json(value[place], dice)
    return value


class RawJson(str):
    """JSON, or not quite, that stands for itself."""


def as_json(value):
    """json.dumps, with RawJson put in as it is."""
    raw = []

    def mark(v):
        if isinstance(v, RawJson):
            raw.append(v)
            return f"@raw{len(raw) - 1}@"
        return {k: mark(x) for k, x in v.items()} if isinstance(v, dict) else [mark(x) for x in v] if isinstance(v, list) else v
    text = json.dumps(mark(value))
    for i, v in enumerate(raw):
        text = text.replace(f'"@raw{i}@"', v)
    return text


def encode(path, content, dice):
    if isinstance(content, bytes):
        return content
    if path.endswith(".safetensors"):
        content = safetensors_bytes(content)
    else:
        content = (content if isinstance(content, str) and path.endswith(".txt") else as_json(content)).encode("utf-8", "surrogatepass")
    return edit(content, dice) if dice.below(16) == 15 else content


def safetensors_bytes(header):
    """The format: header's length, the header as JSON, the tensors (here zeros; those too large to write are left out)."""
    entries, at = {}, 0
    for key, entry in header.items():
        if key == "__metadata__" and isinstance(entry, dict):
            entries[key] = {k: v if isinstance(v, str) and not isinstance(v, RawJson) else as_json(v) for k, v in entry.items()}
        elif not isinstance(entry, list) or len(entry) != 3:
            entries[key] = entry
        else:
            kind, shape, offsets = entry
            sized = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
            size = int((math.prod(shape) if sized else 0) * BYTES.get(kind, 1))
            entries[key] = {"dtype": kind, "shape": shape, "data_offsets": offsets or [at, at + size]}
            at += size
    text = as_json(entries).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + b"\0" * (at if at < 1 << 20 else 0)


def write_files(folder, files):
    """Puts them there; returns the path to give to Checkpoint."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder / "one.safetensors" if "one.safetensors" in files else folder


def check_checkpoint_files(files):
    with tempfile.TemporaryDirectory() as folder:
        check_checkpoint(write_files(Path(folder), files))


def checkpoint_seeds():
    rng = random.Random(0)
    tiny = safetensors_bytes({"__metadata__": {"format": "pt"}, "model.diffusion_model.out.0.bias": ["F16", [1], None]})
    return {"single": b"\0", "folder": b"\1", "raw": b"\7" + tiny, **{f"wrong-{i}": rng.randbytes(24) for i in range(60)}}


# ---- pictures ----------------------------------------------------------------------------------------------------------------------
@cache
def picture_seeds():
    """Good files of 8 x 8 pixels: every format that is let in, in every mode that the format takes, and what phones and scanners do."""
    Image.init()
    colours = Image.frombytes("RGB", (8, 8), random.Random(0).randbytes(192))
    modes = {mode: colours.convert(mode) for mode in ("RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr", "I", "F")}
    modes["I;16"] = modes["I"].convert("I;16")
    plain = {f"{kind}-{mode}": (kind, picture, {}) for kind in FORMATS for mode, picture in modes.items()}
    exif = Image.Exif()
    exif[0x0112] = 6                                     # Orientation: a quarter turn
    text = {"comment": b"a" * 9, "exif": exif.tobytes()}
    special = {"JPEG-progressive": ("JPEG", colours, {"progressive": True} | text), "PNG-exif": ("PNG", modes["RGBA"], {"exif": exif}),
               "PNG-transparent": ("PNG", modes["P"], {"transparency": b"\0\1\2"}), "WEBP-lossless": ("WEBP", modes["RGBA"], {"lossless": True}),
               **{f"{kind}-frames": (kind, colours, {"save_all": True, "append_images": [colours.rotate(90)]})
                  for kind in ("GIF", "PNG", "WEBP", "AVIF", "TIFF", "MPO")}}
    special |= {f"TIFF-{c}": ("TIFF", modes["1" if c.startswith("group") else "RGB"], {"compression": c})
                for c in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group3", "group4", "zstd", "lzma", "webp")}
    seeds = {}
    for name, (kind, picture, options) in (plain | special).items():
        file = io.BytesIO()
        with contextlib.suppress(Exception):             # this format does not take this mode, or this Pillow has no such codec
            picture.copy().save(file, kind, **options)   # a copy, since Pillow leaves the options of one save on the picture
            seeds[name.replace(";", "")] = file.getvalue()
    return seeds


def mend_png(data):
    """Checksums of a PNG's chunks made right, else a decoder looks at nothing behind the first change."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    out, at = data[:8], 8
    while at + 12 <= len(data):
        length = struct.unpack(">I", data[at:at + 4])[0]
        end = at + 8 + length
        if end + 4 > len(data):
            break
        out += data[at:end] + struct.pack(">I", zlib.crc32(data[at + 4:end]))
        at = end + 4
    return out + data[at:]


def wrong_picture(data):
    dice = Dice(data)
    seeds = picture_seeds()
    return mend_png(edit(seeds[dice.pick(sorted(seeds))], dice))


# ---- the fuzzer --------------------------------------------------------------------------------------------------------------------
TARGETS = {"checkpoint": (checkpoint_files, check_checkpoint_files, checkpoint_seeds, 400),
           "picture": (lambda data: {"picture": data}, lambda files: check_picture(files["picture"]), picture_seeds, LONGEST)}


def keep(folder, error, files):
    """The first input of each kind of failure: the exception and the function it came from, in this repository and in all."""
    frames = traceback.extract_tb((error.__cause__ or error).__traceback__)
    ours = [f for f in frames if "site-packages" not in f.filename and Path(f.filename).name != "fuzz.py"] or frames
    last = f"{Path(ours[-1].filename).stem}-{ours[-1].name}-{Path(frames[-1].filename).stem}-{frames[-1].name}"
    place = folder / re.sub(r"[^\w-]+", "", f"{type(error).__name__}-{last}")
    if not place.exists():
        place.mkdir(parents=True)
        write_files(place, files)
        (place / "traceback.txt").write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="replace")
        print(f"finding: {place.name}", flush=True)


def main(target, *options):
    prepare, check, seeds, longest = TARGETS[target]
    findings = Path(next((o.partition("=")[2] for o in options if o.startswith("--findings=")), "runs/fuzz"))
    findings.mkdir(parents=True, exist_ok=True)
    check(prepare(b"\0"))                                # a good checkpoint, which imports transformers: seconds that are no input's
    corpus = tempfile.TemporaryDirectory()
    for name, seed in seeds().items():
        Path(corpus.name, name).write_bytes(seed)

    def one_input(data):
        files = prepare(data)
        try:
            check(files)
        except Exception as e:
            keep(findings, e, files | {"input": data})

    mutator = None if target == "checkpoint" else lambda data, most, seed: mend_png(atheris.Mutate(data, most))[:most]
    atheris.Setup([sys.argv[0], f"-max_len={longest}", f"-artifact_prefix={findings}/", *LIMITS,
                   *(o for o in options if not o.startswith("--")), corpus.name], one_input, custom_mutator=mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(__doc__)
    main(*sys.argv[1:])
