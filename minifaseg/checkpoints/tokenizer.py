"""CLIP's tokenizer, from a folder's files or from their texts, by transformers."""
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

from ..errors import WEIGHTS_COMMAND, InputError, one_line
from .hub import TOKENIZER_FILES, has_tokenizer
from .safe_opening import read_text

# In the notes of a single file: key of a text -> name of the file that it comes from.
FILE_OF = {name.replace(".", "_"): name for name in TOKENIZER_FILES}


def read_tokenizer(folder: Path, name: object = None) -> Any:
    """CLIP's tokenizer from a folder with vocab.json and merges.txt, or with tokenizer.json.

    name: what errors call it. No network. Raises InputError.
    """
    # transformers has the second one, but no declaration of it.
    from transformers import CLIPTokenizer, CLIPTokenizerFast  # type: ignore[attr-defined]
    name = name or folder
    missing = [file for file in ("vocab.json", "merges.txt") if not (folder / file).is_file()]
    if missing and not has_tokenizer(folder):
        raise InputError(f"{name}: no {' and no '.join(missing)} there, and no tokenizer.json, so "
                         f"no tokenizer; {WEIGHTS_COMMAND} download --tokenizer fetches one")
    kind = CLIPTokenizerFast if missing else CLIPTokenizer      # from transformers 5 on the same
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("transformers.tokenization_utils_base").setLevel(logging.ERROR)
        try:
            tokenizer = kind.from_pretrained(str(folder), local_files_only=True)
            # some damage shows only when it works
            tokenizer("a", add_special_tokens=False, verbose=False)
        except BaseException as e:
            # Exceptions of all sorts, and the PanicException of its part in Rust, which is none.
            if not isinstance(e, Exception) and type(e).__name__ != "PanicException":
                raise
            raise InputError(f"{name}: its tokenizer is damaged ({one_line(e)[:200]}); "
                             "download it again") from None
    if None in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        raise InputError(f"{name}: its tokenizer has no start or no end token, as CLIP's has; "
                         "download it again")
    return tokenizer


def tokenizer_texts(folder: Path) -> dict[str, str]:
    """The texts of a folder's tokenizer files: {"vocab_json": ...}, as a single file has them."""
    files = {key: folder / name for key, name in FILE_OF.items()}
    return {key: read_text(path) for key, path in files.items() if path.is_file()}


def write_tokenizer(folder: Path, texts: dict[str, str]) -> None:
    """The files that these texts came from (see tokenizer_texts). Makes the folder."""
    folder.mkdir(exist_ok=True)
    for key, name in FILE_OF.items():
        if key in texts:
            path = folder / name
            path.write_text(texts[key], encoding="utf-8", errors="replace", newline="")


def unpack_tokenizer(texts: dict[str, str], name: object = None) -> Any:
    """CLIP's tokenizer from the texts of its files (see tokenizer_texts). Raises InputError."""
    texts_only = isinstance(texts, dict) and all(isinstance(v, str) for v in texts.values())
    if not texts_only or texts.keys() - FILE_OF:
        raise InputError(f"{name}: its tokenizer is not the texts of {', '.join(FILE_OF)}; "
                         "download it again")
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(Path(folder), texts)
        return read_tokenizer(Path(folder), name)


def make_tokenizer(vocab_json: str, merges_txt: str) -> Any:
    """CLIP's tokenizer from the texts of its own two files."""
    return unpack_tokenizer({"vocab_json": vocab_json, "merges_txt": merges_txt})
