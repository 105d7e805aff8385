"""The two layouts of a checkpoint on disk: an original single file, or a diffusers folder.

Either way: which stored tensor is which of ours (`keys`), which belong to no network (`unread`),
and what the files say of themselves. Files are opened here, tensors are read later.
"""
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import InputError, first_few, short
from .hub import FOLDER, best_variant, weight_files
from .other_models import check_kind, check_prediction, check_scheduler, check_yaml, sign_of_2x
from .refusals import explain_missing
from .safe_opening import open_file, parse_json, read_json, read_text
from .tensor_names import from_folder, from_single

MOST_SHARDS = 100


class Layout:
    """Where all tensors lie, and what the files say.

    keys[part]: our name -> (stored name, open file). unread: stored names outside the networks.
    notes: minifaseg's own, such as sizes, words, tokenizer. metadata: all that other tools wrote.
    files[part], of a folder: (variant read, {variant: file}).
    """

    def __init__(self, path: Path) -> None:
        self.path, self.single = path, not path.is_dir()
        self.keys: dict[str, dict] = {"unet": {}, "vae": {}, "text": {}}
        self.unread: list[str] = []
        self.notes: dict[str, Any] = {}
        self.metadata: dict[str, str] = {}
        self.files: dict[str, tuple] = {}

    def add(self, files: Iterable, places: Callable) -> None:
        """The tensors of a single file, or of all shards of a part.

        places: stored names -> {stored name: (part or None, our name)}. Raises InputError where it
        is not clear which of two tensors counts.
        """
        owner: dict[str, Any] = {}             # stored name -> file
        for file in files:
            self.metadata |= file.metadata() or {}
            for stored in file.keys():
                if stored in owner:
                    raise InputError(f"{self.path}: {short(stored)} is in two shards; "
                                     "download it again")
                owner[stored] = file

        for stored, (part, ours) in places(owner).items():
            if part is None:
                self.unread.append(stored)
            elif ours in self.keys[part]:
                names = first_few([stored, self.keys[part][ours][0]])
                raise InputError(f"{self.path}: surplus tensors: {names} are two names of one "
                                 f"tensor of the {part}; keep the right one")
            elif (part, ours) != ("text", "embeddings.position_ids"):    # of old transformers
                self.keys[part][ours] = (stored, owner[stored])

    def settings(self, part: str) -> dict[str, Any]:
        """What tensor shapes cannot tell of a part; {} for SD 1.5's values. Raises InputError."""
        read = _settings_in_notes if self.single else _settings_in_config
        where, settings = read(self, part)
        for name, value in settings.items():
            _check_setting(where, part, name, value)
        return settings


def open_layout(path: Path, half: bool = False) -> Layout:
    """Opens a checkpoint's files. Raises InputError.

    half: of a folder with several variants of the weights, prefer those in float16.
    """
    layout = Layout(path)
    if layout.single:
        layout.add([open_file(path)], from_single)
        layout.notes = parse_json(path, layout.metadata.pop("minifaseg", "{}"))
        yaml = path.with_suffix(".yaml")
        if yaml.is_file():
            check_yaml(yaml, read_text(yaml))
    else:
        layout.notes = read_json(path / "minifaseg.json")
        scheduler = path / "scheduler" / "scheduler_config.json"
        check_scheduler(scheduler, read_json(scheduler))
        for part in FOLDER:
            layout.add(_open_part(layout, part, half), partial(from_folder, part))

    check_prediction(path, layout.metadata)
    check_kind(path, layout.unread, layout.keys)
    return layout


def _open_part(layout, part, half):
    """The open files of a folder's part: one, or as many as its index lists."""
    folder, found = layout.path, weight_files(layout.path, part)
    variant = best_variant(found, half)
    if variant is None:
        pipeline = read_json(folder / "model_index.json") or read_json(folder / "config.json")
        raise InputError(f"{folder}: {explain_missing(folder, FOLDER[part], found, pipeline)}")
    layout.files[part] = (variant, found)
    path = found[variant]
    return map(open_file, tensor_files(path))


def tensor_files(path: Path) -> list[Path]:
    """A file that holds tensors by itself, or the shards that an index.json lists.

    These are files beside it, nowhere else. Raises InputError.
    """
    return _shards(path) if path.suffix == ".json" else [path]


def _shards(index):
    places = read_json(index).get("weight_map")
    _check_shards(index, places)
    return [index.parent / name for name in dict.fromkeys(places.values())]


def _check_shards(index, places):
    names = list(places.values()) if isinstance(places, dict) else [None]
    if not all(isinstance(name, str) and name == Path(name).name for name in names):
        raise InputError(f"{index}: its weight_map lists no files beside it; download it again")
    shards = len(set(names))
    if not 0 < shards <= MOST_SHARDS:
        raise InputError(f"{index}: lists {shards} shards, not 1 to {MOST_SHARDS}; "
                         "download it again")


# ---- what shapes cannot tell ---------------------------------------------------------------------
# Our name -> the names in a config.json, of which the last one that is given counts. For SD 1.x
# attention_head_dim is the head count (sic).
SETTINGS = {
    "unet": {"heads": ("attention_head_dim", "num_attention_heads"),
             "groups": ("norm_num_groups",)},
    "vae": {"groups": ("norm_num_groups",), "scaling": ("scaling_factor",)},
    "text": {"heads": ("num_attention_heads",)}}


def _settings_in_notes(layout, part):
    """(the file that says so, what the notes of a single file say of a part)."""
    settings = layout.notes.get(part, {})
    if not isinstance(settings, dict) or settings.keys() - SETTINGS[part]:
        known = ", ".join(sorted(SETTINGS[part]))
        raise InputError(f"{layout.path}: metadata of {part} is {short(settings)}, "
                         f"not numbers for {known}; download it again")
    return layout.path, settings


def _settings_in_config(layout, part):
    """(the config.json of a part of a folder, what it says)."""
    where = layout.path / Path(FOLDER[part]).parent / "config.json"
    config = read_json(where)
    settings = {}
    for ours, names in SETTINGS[part].items():
        for name in names:
            if config.get(name) is not None:
                settings[ours] = config[name]
    sign = sign_of_2x(activation=config.get("hidden_act", "quick_gelu"))
    if sign:
        raise InputError(f"{where}: {sign}")
    return where, settings


def _check_setting(where, part, name, value):
    """Is this a number that a network can be built with?"""
    kinds = (int, float) if name == "scaling" else (int,)
    if type(value) in kinds and 0 < value < 10**6:
        return
    hint = sign_of_2x(heads=value) or "download it again"
    raise InputError(f"{where}: {name} of {part} is {short(value)}, not a positive number; {hint}")
