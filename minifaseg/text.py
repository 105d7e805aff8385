"""Words -> text states: CLIP's tokenizer and text encoder, both from transformers.

A prompt becomes T token ids (77 for SD 1.5): <|startoftext|>, the word pieces, then <|endoftext|>
up to the end. The encoder is causal: the state of a token depends on the tokens before it and on
none after it.
"""
import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .errors import WEIGHTS_COMMAND, InputError


@dataclass(frozen=True)
class TextConfig:
    """The sizes of a text encoder, SD 1.5's by default. Tensor shapes show all but heads."""
    width: int = 768
    layers: int = 12
    mlp: int = 3072
    tokens: int = 77                                     # T, positions of a prompt
    vocabulary: int = 49408
    heads: int = 12


class Text(nn.Module):
    """A tokenizer and a text encoder.

    words: all words that the model was trained on, where they are few (the cartoon model); None for
    CLIP's. model: transformers' encoder, put there by checkpoints.checkpoint.
    """
    model: Any

    def __init__(self, config: TextConfig = TextConfig(), tokenizer: Any = None,
                 words: Any = None) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = tokenizer
        self.words = frozenset(words) if words else None

    def build(self) -> nn.Module:
        """transformers' text encoder of this size, randomly initialised."""
        from transformers import CLIPTextConfig, CLIPTextModel
        c = self.config
        return CLIPTextModel(CLIPTextConfig(
            vocab_size=c.vocabulary, hidden_size=c.width, intermediate_size=c.mlp,
            num_hidden_layers=c.layers, num_attention_heads=c.heads,
            max_position_embeddings=c.tokens, hidden_act="quick_gelu",
            bos_token_id=c.vocabulary - 2, eos_token_id=c.vocabulary - 1,
            pad_token_id=c.vocabulary - 1))

    def pieces(self, text: str) -> list[int]:
        """Token ids of a text, without start and end.

        "surfboard" may be two pieces; "teddy bear" is at least two. Raises InputError for a word
        that the model was not trained on.
        """
        self._check_words(text)
        return self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]

    def ids(self, pieces: list[int]) -> Tensor:
        """(T,) ids of one prompt: start, pieces, end, padded with end; cut off after T."""
        start, end = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        row = [start, *pieces[:self.config.tokens - 2]]
        return torch.tensor(row + [end] * (self.config.tokens - len(row)))

    def states(self, ids: Tensor) -> Tensor:
        """(B, T) ids -> (B, T, width) states after the final layer norm."""
        return self.model(input_ids=ids.to(self.model.device)).last_hidden_state

    def forward(self, texts: list[str]) -> Tensor:
        """B prompts -> (B, T, width) states."""
        return self.states(torch.stack([self.ids(self.pieces(text)) for text in texts]))

    def _check_words(self, text: str) -> None:
        if self.words is None:
            return
        words = re.findall(r"[^\s,;.]+", text.lower())
        unknown = [repr(w[:40]) for w in dict.fromkeys(words) if w not in self.words]
        if unknown:
            more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
            raise InputError(
                f"the cartoon model does not know {', '.join(unknown[:5])}{more}; it knows: "
                f"{', '.join(sorted(self.words))}. For any word, use Stable Diffusion 1.5: "
                f"{WEIGHTS_COMMAND} download")
