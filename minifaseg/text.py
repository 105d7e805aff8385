"""Words -> text states: CLIP's tokenizer and text encoder, both from transformers, behind one small face.

A prompt becomes T token ids (77 for SD 1.5): <|startoftext|>, the word pieces, then <|endoftext|> to the end. The encoder is
causal, so a token's state knows the tokens before it and none after it.
"""
import re
from dataclasses import dataclass

import torch
from torch import nn

from .errors import InputError


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
        from transformers import (  # a second of import, only when a model is made
            CLIPTextConfig,
            CLIPTextModel,
        )
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
