"""Speed and memory: bfloat16 where the processor has it, as many threads as help, a faster malloc.

No result depends on this file."""

import ctypes
import math
import os
import sys
import timeit

import torch

from model import GPT, GPTConfig

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
THREADS = (1, 2, 4, 8, 16, 32)  # numbers of threads to try
GAIN = 0.95  # more threads must take less than this share of the time


def prepare_machine(config) -> None:
    torch.set_flush_denormal(True)
    tune_malloc()
    if config.device == "cpu":
        choose_threads(config.dtype)


def tune_malloc() -> None:
    """Let glibc keep large blocks that are freed, and oneDNN fewer compiled kernels.

    Fetching blocks again, page by page, takes a fifth of a step. oneDNN's default of 1,024 kernels
    takes a quarter of our memory."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(M_MMAP_THRESHOLD, 2**25)  # 32 MB, its limit
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "512")


def supports_bf16(device: str) -> bool:
    """Does the processor multiply bfloat16 itself? Then it is 2-4 times as fast as float32.

    A processor that has to imitate it is a hundred times slower."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # older versions lack it
    has_bf16 = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return device == "cpu" and bool(has_bf16)


def choose_threads(dtype: str) -> None:
    """Time a small model with 1, 2, 4, ... threads and keep the fastest.

    PyTorch's default, one per core, is too many for a model this small. OMP_NUM_THREADS is obeyed
    instead if it is set."""
    if "OMP_NUM_THREADS" in os.environ:
        return
    most = torch.get_num_threads()
    fastest, best_seconds = 1, math.inf
    model = GPT(GPTConfig(1024, n_layer=1))
    ids = torch.arange(2048).view(16, 128) % 1024
    for threads in sorted({n for n in THREADS if n < most} | {most}):
        torch.set_num_threads(threads)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            seconds = min(timeit.repeat(lambda: model(ids, ids).backward(), number=1, repeat=5))
        if seconds > GAIN * best_seconds:
            break
        fastest, best_seconds = threads, seconds
    torch.set_num_threads(fastest)


def peak_memory_mb() -> int | None:
    """Return the most memory this process ever used; None on Windows, which doesn't count it."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024 if sys.platform == "linux" else 1024**2)
