"""weights.py inspect: what a checkpoint holds, printed."""
from collections import Counter, defaultdict

from ..errors import InputError, first_few, one_line, shown
from .checkpoint import Checkpoint
from .download import megabytes
from .examine import examine
from .hub import find
from .safe_opening import open_file
from .tensor_names import PREFIX, WRAPPERS
from .tokenizer import FILE_OF

SHOWN = 30           # lines of one kind
LONGEST = 200        # characters of one


def inspect(path: str) -> int:
    """Prints what a checkpoint holds. Returns 0 if it would load, else 1. Raises InputError.

    path: what hub.find takes.
    """
    place = find(path)
    try:
        file = Checkpoint(place)
    except ValueError:
        _print_tensors(place)
        raise
    layout, loads = file.layout, True

    kind = "single file, original names" if layout.single else "diffusers folder"
    notes = f", notes: {', '.join(file.notes)}" if file.notes else ""
    print(f"{place}: {kind}{notes}")
    for key, value in sorted(layout.metadata.items()):
        if key.startswith("modelspec."):
            print(f"  {shown(key)}: {shown(one_line(value)[:LONGEST])}")

    for part in file.keys:
        facts, problems, remarks = examine(file, part)
        lines = [f"{part:9} {facts}", *_where(file, part), *problems[:SHOWN], *remarks[:SHOWN]]
        print(*map(shown, lines), sep="\n  ")
        if len(problems) > SHOWN:
            print(f"  and {len(problems) - SHOWN} more")
        loads &= not problems

    loads &= _inspect_tokenizer(file)
    if layout.unread:
        print("not read:", shown(", ".join(_groups(layout.unread))))
    print("loads" if loads else "does not load")
    return 0 if loads else 1


def _where(file, part):
    """A line on where a part lies, if that is not the usual place."""
    stored = file.keys[part]
    if file.layout.single:
        prefixes = {name.removesuffix(ours) for ours, (name, _) in stored.items()} - {PREFIX[part]}
        names = [f"{prefix}*" for prefix in sorted(prefixes)]
        return [f"stored as {first_few(names)}"] if names else []

    variant, found = file.layout.files[part]
    shards = len({id(opened) for _, opened in stored.values()})
    others = [path.name for other, path in found.items() if other != variant]
    if not (variant or others or shards > 1):
        return []
    line = f"from {found[variant].name}"
    if found[variant].suffix == ".json":
        line += f" ({shards} shards)"
    if others:
        line += f"; beside it, not read: {', '.join(others)}"
    return [line]


def _inspect_tokenizer(file):
    """Prints where the tokenizer is and what words were added; False if it or the notes are bad."""
    try:
        tokenizer, vocabulary = file.tokenizer(), file.text_config().vocabulary
        files = [FILE_OF[key] for key in file.tokenizer_texts()]
        print(f"tokenizer {len(tokenizer)} tokens, {shown(file.tokenizer_place())}: "
              f"{', '.join(files)}")

        special = {tokenizer.bos_token, tokenizer.eos_token,
                   tokenizer.pad_token, tokenizer.unk_token}
        added = sorted(set(tokenizer.get_added_vocab()) - special)
        if added:
            print(f"  added words: {shown(first_few(added))}")
        wordless = vocabulary - len(tokenizer)
        if wordless > 0:
            print(f"  the text encoder knows {vocabulary}: {wordless} of them have no word here; "
                  "was this tokenizer made for it?")
        file.check()
        return True
    except InputError as e:
        print(e)
        return False


def _groups(names):
    """Tensor names in short: a single one in full, many of a kind by their first words."""
    kinds = defaultdict(list)
    for name in names:
        words = name.split(".")
        outer = [word in (*WRAPPERS, "cond_stage_model", "first_stage_model") for word in words[:3]]
        kinds[".".join(words[:1 + sum(outer)])].append(name)

    listed = [same[0] if len(same) == 1 else f"{len(same)} x {kind}.*"
              for kind, same in kinds.items()]
    return [line[:LONGEST] for line in listed[:SHOWN]] + ["..."] * (len(listed) > SHOWN)


def _print_tensors(path):
    """What is in files that are no checkpoint: counts by the first word of the tensors' names."""
    inside = [*path.glob("*.safetensors"), *path.glob("*/*.safetensors")]
    files = [path] if path.is_file() else sorted(inside)
    for file in files:
        try:
            kinds = Counter(key.split(".")[0] for key in open_file(file).keys())
            listed = ", ".join(f"{n} x {kind}.*" for kind, n in kinds.most_common(SHOWN))
            print(f"{file}: {megabytes(file.stat().st_size)}; {shown(listed)}")
        except InputError as e:
            print(e)
