"""The machine that figures were measured on, in words."""
import os
import platform
from pathlib import Path

import torch

from .layers import HAS_AMX, HAS_BFLOAT16


def machine(device: str) -> str:
    """Processor or GPU, cores, memory, and the versions of torch and Python."""
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else processor()
    return f"{name}; torch {torch.__version__}, Python {platform.python_version()}"


def dtypes() -> list[str]:
    """The number types that this CPU computes in."""
    return ["float32", "bfloat16"] if HAS_BFLOAT16 else ["float32"]


def processor() -> str:
    instructions = torch.backends.cpu.get_cpu_capability()
    if HAS_BFLOAT16:
        instructions += ", AMX with bfloat16" if HAS_AMX else " with bfloat16"
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{processor_name()}, {os.cpu_count()} cores ({instructions}), {gib:.0f} GiB"


def processor_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():         # Linux
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
