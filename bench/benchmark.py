"""How fast this is, how much memory it takes, and how both grow: measured on your machine, next to the usual tools.

What it is: every contender runs in a process of its own, so that its memory is its own, and the contenders take turns
for several rounds, so that a slow minute of the machine hits them all. Numbers are medians; a ratio is taken within a
round, and the median of those is shown. All train on the same numbers with the same optimizer, schedule and clipping.
A contender in bfloat16 trains as train_sft.py does where the processor knows bfloat16; TRL as it comes does so always.
What it is not: a test (nothing passes or fails), nor a verdict on the others, which are made for far larger models.

    python bench/benchmark.py                               about half an hour with the others installed
    python bench/benchmark.py --only pretrain --sizes S     one part; --rounds 2 is quicker and rougher
    python bench/benchmark.py --grow                        how seconds and memory grow with everything that can grow
    python bench/benchmark.py --profile                     what a step and a token of ours are made of
    pip install transformers trl peft accelerate datasets   the others; what is not installed is skipped
"""

import argparse
import functools
import importlib.util
import itertools
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import train_sft
from data import Row, Tokenizer, Turn, collate, corpus_batch, epoch_batches, prepare, train_bpe
from common.audit import audit
from extras.datasets import encode_corpus_to
from common.speed import peak_memory_mb, supports_bf16, tune_malloc
from generate import Sampling, stream_ids
from model import GPT, IGNORE, GPTConfig, KVCache, add_lora
from train_sft import adamw, lr_multiplier

SIZES = {
    "S": dict(n_layer=4, n_head=4, n_embd=128, vocab_size=2048, block_size=128),
    "M": dict(n_layer=6, n_head=6, n_embd=384, vocab_size=8192, block_size=256),
}
BATCH, STEPS, WARM_UP = {"S": 32, "M": 16}, {"S": 20, "M": 7}, 2  # rows and steps of pretraining; steps not counted
PAIRS, TUNE_BATCH, TUNE_LR, LORA_LR, RANK, ALPHA = 2000, 32, 1e-3, 5e-3, 8, 16
PROMPT, ANSWER = 20, 100  # tokens, in sampling
DTYPES = ["float32"] + ["bfloat16"] * supports_bf16("cpu")
END = SIZES["S"]["vocab_size"] - 1  # the end token of the pairs, which pads them too

# ----------------------------------------------------------------------------------------------------------------
# What all contenders are given.


def random_stream(vocab_size, tokens=200_000):
    return torch.randint(vocab_size, (tokens,), generator=torch.Generator().manual_seed(0))


def random_pairs(n=PAIRS):
    """Examples (ids, mask) with many short prompts and answers and a few long ones. Tokens are rare and common, as in
    prose, so that there is something to learn."""
    rng = random.Random(0)
    weights = [1 / (i + 10) for i in range(END)]
    examples = []
    for _ in range(n):
        prompt = min(90, 10 + int(rng.expovariate(1 / 20)))
        answer = min(40, 3 + int(rng.expovariate(1 / 7)), SIZES["S"]["block_size"] - 1 - prompt)
        ids = rng.choices(range(END), weights, k=prompt + answer) + [END]
        examples.append((ids, [0] * prompt + [1] * (answer + 1)))
    return examples


def shuffled_batches(examples):
    """Batches as they come, rows of any length together: what one writes first."""
    order = random.Random(0).sample(examples, len(examples))
    return [order[i : i + TUNE_BATCH] for i in range(0, len(order), TUNE_BATCH)]


def our_model(size, lora=False):
    torch.manual_seed(0)
    model = GPT(GPTConfig(**SIZES[size]))
    if lora:
        add_lora(model, RANK, ALPHA)
    return model


def gpt2_of(s):
    """transformers' GPT-2 of our shape `s` and activation (its own, approximated, is slower on a CPU)."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=s["vocab_size"], n_positions=s["block_size"], n_embd=s["n_embd"], n_layer=s["n_layer"],
                        n_head=s["n_head"], resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, use_cache=False, bos_token_id=None,
                        eos_token_id=None, activation_function="gelu_new" if s.get("gelu") == "tanh" else "gelu")
    return GPT2LMHeadModel(config)


def their_model(size, lora=False):
    """transformers' model with our starting weights (it keeps its own positions, which we lack)."""
    torch.manual_seed(0)
    model = gpt2_of(SIZES[size])
    ours = {n: w.T if ".c_" in n and w.dim() == 2 else w for n, w in our_model(size).state_dict().items()}
    ours.pop("smear")
    missing, unexpected = model.transformer.load_state_dict(ours, strict=False)
    assert missing == ["wpe.weight"] and not unexpected, (missing, unexpected)
    if lora:
        from peft import LoraConfig, get_peft_model

        targets = ["c_attn", "c_proj", "c_fc"]
        model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=targets, fan_in_fan_out=True))
    return model


def train(model, batch_at, steps, peak_lr, dtype="float32"):
    """Ours."""
    train_sft.train(model, batch_at, steps, [adamw(model.parameters(), peak_lr)], dtype=dtype)


def their_loop(model, batch_at, steps, peak_lr, dtype="float32"):
    """The same loop around a model of transformers."""
    optimizer = adamw(model.parameters(), peak_lr)
    model.train()
    for step in range(steps):
        inputs, targets = batch_at(step)
        hidden = {} if (targets != IGNORE).all() else {"attention_mask": (inputs != END).long()}  # only where it pads
        targets = targets.contiguous()  # or its loss fails
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = model(input_ids=inputs, labels=targets, shift_labels=targets, **hidden).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = peak_lr * lr_multiplier(step, steps)
        optimizer.step()
        optimizer.zero_grad()


# ----------------------------------------------------------------------------------------------------------------
# What a contender does in its own process: a function that returns {"seconds", "tokens", ...}.


def limit():
    """Products of two 2048-square matrices: as fast as this machine multiplies."""
    rates = {}
    for dtype in DTYPES:
        a, b = torch.randn(2, 2048, 2048).to(getattr(torch, dtype))
        out = torch.empty_like(a)
        rates[dtype] = 2 * 2048**3 / min(timed(lambda: torch.mm(a, b, out=out)) for _ in range(8))
    return rates


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def pretraining(model, loop, size, steps=None):
    """The median step, after a few to warm up; the clock is read wherever the loop asks for a batch."""
    s, clock, before = SIZES[size], [], peak_memory_mb()
    stream = random_stream(s["vocab_size"])

    def batch_at(step):
        clock.append(time.perf_counter())
        return corpus_batch(stream, step, BATCH[size], s["block_size"])

    loop(model, batch_at, steps or STEPS[size] + WARM_UP + 1, 1e-3)
    lasted = [after - before for before, after in zip(clock, clock[1:])][WARM_UP:]
    seconds = statistics.median(lasted) if lasted else None
    return {"seconds": seconds, "tokens": BATCH[size] * s["block_size"], "before_mb": before}


def tuning(model, batches_of, loop, lora=False):
    """One epoch; making the batches counts. Afterwards the loss on all answers, which should be alike for all."""
    examples = random_pairs()
    before = peak_memory_mb()
    start = time.perf_counter()
    if loop is trl_loop:
        trl_loop(model, examples, batches_of, LORA_LR if lora else TUNE_LR)
    else:
        batches = batches_of(examples)
        loop(model, lambda step: collate(batches[step], END), len(batches), LORA_LR if lora else TUNE_LR)
    done = {"seconds": time.perf_counter() - start, "tokens": sum(len(ids) - 1 for ids, _ in examples)}
    return done | {"before_mb": before, "peak_mb": peak_memory_mb(), "loss": answer_loss(model, examples)}


def by_length(examples):
    return epoch_batches(examples, TUNE_BATCH, seed=0)


@torch.inference_mode()
def answer_loss(model, examples):
    """Mean loss on the answers (nats a token), of our model or of one of transformers."""
    model.eval()
    total = count = 0
    for batch in by_length(examples):
        inputs, targets = collate(batch, END)
        logits = model(inputs) if isinstance(model, GPT) else model(input_ids=inputs).logits
        total += F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum").item()
        count += (targets != IGNORE).sum().item()
    return total / count


ONE_BATCH = dict(per_device_train_batch_size=TUNE_BATCH, gradient_checkpointing=False, bf16=len(DTYPES) > 1)
TRL = {
    "as it comes": dict(gradient_accumulation_steps=4),  # of 8 rows each, with gradient checkpoints, in bfloat16
    "settings as ours": ONE_BATCH,
    "same, by length": ONE_BATCH | dict(train_sampling_strategy="group_by_length"),
}


def trl_loop(model, examples, settings, peak_lr):
    """TRL's SFTTrainer. It is timed without its own preparation of the data, but with the same optimizer."""
    from datasets import Dataset
    from tokenizers import Tokenizer as Words
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast
    from trl import SFTConfig, SFTTrainer

    words = Words(WordLevel({str(i): i for i in range(END + 1)}, unk_token="0"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token=str(END), eos_token=str(END))
    data = Dataset.from_list([{"input_ids": ids, "completion_mask": mask} for ids, mask in examples])
    optimizer = adamw(model.parameters(), peak_lr)
    steps = -(-len(examples) // TUNE_BATCH)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_multiplier(min(step, steps), steps))
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(folder, num_train_epochs=1, completion_only_loss=True, use_cpu=True, report_to="none",
                           save_strategy="no", disable_tqdm=True, **settings)
        trainer = SFTTrainer(
            model, config, train_dataset=data, processing_class=tokenizer, optimizers=(optimizer, rates)
        )
        learned = sum(token != IGNORE for labels in trainer.train_dataset["labels"] for token in labels)
        assert learned == sum(sum(mask) for _, mask in examples), "TRL would learn something else than the answers"
        trl_loop.seconds = timed(trainer.train)
    assert trainer.state.global_step == steps, trainer.state.global_step


def tuning_trl(settings, lora=False):
    importlib.import_module("trl.trainer.sft_trainer")  # now, so that its own memory is not counted as the work's
    return tuning(their_model("S", lora), settings, trl_loop, lora) | {"seconds": trl_loop.seconds}


def sampling(decode, prompts, tokens=None):
    """Greedy, the median of five after one to warm up."""
    ids, before = random_stream(END, PROMPT * prompts).view(prompts, PROMPT), peak_memory_mb()
    decode(ids)
    seconds = statistics.median(timed(lambda: decode(ids)) for _ in range(5))
    return {"seconds": seconds, "tokens": tokens or ANSWER * prompts, "before_mb": before}


def decoded(model, ids):
    """ids (B, PROMPT) -> the tokens that stream_ids adds, (B, ANSWER)"""
    steps = stream_ids(model, ids.tolist(), -1, Sampling(max_new_tokens=ANSWER))  # no token is -1: it never stops
    chosen = [chosen for _, chosen in zip(range(ANSWER), steps)]
    assert len(chosen) == ANSWER
    return torch.stack(chosen, 1)


def sampling_ours(prompts):
    model = our_model("S").eval()
    return sampling(lambda ids: decoded(model, ids), prompts)


def lengths(prompts):
    """How many tokens each answer has, (B,), from 5 to ANSWER: real ones do not all end at the same place."""
    return torch.randint(5, ANSWER + 1, (prompts,), generator=torch.Generator().manual_seed(0))


def sampling_ours_to_ends(prompts):
    model, ends = our_model("S").eval(), lengths(prompts)

    def decode(ids):
        step = itertools.count(1)

        def choose(logits, sampling, generator):
            return logits[:, :END].argmax(-1).masked_fill(ends <= next(step), END)

        steps = list(stream_ids(model, ids.tolist(), END, Sampling(max_new_tokens=ANSWER), choose))
        assert len(steps) == ends.max()

    return sampling(decode, prompts, ends.sum().item())


@torch.inference_mode()
def written_out(model, ids):
    """The tokens of stream_ids for prompts of one length, by the same operations without modules, masks and padding: the
    least that they cost in torch. It is no other way to sample: it knows no LoRA and no learned positions."""
    cache = KVCache(model, len(ids), PROMPT + ANSWER)
    chosen = [model(ids, cache=cache, last=True).argmax(-1)]
    layers = [(*kv, *block.parameters()) for kv, block in zip(cache.kv, model.h)]
    last, (B, nh, _, hs), C = cache.last[:, 0], layers[0][0].shape, model.config.n_embd
    for t in range(PROMPT, PROMPT + ANSWER - 1):
        token, cos, sin = model.wte.weight[chosen[-1]], model.cos[t], model.sin[t]  # (B, C), (hs,), (hs,)
        x, last = torch.addcmul(token, model.smear, last), token
        for k, v, g1, b1, w_attn, b_attn, w_out, b_out, g2, b2, w_up, b_up, w_down, b_down in layers:
            qkv = F.linear(torch.layer_norm(x, (C,), g1, b1), w_attn, b_attn).view(B, 3 * nh, hs)
            qk = qkv[:, : 2 * nh]
            qk = torch.addcmul(qk * cos, qk.roll(hs // 2, -1), sin)
            k[:, :, t], v[:, :, t] = qk[:, nh:], qkv[:, 2 * nh :]
            y = F.scaled_dot_product_attention(qk[:, :nh].unsqueeze(2), k[:, :, : t + 1], v[:, :, : t + 1])
            x = x + F.linear(y.reshape(B, C), w_out, b_out)
            x = x + F.linear(F.gelu(F.linear(torch.layer_norm(x, (C,), g2, b2), w_up, b_up)), w_down, b_down)
        chosen.append(F.linear(model.ln_f(x), model.wte.weight).argmax(-1))
    return torch.stack(chosen, 1)  # (B, ANSWER)


def sampling_written_out(prompts):
    model = our_model("S").eval()
    ids = random_stream(END, PROMPT * prompts).view(prompts, PROMPT)
    assert (written_out(model, ids) == decoded(model, ids)).float().mean() > 0.99, "other tokens"
    return sampling(lambda ids: written_out(model, ids), prompts)


def sampling_theirs(prompts, ends=None):
    model = their_model("S").eval()
    how = dict(max_new_tokens=ANSWER, do_sample=False, use_cache=True, pad_token_id=END)
    ends = torch.full((prompts,), ANSWER) if ends is None else ends
    how["stopping_criteria"] = [lambda ids, scores, **_: ends <= ids.shape[1] - PROMPT]  # (B,)

    def decode(ids):
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **how)
        assert out.shape[1] == PROMPT + ends.max()

    return sampling(decode, prompts, ends.sum().item())


def growing_step(name, value):
    """A training step of a model with one of its numbers changed."""
    SIZES["G"], BATCH["G"], STEPS["G"] = SIZES["S"] | {name: value}, 8, 5
    return pretraining(our_model("G"), train, "G")


def growing_text(times):
    """Byte pairs of words as in a language: the longer the text, the more of them, and most are rare."""
    rng = random.Random(0)
    ranks = [min(10**6, int(rng.paretovariate(0.8))) for _ in range(150_000 * times)]
    text = " ".join("".join(chr(97 + int(digit) + rank % 16) for digit in str(rank * 7919)) for rank in ranks)
    return {"seconds": timed(lambda: train_bpe(text, 2048))}


WORDS = "the cat sat on the mat why did the dog not like it so much that it went to the other house and stayed there".split()


def growing_corpus(megabytes):
    """Passages of prose come one by one, as from a file, and their tokens go to a file."""
    rng = random.Random(0)
    some = [" ".join(rng.choices(WORDS, k=200)) for _ in range(1000)]  # of about 800 letters
    tokenizer = Tokenizer(train_bpe(" ".join(WORDS), 300))
    passages = (some[i % len(some)] for i in range(megabytes * 10**6 // 800))
    with tempfile.TemporaryDirectory() as folder:
        return {"seconds": timed(lambda: encode_corpus_to(f"{folder}/tokens", tokenizer, passages))}


def growing_rows(thousands, what):
    rng = random.Random(0)
    words = [" ".join(rng.choices(WORDS, k=1 + i)) for i in range(40)]
    if what == "epoch_batches":
        examples = [([0] * rng.randrange(10, 128), []) for _ in range(1000 * thousands)]
        return {"seconds": timed(lambda: by_length(examples))}
    rows = [Row((Turn(rng.choice(words), rng.choice(words), rng.choice(words)),)) for _ in range(1000 * thousands)]
    tokenizer = Tokenizer(train_bpe(" ".join(WORDS), 300))
    return {"seconds": timed(lambda: audit(rows, *prepare(rows, tokenizer, "alpaca", 128)))}  # tokens, mask, audit, overlap


# ----------------------------------------------------------------------------------------------------------------
# Who takes part: {part: {contender: (what must be installed, what it does)}}. The first is ours.

LIMIT = "limit"


def contenders(sizes):
    parts = {}
    for size in sizes:
        cases = parts[f"pretrain {size}"] = {}
        for dtype in DTYPES[::-1]:  # first as train_sft.py does it here
            here, there = (functools.partial(loop, dtype=dtype) for loop in (train, their_loop))
            cases[f"ours, {dtype}"] = ("", lambda size=size, loop=here: pretraining(our_model(size), loop, size))
            cases[f"transformers, {dtype}"] = (
                "transformers",
                lambda size=size, loop=there: pretraining(their_model(size), loop, size),
            )
    parts |= {"tune": tuners(False), "lora": tuners(True)}
    for n in (1, 64):
        parts[f"sample {n}"] = {
            "ours": ("", lambda n=n: sampling_ours(n)),
            "ours, written out": ("", lambda n=n: sampling_written_out(n)),
            "transformers": ("transformers", lambda n=n: sampling_theirs(n)),
        }
    parts["sample 64 to their ends"] = {
        "ours": ("", lambda: sampling_ours_to_ends(64)),
        "transformers": ("transformers", lambda: sampling_theirs(64, lengths(64))),
    }
    parts["startup"] = {
        "ours": ("", lambda: pretraining(our_model("S"), functools.partial(train, dtype=DTYPES[-1]), "S", steps=1)),
        "transformers": ("transformers", lambda: pretraining(their_model("S"), their_loop, "S", steps=1)),
    }
    return parts


def tuners(lora):
    peft, cases = "peft " if lora else "", {}
    for dtype in DTYPES[::-1]:
        here, there = (functools.partial(loop, dtype=dtype) for loop in (train, their_loop))
        cases[f"ours, {dtype}"] = ("", lambda loop=here: tuning(our_model("S", lora), by_length, loop, lora))
        cases[f"ours, padded, {dtype}"] = (
            "",
            lambda loop=here: tuning(our_model("S", lora), shuffled_batches, loop, lora),
        )
        cases[f"{peft or 'transformers '}padded, {dtype}"] = (
            peft + "transformers",
            lambda loop=there: tuning(their_model("S", lora), shuffled_batches, loop, lora),
        )
    for name, settings in TRL.items():
        cases[f"TRL {peft}{name}"] = (peft + "trl datasets", lambda settings=settings: tuning_trl(settings, lora))
    return cases


GROWS = {  # what grows: (its values, what is measured)
    "width": ((64, 128, 256, 512), lambda n: growing_step("n_embd", n)),
    "depth": ((2, 4, 8, 16), lambda n: growing_step("n_layer", n)),
    "context": ((128, 256, 512, 1024), lambda n: growing_step("block_size", n)),
    "prompts": ((1, 4, 16, 64), sampling_ours),
    "words for byte pairs": ((1, 2, 4, 8), growing_text),
    "MB of text": ((16, 64, 256, 1024), growing_corpus),
    "1000 rows to prepare": ((16, 64, 256, 1024), lambda n: growing_rows(n, "prepare")),
    "1000 rows of an epoch": ((16, 64, 256, 1024), lambda n: growing_rows(n, "epoch_batches")),
}


def work_per_token(sizes, length, part=""):
    """Multiplications and additions that a token needs. Six for every number of the blocks and the head when training
    (two forward, four back; LoRA learns none of them, which saves two), two in sampling; and attention's."""
    d, depth = sizes["n_embd"], sizes["n_layer"]
    numbers, attention = depth * (12 * d * d + 13 * d) + 2 * d + sizes["vocab_size"] * d, depth * d * length
    if part.startswith("sample"):
        return 2 * numbers + 4 * attention
    return (4 if part == "lora" else 6) * numbers + 12 * attention


def growing_work(what, value):
    """What the cost should grow with: the formula's work for a model, the amount itself for data."""
    field = {"width": "n_embd", "depth": "n_layer", "context": "block_size"}.get(what)
    sizes = SIZES["S"] | {field: value}
    return work_per_token(sizes, sizes["block_size"]) * sizes["block_size"] if field else value


def mean_length(part):
    """Tokens that attention looks at, as the formula counts them."""
    if part.startswith("pretrain"):
        return SIZES[part[-1]]["block_size"]
    return PROMPT + ANSWER / 2 if part.startswith("sample") else statistics.mean(len(ids) for ids, _ in random_pairs())


# ----------------------------------------------------------------------------------------------------------------
# Processes and rounds.


def settle(threads):
    """What train_sft does when it starts, for everybody."""
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    torch.set_flush_denormal(True)
    tune_malloc()


def child(job):
    """In the contender's own process: do the job, print one line of JSON."""
    part, name, threads = job
    settle(threads)
    if name == LIMIT:
        call = limit
    elif part in GROWS:
        call = lambda: GROWS[part][1](int(name))  # noqa: E731
    else:
        call = contenders(SIZES)[part][name][1]
    before = peak_memory_mb()
    done = {"before_mb": before} | call()
    print("\n" + json.dumps({"peak_mb": peak_memory_mb()} | done | {"ended": time.time()}))


def run_child(part, name, threads):
    """Returns what the child measured, or None after saying what went wrong."""
    quiet = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    env = os.environ | quiet | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, "--child", json.dumps([part, name, threads])]
    started = time.time()
    ran = subprocess.run(command, env=env, capture_output=True, text=True)
    if ran.returncode:
        print(f"  {part}, {name}: failed: {(ran.stderr.strip() or 'no message').splitlines()[-1]}", file=sys.stderr)
        return None
    done = json.loads(ran.stdout.splitlines()[-1])
    return done | {"seconds": done["ended"] - started} if part == "startup" and name != LIMIT else done


def rounds_of(part, names, args):
    """The contenders take turns -> {name: [what it measured in every round]}"""
    rounds = {name: [] for name in names}
    for number in range(args.rounds):
        for name in names if number % 2 == 0 else names[::-1]:  # nobody always comes after the same one
            print(f"\r{part}: round {number + 1} of {args.rounds}, {name:<32}", end="", file=sys.stderr, flush=True)
            rounds[name].append(run_child(part, name, args.threads))
    print("\r" + " " * 78 + "\r", end="", file=sys.stderr)
    return {name: some for name, some in rounds.items() if None not in some}


def middle(rounds, key):
    return statistics.median(done[key] for done in rounds)


def summary(part, some, limits, ours):
    """All rounds of one contender -> one row of the table. The share of the limit and the ratio are taken by round."""
    every = [done["seconds"] for done in some]
    row = {"seconds": statistics.median(every), "peak_mb": middle(some, "peak_mb"), "loss": some[0].get("loss")}
    row |= {"spread": (max(every) - min(every)) / row["seconds"], "work_mb": row["peak_mb"] - middle(some, "before_mb")}
    if part != "startup":
        size = SIZES[part[-1] if part.startswith("pretrain") else "S"]
        work = some[0]["tokens"] * work_per_token(size, mean_length(part), part)
        row["tokens_per_second"] = some[0]["tokens"] / row["seconds"]
        row["share"] = statistics.median(work / d["seconds"] / e["float32"] for d, e in zip(some, limits))
    each = [b["seconds"] / a["seconds"] for a, b in zip(ours, some)]
    return row | {"ratio": [statistics.median(each), min(each), max(each)], "rounds": some}


def compare(part, cases, args):
    """Run one part and print its table -> what goes into the JSON file."""
    there = [name for name, (needs, _) in cases.items() if all(map(importlib.util.find_spec, needs.split()))]
    rounds = rounds_of(part, [LIMIT] + there, args)
    rates = {dtype: middle(rounds[LIMIT], dtype) / 1e9 for dtype in DTYPES}
    said = ", ".join(f"{dtype} {rate:.0f} GFLOP/s" for dtype, rate in rates.items())
    print(f"\n{part:<26}  seconds spread  tokens/s of limit peak MB its work   loss   the first is faster ({said})")
    found = {LIMIT: {"gflops": rates, "rounds": rounds.pop(LIMIT)}}
    first = next(iter(rounds))
    for name, some in rounds.items():
        row = found[name] = summary(part, some, found[LIMIT]["rounds"], rounds[first])
        speed = f"{row['tokens_per_second']:>10,.0f}{row['share']:>9.0%}" if "share" in row else " " * 19
        loss = f"{row['loss']:>7.3f}" if row["loss"] else " " * 7
        ratio = "" if name == first else "   {:.2f} x ({:.2f} to {:.2f})".format(*row["ratio"])
        print(f"  {name:<24}{row['seconds']:>9.3f}{row['spread']:>7.0%}{speed}{row['peak_mb']:>8.0f}{row['work_mb']:>9.0f}"
              f"{loss}{ratio}", flush=True)
    for name in [name for name in cases if name not in there]:
        print(f"  {name:<24} not installed, skipped (needs {cases[name][0]})")
    return found


def grow(args):
    """Print how the cost grows when something doubles -> the same for the JSON file."""
    print("A training step in float32, S but for what grows, 8 rows; sampling 100 tokens; what is done to data.")
    print(f"{'what grows':<22}{'to':>6}{'seconds':>10}{'MB':>7}   times seconds, MB, work: each against the row above")
    found = {}
    for what, (values, _) in GROWS.items():
        rounds, rows = rounds_of(what, [str(value) for value in values], args), []
        for value, some in zip(values, rounds.values()):
            memory = max(1, middle(some, "peak_mb") - middle(some, "before_mb"))
            rows.append({"seconds": middle(some, "seconds"), "mb": memory, "work": growing_work(what, value)})
            line = f"{what:<22}{value:>6}{rows[-1]['seconds']:>10.4f}{memory:>7.0f}"
            if len(rows) > 1:
                times = [now / before for now, before in zip(rows[-1].values(), rows[-2].values())]
                line += "   {:.2f}, {:.2f}, {:.2f}".format(*times)
                line += "   faster than its work" if times[0] > 1.15 * times[2] else ""
            print(line, flush=True)
        found[what] = rows
    return found


def profile(threads):
    """Print the operations that a training step and a sampled token are made of: how many, how long, which share."""
    settle(threads)
    loop = functools.partial(train, dtype=DTYPES[-1])
    jobs = {"pretrain S, one step": (lambda: pretraining(our_model("S"), loop, "S", steps=20), 20)}
    jobs |= {f"sample {n}, one token of each": (lambda n=n: sampling_ours(n), 6 * ANSWER) for n in (1, 64)}
    for job, (call, units) in jobs.items():
        call()  # to warm up
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
            whole = timed(call)
        events = sorted(found.key_averages(), key=lambda event: event.self_cpu_time_total, reverse=True)
        count = sum(event.count for event in events)
        print(f"\n{job}: {count / units:,.0f} operations, {whole / units * 1e6:,.0f} us with the profiler's own time")
        print(f"  {'operation':<32}{'how many':>10}{'us each':>10}{'share':>8}")
        for event in events[:12]:
            took = event.self_cpu_time_total
            print(
                f"  {event.key:<32.32}{event.count / units:>10.1f}{took / event.count:>10.1f}{took / whole / 1e6:>8.0%}"
            )
        inside = sum(event.self_cpu_time_total for event in events) / whole / 1e6
        print(f"  {'Python, between operations':<52}{1 - inside:>8.0%}")


def flags():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--json", metavar="FILE", help="write everything that was measured, round by round")
    add("--sizes", default="S,M", help="sizes to pretrain (default: S,M)")
    add("--only", default="pretrain,tune,lora,sample,startup", help="parts to run, apart by commas (default: all)")
    add("--rounds", type=int, default=5, help="how often everybody has a turn (default: 5)")
    add("--threads", type=int, default=2, help="CPU threads of every contender (default: 2)")
    add("--grow", action="store_true", help="measure instead how the cost grows")
    add("--profile", action="store_true", help="print instead what a step and a token of ours are made of")
    add("--child", help=argparse.SUPPRESS)
    return parser


def main():
    args = flags().parse_args()
    if args.child:
        return child(json.loads(args.child))
    if args.profile:
        return profile(args.threads)
    cpu = platform.processor() or platform.machine()
    report = {"machine": f"{cpu}, {os.cpu_count()} cores", "threads": args.threads, "rounds": args.rounds}
    report |= {"torch": torch.__version__, "python": platform.python_version()}
    print(", ".join(f"{key} {value}" for key, value in report.items()))
    print(
        "share of the limit: tokens/s x (6 x (non-embedding + head parameters) + 12 L d T) / float32 rate of 2048-square mm;"
    )
    print(
        "above 100% is possible in bfloat16; 4 x for LoRA, a third of all in sampling. 'its work': peak memory less what"
    )
    print("was taken when the job began.")
    if args.grow:
        report["grow"] = grow(args)
    else:
        parts = contenders(args.sizes.split(","))
        report["parts"] = {
            p: compare(p, cases, args) for p, cases in parts.items() if p.split()[0] in args.only.split(",")
        }
    if args.json:
        Path(args.json).write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
