"""The two layouts of a checkpoint on disk: an original single file, or a diffusers folder.

Either way: which stored tensor is which of ours (`keys`), which belong to no network (`unread`),
and what the files say of themselves. Files are opened here, tensors are read later.
"""
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from . import tensor_names
from .hub import FOLDER, best_variant, weight_files
from .safe_opening import (
    ALONE,
    check_prediction,
    check_scheduler,
    check_yaml,
    explain_missing,
    few,
    open_file,
    read_json,
    recognise,
    short,
)

MOST_SHARDS = 100
SCHEDULE = ("model_ema.", "betas", "alphas_cumprod", "sqrt_", "log_one_minus_", "posterior_")
# what every original file holds beside the networks: noise levels, moving averages of the weights


@dataclass
class Layout:
    """Where all tensors lie. keys[part]: our name -> (stored name, file); unread: stored names."""
    path: Path
    single: bool
    notes: dict                                # minifaseg's own: sizes, words, tokenizer
    says: dict = field(default_factory=dict)   # all other metadata of the files
    files: dict = field(default_factory=dict)  # folder: part -> (variant read, {variant: file})
    keys: dict = field(default_factory=lambda: {"unet": {}, "vae": {}, "text": {}})
    unread: list = field(default_factory=list)

    def add(self, stored, file, part, ours):
        """One more tensor. Two stored names of one tensor raise InputError: which one counts?"""
        if part is None:
            self.unread.append(stored)
        elif ours in self.keys[part]:
            other = self.keys[part][ours][0]
            raise InputError(f"{self.path}: surplus tensors: {few([stored, other])} are two names "
                             f"of one tensor of the {part}; keep the right one")
        elif (part, ours) != ("text", "embeddings.position_ids"):     # a buffer of old transformers
            self.keys[part][ours] = (stored, file)

    def facts(self, part):
        """What shapes cannot tell of a part; {} for SD 1.5's values. Raises InputError."""
        where, facts = facts_in_notes(self, part) if self.single else facts_in_config(self, part)
        for name, value in facts.items():
            check_number(where, part, name, value)
        return facts


def open_layout(path, half=False) -> Layout:
    """`half`: of a folder with several variants of the weights, prefer those in float16."""
    return open_folder(Path(path), half) if Path(path).is_dir() else open_single(Path(path))


def open_single(path) -> Layout:
    file = open_file(path)
    says = file.metadata() or {}
    layout = Layout(path, True, read_json(path, says.pop("minifaseg", "{}")), says)
    for stored in file.keys():
        layout.add(stored, file, *tensor_names.from_single(stored))
    check_prediction(path, says)
    check_yaml(path.with_suffix(".yaml"))
    check_kind(layout)
    return layout


def open_folder(path, half=False) -> Layout:
    notes = path / "minifaseg.json"            # what a single file has in its metadata
    layout = Layout(path, False, read_json(notes) if notes.is_file() else {})
    check_scheduler(path / "scheduler" / "scheduler_config.json")
    for part in FOLDER:
        owner = {}                             # stored name -> file; a part may come in shards
        for file in open_part(layout, part, half):
            layout.says |= file.metadata() or {}
            for stored in file.keys():
                if stored in owner:
                    raise InputError(f"{path}: {part} holds {short(stored)} in two shards; "
                                     "download it again")
                owner[stored] = file
        for stored, place in tensor_names.from_folder(part, list(owner)).items():
            layout.add(stored, owner[stored], *place)
    check_prediction(path, layout.says)
    check_kind(layout)
    return layout


def open_part(layout, part, half):
    """The open files of a folder's part: one, or as many as its index lists."""
    found = weight_files(layout.path, part)
    variant = best_variant(found, half)
    if variant is None:
        raise InputError(f"{layout.path}: {explain_missing(layout.path, FOLDER[part], found)}")
    layout.files[part] = (variant, found)
    path = found[variant]
    if path.suffix != ".json":
        return [open_file(path)]
    return [open_file(path.parent / name) for name in shards(path)]


def shards(index) -> list[str]:
    """The names of the files that an index.json lists: files beside it, nowhere else."""
    places = read_json(index).get("weight_map")
    listed = list(places.values()) if isinstance(places, dict) else [None]
    if not all(isinstance(name, str) and name == Path(name).name for name in listed):
        raise InputError(f"{index}: its weight_map lists no files beside it; download it again")
    listed = list(dict.fromkeys(listed))
    if not 0 < len(listed) <= MOST_SHARDS:
        raise InputError(f"{index}: lists {len(listed)} shards, not 1 to {MOST_SHARDS}; "
                         "download it again")
    return listed


def check_kind(layout):
    """Raises InputError when the tensors outside the networks say that this is another model."""
    strange = [key for key in layout.unread if not tensor_names.unwrapped(key).startswith(SCHEDULE)]
    bare = [tensor_names.unwrapped(key) for key in strange]
    some = any(layout.keys.values())
    kind = recognise(bare) or (None if some else recognise(bare, ALONE))
    if kind or not some:
        kind = kind or "not a Stable Diffusion 1.x checkpoint"
        raise InputError(f"{layout.path}: {kind} (it holds {few(strange) or 'no tensors'})")


# ---- what shapes cannot tell ---------------------------------------------------------------------
KNOWN = {"unet": {"heads", "groups"}, "vae": {"groups", "scaling"}, "text": {"heads"}}
CONFIG = {"unet": {"heads": ("num_attention_heads", "attention_head_dim"),    # sic: for SD 1.x
                   "groups": ("norm_num_groups",)},                           # the head count
          "vae": {"groups": ("norm_num_groups",), "scaling": ("scaling_factor",)},
          "text": {"heads": ("num_attention_heads",)}}


def facts_in_notes(layout, part):
    facts = layout.notes.get(part, {})
    if not isinstance(facts, dict) or set(facts) - KNOWN[part]:
        known = ", ".join(sorted(KNOWN[part]))
        raise InputError(f"{layout.path}: metadata of {part} is {short(facts)}, "
                         f"not numbers for {known}; download it again")
    return layout.path, facts


def facts_in_config(layout, part):
    where = layout.path / Path(FOLDER[part]).parent / "config.json"
    config = read_json(where) if where.is_file() else {}
    facts = {}
    for ours, theirs in CONFIG[part].items():
        given = [config[name] for name in theirs if config.get(name) is not None]
        if given:
            facts[ours] = given[0]
    activation = config.get("hidden_act", "quick_gelu")
    if part == "text" and activation != "quick_gelu":
        raise InputError(f"{where}: a text encoder with {short(activation)}, "
                         "not Stable Diffusion 1.x (quick_gelu)")
    return where, facts


def check_number(where, part, name, value):
    real = name == "scaling" and type(value) is float
    if (type(value) is int or real) and 0 < value < 10**6:
        return
    hint = "download it again"
    if isinstance(value, list):
        hint = "Stable Diffusion 2.x or XL has such a list, 1.x has not"
    raise InputError(f"{where}: {name} of {part} is {short(value)}, not a positive number; {hint}")
