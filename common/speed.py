"""Speed and memory: what it adds is bfloat16 where the processor has it, as many threads as help, an estimate before
tuning, a faster malloc.

You can skip this: no result depends on it.
"""

import ctypes
import math
import os
import sys
import timeit

import torch

from model import GPT, GPTConfig


def tune_malloc():
    """glibc returns a large block as soon as it is freed, and fetching it again, page by page, takes a fifth of a step:
    keep them. oneDNN caches 1,024 compiled shapes of bfloat16 products (a quarter of our memory): keep 512."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: so many bytes of free memory are kept
        libc.mallopt(-3, 2**25)  # M_MMAP_THRESHOLD: only larger blocks are returned (32 MB, its limit)
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "512")


def supports_bf16(device):
    """Does the processor itself multiply bfloat16? Then it does so two to four times as fast as float32; one that has
    to imitate it, a hundred times slower."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = getattr(torch.cpu, "get_capabilities", dict)()  # older releases of torch do not tell
    return device == "cpu" and bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def choose_threads(dtype):
    """Take as many threads as are fastest here, tried on a small model: torch takes one for each core, which may be too many
    for so little work. OMP_NUM_THREADS is obeyed instead where it is set."""
    most, best, soonest = torch.get_num_threads(), 1, math.inf
    if "OMP_NUM_THREADS" in os.environ:
        return
    model, ids = GPT(GPTConfig(1024, n_layer=1)), torch.arange(2048).view(16, 128) % 1024
    for threads in sorted({n for n in (1, 2, 4, 8, 16, 32) if n < most} | {most}):
        torch.set_num_threads(threads)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            seconds = min(timeit.repeat(lambda: model(ids, ids).backward(), number=1, repeat=5))
        if seconds > 0.95 * soonest:
            break  # more are no help
        best, soonest = threads, seconds
    torch.set_num_threads(best)


def matmul_rate(device, dtype):
    """Operations a second in products of square matrices, measured."""
    square = torch.randn(1024, 1024, device=device).to(getattr(torch, dtype))
    product = lambda: (square @ square).sum().item()  # noqa: E731  asking for a number waits until a GPU is done
    product()
    return 4 * 2 * 1024**3 / timeit.timeit(product, number=4)


def estimate(model, examples, config):
    """What tuning will take, as a line of text. Kaplan et al. 2020: a token costs 2 operations for each weight forward,
    2 backward, and 2 more for each trainable weight; attention 12 for each layer, width and position. A weight has 4
    bytes, a trainable one 12 more (gradient and AdamW's two averages); of activations only the order is right."""
    c, lengths = model.config, [len(ids) - 1 for ids, _ in examples]
    tokens, longest = sum(lengths) * config.tune_epochs, max(lengths)
    weights = sum(p.numel() for p in model.parameters())
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    operations = tokens * (4 * weights + 2 * trainable + 12 * c.n_layer * c.n_embd * longest)
    block = 2 * c.n_embd if model.recompute else 18 * c.n_embd + c.n_head * longest  # numbers kept for a token
    kept = (c.n_layer * block + 2 * c.vocab_size) * min(config.micro_batch, config.tune_batch) * longest
    reached = 0.7 if config.dtype == "float32" else 0.3  # about what a whole step reaches of the rate of products
    seconds = operations / (reached * matmul_rate(model.device(), config.dtype))
    cost = f"{4 * (weights + 3 * trainable + kept) / 1e9:.2f} GB, {operations / 1e12:.2f} TFLOP, {seconds:.0f} s"
    return f"estimate: {cost} to train {trainable:,} of {weights:,} weights"


def peak_memory_mb():
    """The most memory this process ever held; None on Windows, which has no such count in Python."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "linux" else 1024**2)
