"""Several processes: `torchrun --nproc_per_node=2 train_sft.py`, each with a share of every batch.

The weights are those of one process with the same batch, since gradients are summed over all."""

import atexit
import contextlib
import functools
import os

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from model import IGNORE

wrap = functools.lru_cache(maxsize=1)(DistributedDataParallel)  # once for each model


def join(device: str) -> str:
    """Become one of the processes that torchrun started. Returns this one's device."""
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    atexit.register(dist.destroy_process_group)
    return device


def shard(batch, world_size: int, rank: int) -> list:
    """Take this rank's rows: rank, rank + world_size, ...

    If there are none, it gets one row without a supervised token."""
    if rank < len(batch[0]):
        return [tensor[rank::world_size] for tensor in batch]
    inputs, targets, *more = [tensor[:1] for tensor in batch]
    return [inputs, torch.full_like(targets, IGNORE), *more]


def backward(model, batch, micro_batch: int, autocast) -> float:
    """Do the same as train_sft.backward, but on this process's share. Returns the loss of all."""
    device = next(model.parameters()).device
    ddp_model = wrap(model)
    n_supervised = (batch[1] != IGNORE).sum().clamp(min=1).to(device)
    share = shard(batch, dist.get_world_size(), dist.get_rank())
    micro_batches = list(zip(*(tensor.split(micro_batch) for tensor in share)))
    loss = 0.0
    for i, rows in enumerate(micro_batches, 1):
        # Gradients are exchanged once, with the last. DDP averages them; we want the sum.
        last = i == len(micro_batches)
        with contextlib.nullcontext() if last else ddp_model.no_sync():
            with autocast:
                part = ddp_model(*(tensor.to(device) for tensor in rows)) / n_supervised
            (part * dist.get_world_size()).backward()
        loss += part.item()
    return total(loss, device)


def total(number: float, device="cpu") -> float:
    """Sum a number over all processes."""
    tensor = torch.tensor(float(number), device=device)
    dist.all_reduce(tensor)
    return tensor.item()
