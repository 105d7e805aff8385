"""CLIP's tokenizer, from a folder's files or from their texts, by transformers."""
import logging
import tempfile
import warnings
from pathlib import Path

from ..errors import InputError
from .hub import TOKENIZER_FILES, has_tokenizer
from .safe_opening import read_text


def read_tokenizer(folder, name=None):
    """CLIP tokenizer from a folder with vocab.json and merges.txt, or with tokenizer.json.

    name: what errors call it. No network.
    """
    from transformers import CLIPTokenizer, CLIPTokenizerFast
    folder, name = Path(folder), name or folder
    if not has_tokenizer(folder):
        raise InputError(explain_no_tokenizer(folder, name))
    two_files = (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file()
    kind = CLIPTokenizer if two_files else CLIPTokenizerFast    # from transformers 5 on the same
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("transformers.tokenization_utils_base").setLevel(logging.ERROR)
        try:
            tokenizer = kind.from_pretrained(str(folder), local_files_only=True)
            # some damage shows only when it works
            tokenizer("a", add_special_tokens=False, verbose=False)
        except BaseException as e:
            if not is_damage(e):
                raise
            told = " ".join(str(e).split())[:200]
            raise InputError(f"{name}: its tokenizer is damaged ({told}); "
                             "download it again") from None
    if tokenizer.bos_token_id is None or tokenizer.eos_token_id is None:
        raise InputError(f"{name}: its tokenizer has no start or no end token, as CLIP's has; "
                         "download it again")
    return tokenizer


def is_damage(error) -> bool:
    """Damaged files make it raise all sorts, plain Exception too, and the PanicException of its
    part in Rust, which is none."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def explain_no_tokenizer(folder, name):
    missing = [n for n in ("vocab.json", "merges.txt") if not (folder / n).is_file()]
    return (f"{name}: no {' and no '.join(missing)} there, and no tokenizer.json, so no tokenizer; "
            "python weights.py download --tokenizer fetches one")


def tokenizer_texts(folder) -> dict[str, str]:
    """A folder's tokenizer files, as a single file carries them: {"vocab_json": ...}."""
    paths = {name.replace(".", "_"): Path(folder, name) for name in TOKENIZER_FILES}
    return {key: read_text(path) for key, path in paths.items() if path.is_file()}


def unpack_tokenizer(texts: dict[str, str], name=None):
    """CLIP tokenizer from the contents of its files (what tokenizer_texts gives)."""
    known = {file.replace(".", "_"): file for file in TOKENIZER_FILES}
    texts_only = isinstance(texts, dict) and all(isinstance(v, str) for v in texts.values())
    if not texts_only or set(texts) - set(known):
        raise InputError(f"{name}: its tokenizer is not the texts of {', '.join(known)}; "
                         "download it again")
    with tempfile.TemporaryDirectory() as folder:
        for key, text in texts.items():
            Path(folder, known[key]).write_text(text, encoding="utf-8", errors="replace")
        return read_tokenizer(folder, name)


def make_tokenizer(vocab_json: str, merges_txt: str, name=None):
    """CLIP tokenizer from the contents of its own two files."""
    return unpack_tokenizer({"vocab_json": vocab_json, "merges_txt": merges_txt}, name)
