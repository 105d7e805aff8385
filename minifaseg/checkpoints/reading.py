"""Tensors read in a number type, with no more memory than they need.

A tensor that keeps the number type of its file is a view of the mapped file: nothing is copied, and
its pages are read when it is first used. A converted tensor is a copy. The pages that were read for
it would stay in memory, unused, for as long as the file is mapped; SD 1.5 in float32 has 3.7 GiB of
them. So conversions go through mappings of their own, which are given up one after the other.
"""
import math
from mmap import mmap

import torch
from torch import Tensor

from .examine import DTYPES
from .safe_opening import TensorFile

MOST_MAPPED = 256 << 20        # bytes converted through one mapping before it is given up


class Reader:
    """Reads tensors in one number type; None is that of the file.

    The last mapping goes with the reader.
    """

    def __init__(self, dtype: torch.dtype | None) -> None:
        self.dtype = dtype
        self.file: TensorFile | None = None              # the file that is mapped for conversions
        self.mapping: mmap | None = None
        self.converted = 0                               # bytes, through this mapping

    def read(self, stored: str, file: TensorFile) -> Tensor:
        """The tensor of this stored name.

        Raises SafetensorError, OSError, or ValueError if it cannot be read.
        """
        header = file.get_slice(stored)
        kind, shape = getattr(torch, DTYPES[header.get_dtype()]), header.get_shape()
        if self.dtype in (None, kind):
            return file.get_tensor(stored)
        count = math.prod(shape)
        mapping = self._mapping(file, count * kind.itemsize)
        tensor = torch.frombuffer(mapping, dtype=kind, count=count, offset=file.starts[stored])
        return tensor.to(self.dtype).reshape(shape)

    def _mapping(self, file, size):
        """The mapping of this file, made anew if it has no room for another `size` bytes."""
        if file is not self.file or self.converted + size > MOST_MAPPED:
            self.file, self.mapping = file, file.map()
            self.converted = 0
        self.converted += size
        return self.mapping
