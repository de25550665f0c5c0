"""The weights of the page: rounded to a few bits, so that base and tuned model fit in one file.

model.js unpacks them."""

import base64
import json

import numpy as np

from common.checkpoint import ADAPTER, base_state, lora_state

BASE_BITS = range(14, 7, -1)  # of a weight, best first
ADAPTER_BITS = 12
CHANGE_BITS = 7  # of the difference between a tuned weight and its base


def pack(state: dict, bits: int) -> tuple:
    """Round weights to `bits` bits. Returns what model.js unpacks, and {name: rounded weight}.

    A matrix becomes integers, times a scale for each row. A vector stays float32."""
    tensors, raw, rounded = [], [], {}
    largest = 2 ** (bits - 1) - 1
    for name, weight in state.items():
        weight = weight.detach().cpu().float()
        tensors.append([name, list(weight.shape)])
        if weight.dim() == 1:
            rounded[name] = weight
            raw.append(weight.numpy().tobytes())
            continue

        # The largest weight of a row becomes the largest integer.
        scale = (weight.abs().amax(1, keepdim=True) / largest).clamp(min=1e-20)  # (rows, 1)
        integers = (weight / scale).round()  # (rows, columns)
        rounded[name] = integers * scale

        # Write the integers as unsigned numbers, the lowest bit first.
        unsigned = integers.numpy().astype("int16").reshape(-1, 1) + largest + 1  # (n, 1)
        bit_rows = unsigned >> np.arange(bits) & 1  # (n, bits)
        raw += [scale.numpy().tobytes(), np.packbits(bit_rows, bitorder="little").tobytes()]
    data = base64.b64encode(b"".join(raw)).decode()
    return {"tensors": tensors, "bits": bits, "bytes": data}, rounded


def pack_tuned(model, base_weights: dict) -> dict:
    """Pack what tuning added to the base: an adapter's A and B, or the change of every weight."""
    if model.lora:
        scale = model.lora["alpha"] / model.lora["rank"]
        return pack(lora_state(model), ADAPTER_BITS)[0] | {"scale": scale}
    weights = model.state_dict()
    changes = {name: weight.cpu() - base_weights[name] for name, weight in weights.items()}
    return pack(changes, CHANGE_BITS)[0] | {"scale": 1}


def pack_models(models: dict, room: int) -> dict:
    """Pack all models into at most `room` characters, with as many bits as fit. {} if none do."""
    base, tokenizer = models["base_raw"].model, models["base_raw"].tokenizer
    if count_weights(base) > room:
        return {}
    for bits in BASE_BITS:
        packed = {"config": vars(base.config), "tokens": tokenizer.state()["tokens"], "models": {}}
        packed["models"]["base"], rounded = pack(base_state(base), bits)
        for name in ("tuned", "lora"):
            if name in models:
                packed["models"][name] = pack_tuned(models[name].model, rounded)
        if len(json.dumps(packed)) < room:
            return packed
    return {}


def count_weights(model) -> int:
    """Count the weights of a model, without those of an adapter."""
    named = model.named_parameters()
    return sum(weight.numel() for name, weight in named if not name.endswith(ADAPTER))
