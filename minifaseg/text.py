"""Words -> text states: CLIP's tokenizer and text encoder, both from transformers, behind one small face.

A prompt becomes T token ids (77 for SD 1.5): <|startoftext|>, the word pieces, then <|endoftext|> to the end. The encoder is
causal, so a token's state knows the tokens before it and none after it.
"""
import logging
import re
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from .errors import InputError
from .foreign import read_text
from .hub import TOKENIZER_FILES, has_tokenizer


@dataclass(frozen=True)
class TextConfig:
    width: int = 768
    layers: int = 12
    mlp: int = 3072
    tokens: int = 77                                     # T, positions of a prompt
    vocabulary: int = 49408
    heads: int = 12                                      # shapes cannot tell this one


class Text(nn.Module):
    def __init__(self, config=TextConfig(), tokenizer=None, words=None):
        """`words`: all words the model was trained on, when they are few enough to say so (the cartoon model); None for CLIP's."""
        super().__init__()
        self.config, self.tokenizer, self.words = config, tokenizer, frozenset(words) if words else None

    def build(self):
        """transformers' text encoder of this size, randomly initialised."""
        from transformers import CLIPTextConfig, CLIPTextModel              # a second of import, only when a model is made
        config = self.config
        return CLIPTextModel(CLIPTextConfig(vocab_size=config.vocabulary, hidden_size=config.width, intermediate_size=config.mlp,
                           num_hidden_layers=config.layers, num_attention_heads=config.heads,
                           max_position_embeddings=config.tokens, hidden_act="quick_gelu", bos_token_id=config.vocabulary - 2,
                           eos_token_id=config.vocabulary - 1, pad_token_id=config.vocabulary - 1))

    def pieces(self, text: str) -> list[int]:
        """Token ids of a text, without start and end: "surfboard" may be two pieces, "teddy bear" is at least two."""
        self._check(text)
        return self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]

    def ids(self, pieces: list[int]) -> torch.Tensor:
        """(T,) ids of one prompt: start, pieces, end, padded with end. Pieces that do not fit are cut off."""
        t = self.tokenizer
        row = [t.bos_token_id, *pieces[:self.config.tokens - 2]]
        return torch.tensor(row + [t.eos_token_id] * (self.config.tokens - len(row)))

    def states(self, ids: torch.Tensor) -> torch.Tensor:
        """(B, T) ids -> (B, T, width) states after the final layer norm."""
        return self.model(input_ids=ids.to(self.model.device)).last_hidden_state

    def forward(self, texts: list[str]) -> torch.Tensor:
        """Prompts -> (B, T, width) states."""
        return self.states(torch.stack([self.ids(self.pieces(text)) for text in texts]))

    def _check(self, text):
        if self.words is None:
            return
        unknown = [w for w in re.findall(r"[^\s,;.]+", text.lower()) if w not in self.words]
        if unknown:
            unknown = [repr(w[:40]) for w in dict.fromkeys(unknown)]
            more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
            raise InputError(f"the cartoon model does not know {', '.join(unknown[:5])}{more}; it knows: "
                             f"{', '.join(sorted(self.words))}. For any word, use Stable Diffusion 1.5: python weights.py download")


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
            tokenizer("a", add_special_tokens=False, verbose=False)         # some damage shows only when it works
        except BaseException as e:
            if not is_damage(e):
                raise
            raise InputError(f"{name}: its tokenizer is damaged ({' '.join(str(e).split())[:200]}); download it again") from None
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
