"""Several processes: what it adds is `torchrun --nproc_per_node=2 train_sft.py`, each with a share of every batch.

You can skip this: the weights are those of one process with the same batch, because gradients are summed over all.
"""

import contextlib
import functools
import os

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from model import IGNORE

wrap = functools.lru_cache(maxsize=1)(DistributedDataParallel)  # once for each model that is trained


def join(device):
    """Become one of the processes that torchrun started -> this one's device."""
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return device


def shard(batch, world_size, rank):
    """This rank's rows: rank, rank + world_size, ... If there were none, one row without a supervised token."""
    if rank < len(batch[0]):
        return [tensor[rank::world_size] for tensor in batch]
    inputs, targets, *more = [tensor[:1] for tensor in batch]
    return [inputs, torch.full_like(targets, IGNORE), *more]


def backward(model, batch, micro_batch, autocast):
    """Same as train_sft.backward, but every process takes its share. The loss that is returned is that of all."""
    world_size, device, ddp_model, loss = dist.get_world_size(), next(model.parameters()).device, wrap(model), 0.0
    n_supervised = (batch[1] != IGNORE).sum().clamp(min=1).to(device)
    micro_batches = list(zip(*(tensor.split(micro_batch) for tensor in shard(batch, world_size, dist.get_rank()))))
    for i, rows in enumerate(micro_batches, 1):
        # Gradients are exchanged once, with the last. Processes average them; we want their sum.
        with contextlib.nullcontext() if i == len(micro_batches) else ddp_model.no_sync():
            with autocast:
                part = ddp_model(*(tensor.to(device) for tensor in rows)) / n_supervised
            (part * world_size).backward()
        loss += part.item()
    return total(loss, device)


def total(number, device="cpu"):
    """The sum of a number over all processes."""
    number = torch.tensor(float(number), device=device)
    dist.all_reduce(number)
    return number.item()
