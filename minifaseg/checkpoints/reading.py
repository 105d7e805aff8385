"""An open safetensors file, and its tensors read in any number type.

A tensor that keeps the number type of its file is a view of the mapped file: nothing is copied, and
its pages are read when it is first used. A converted tensor is a copy. If it were made of such a
view, the pages read for it would stay in memory, unused, for as long as the file is mapped; SD 1.5
in float32 has 3.8 GiB of them. So a tensor that is converted is mapped by itself, and its mapping
is given up at once.
"""
import json
import math
import weakref
from functools import cached_property
from mmap import ACCESS_COPY, ACCESS_READ, ALLOCATIONGRANULARITY, mmap
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from .examine import DTYPES


class TensorFile:
    """An open safetensors file. It stays readable if another file takes its name.

    keys, metadata, get_slice and get_tensor are those of safe_open.
    """

    def __init__(self, path: str | Path) -> None:
        """Raises SafetensorError, OSError or ValueError."""
        self.stream = open(path, "rb")
        weakref.finalize(self, self.stream.close)
        file: Any = safe_open(path, framework="pt")      # its annotations lack the methods
        self.keys, self.metadata = file.keys, file.metadata
        self.get_slice, self.get_tensor = file.get_slice, file.get_tensor

    def read(self, name: str, dtype: torch.dtype | None = None) -> Tensor:
        """The tensor of this stored name, whose number type in the file is one of DTYPES.

        dtype: None keeps that type. Raises SafetensorError, OSError or ValueError if the tensor
        cannot be read.
        """
        header = self.get_slice(name)
        stored_dtype, shape = getattr(torch, DTYPES[header.get_dtype()]), header.get_shape()
        if dtype in (None, stored_dtype):
            return self.get_tensor(name)
        if 0 in shape:
            return torch.empty(shape, dtype=dtype)
        return self._mapped(self.starts[name], math.prod(shape), stored_dtype).to(dtype).view(shape)

    def _mapped(self, start: int, count: int, dtype: torch.dtype) -> Tensor:
        """So many numbers from this byte of the file on, in a mapping of their own."""
        offset = start % ALLOCATIONGRANULARITY           # a mapping begins where a page does
        size = offset + count * dtype.itemsize
        # Nothing is written to it, but torch warns of a buffer that it may not write to.
        mapping = mmap(self.stream.fileno(), size, access=ACCESS_COPY, offset=start - offset)
        return torch.frombuffer(mapping, dtype=dtype, count=count, offset=offset)

    @cached_property
    def starts(self) -> dict[str, int]:
        """Stored name -> the byte of the file at which the tensor begins.

        safe_open has checked that the offsets fit the shapes and the file.
        """
        with mmap(self.stream.fileno(), 0, access=ACCESS_READ) as content:
            first = 8 + int.from_bytes(content[:8], "little")
            header = json.loads(content[8:first])
        return {name: first + header[name]["data_offsets"][0] for name in self.keys()}
