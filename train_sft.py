"""Pretrain a tiny GPT on text, tune it on instructions, and show that it worked.

The one idea: pretraining and instruction tuning are the same loop with the same loss, `train()`
below. Only two things change: what the batches contain, and which tokens the loss looks at.

    python train_sft.py                    the whole story, two to three minutes on two cores
    python train_sft.py --quick            the same in seconds, with a model too small to be good
    python train_sft.py --lora 16          also tune a LoRA adapter, and compare
    python train_sft.py --data my.jsonl    tune on your own pairs
    torchrun --nproc_per_node=2 train_sft.py      on several processes
"""

import copy
import math
import os
import random
import sys

import common  # noqa: F401  tells if a package is missing

os.environ.setdefault("GOMP_SPINCOUNT", "3000")  # before torch: waiting threads yield their core
import torch

import world
from common import flags, sources, speed, table
from common.checkpoint import hash_examples, hash_tensors, load_model, must_match
from common.cli import UserError, cli_main
from common.muon import muon_and_adamw
from common.run import Run
from data import collate, corpus_batch, epoch_batches, prepare
from generate import Assistant, Sampling, three_models
from model import GPT, IGNORE, GPTConfig, add_lora

# --------------------------------------------------------------------------------------------------
# The training loop. Both stages use it.

MAX_WARMUP = 50  # steps
BETAS = (0.9, 0.99)
WEIGHT_DECAY = 0.01


def backward(model, batch, micro_batch: int, autocast) -> float:
    """Run the forward and backward pass of a batch, a few rows at a time.

    Returns the mean loss per supervised token, in nats."""
    device = next(model.parameters()).device
    # We divide by the supervised tokens of the whole batch, so that all of them count alike and the
    # gradient doesn't depend on how the rows are split.
    n_supervised = (batch[1] != IGNORE).sum().clamp(min=1).to(device)
    loss = 0.0
    for rows in zip(*(tensor.split(micro_batch) for tensor in batch)):
        with autocast:
            part = model(*(tensor.to(device) for tensor in rows)) / n_supervised
        part.backward()
        loss += part.item()
    return loss


def lr_multiplier(step: int, steps: int) -> float:
    """Return the fraction of the peak learning rate: linear warmup, then linear decay to zero."""
    warmup = max(1, min(MAX_WARMUP, steps // 10))
    return min((step + 1) / warmup, (steps - step) / (steps - warmup + 1))


def train(model, batch_at, steps: int, optimizers, *, start=0, micro_batch=64, dtype="float32",
          clip=1.0, backward=backward, on_step=None) -> None:  # fmt: skip
    """Train on next tokens. Any module will do whose model(inputs, targets) is a summed loss.

    batch_at(step) returns inputs and targets, both (B, T); targets equal to IGNORE have no loss.
    on_step(steps done, steps, loss, tokens) is called after each step, for logs and checkpoints.
    Raises UserError if the loss is not finite."""
    device = next(model.parameters()).device
    # bfloat16 is for matrix products only; weights and optimizer states stay in float32
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=dtype == "bfloat16")
    for step in range(start, steps):
        model.train()

        # forward and backward pass
        batch = batch_at(step)
        loss = backward(model, batch, micro_batch, autocast)
        if not math.isfinite(loss):
            remedy = "Lower --pretrain-lr, --tune-lr or --lora-lr."
            raise UserError(f"the loss is {loss} at step {step}. {remedy}")

        # clip the gradient, set the learning rate, update the weights
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                peak = group.setdefault("initial_lr", group["lr"])
                group["lr"] = peak * lr_multiplier(step, steps)
            with autocast:  # Muon multiplies matrices, too
                optimizer.step()
            optimizer.zero_grad()

        if on_step:
            on_step(step + 1, steps, loss, batch[0].numel())
    model.eval()


def adamw(parameters, lr: float) -> torch.optim.Optimizer:
    """Make AdamW for everything trainable. Only matrices get weight decay, not biases and norms."""
    trainable = [p for p in parameters if p.requires_grad]
    matrices = [p for p in trainable if p.dim() >= 2]
    vectors = [p for p in trainable if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}]
    if vectors:
        groups.append({"params": vectors, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, lr=lr, betas=BETAS, fused=True)


# --------------------------------------------------------------------------------------------------
# The two stages, side by side. Only the batches differ.


def pretrain(model, stream, steps, optimizers, batch_size=8, seq_len=128, **options) -> None:
    """Train on plain text: a batch is the next chunk of the corpus; every token is supervised."""

    def batch_at(step):
        return corpus_batch(stream, step, batch_size, seq_len)

    train(model, batch_at, steps, optimizers, **options)


def tune(model, chapters, steps, optimizers, batch_size=32, seed=0, pad=0, collate=collate,
         **options) -> None:  # fmt: skip
    """Train on pairs: a batch is a few conversations; only answers and their eos are supervised."""
    batches = []
    epoch = 0
    while len(batches) < steps:
        for examples in chapters:
            batches += epoch_batches(examples, batch_size, seed + epoch)
        epoch += 1

    def batch_at(step):
        return collate(batches[step], pad, multiple=16)

    train(model, batch_at, steps, optimizers, **options)


# --------------------------------------------------------------------------------------------------
# What the main job puts into them.

VAL_BATCHES = 8


def load_pairs(config, run: Run) -> sources.Pairs:
    """Load the pairs of --data, or make those of the built-in world."""
    if not config.data:
        return sources.world_pairs(config)
    from extras.datasets import load_mixture

    rows, dropped, splits, mixture = load_mixture(config.data, config.seed)
    run.report["mixture"] = mixture
    run.print_wrapped(f"Pairs: {', '.join(config.data)}, {len(rows):,} rows")
    return sources.Pairs(rows, splits, dropped)


def load_corpus(config, run: Run):
    """Load documents to pretrain on, and a function that tokenizes all of them as one stream."""
    if not config.corpus:
        return sources.world_corpus(config)
    from extras.datasets import open_corpus

    return open_corpus(config.corpus, run)


@torch.inference_mode()
def val_loss(model, val_tokens, batch_size=8, seq_len=128) -> float:
    """Compute the loss on held-back text, in nats per token: how well it still knows its corpus."""
    total = count = 0
    seq_len = min(seq_len, model.config.block_size)  # a base from elsewhere may have a short one
    for step in range(VAL_BATCHES):
        inputs, targets = corpus_batch(val_tokens, step, batch_size, seq_len)
        total += model(inputs.to(model.device()), targets.to(model.device())).item()
        count += targets.numel()
    return total / count


def with_replay(examples, documents, tokenizer, block_size, ratio, rng) -> list:
    """Add `ratio` documents of the corpus per example, every token supervised.

    Tuning then forgets less of what the base knows (Scialom et al. 2022)."""
    n = min(len(documents), round(ratio * len(examples)))
    replay = []
    for text in rng.sample(documents, n):
        ids = [tokenizer.start_id, *tokenizer.encode(text), tokenizer.eos_id][: block_size + 1]
        replay.append((ids, [1] * len(ids)))
    return examples + replay


# --------------------------------------------------------------------------------------------------
# The main job: pretrain, tune, evaluate.


def base_model(config, run: Run, documents, encode_all):
    """Return the base and its validation tokens. A base that is there already is used again."""
    if run.reuse_base:
        run.print(f"\n1. Base: {config.base_file} is used again (--fresh starts over).")
        model, tokenizer, content = load_model(config.base_file)
    elif config.base:
        from extras.gpt2 import load_base

        model, tokenizer = load_base(config.base)
    else:
        run.print("\n1. Pretraining: a new base reads text and learns to continue it.")
        tokenizer = sources.train_tokenizer(documents, config)
        torch.manual_seed(config.seed)
        shape = ("block_size", "n_layer", "n_head", "n_embd", "smear")
        sizes = {name: getattr(config, name) for name in shape}
        model = GPT(GPTConfig(tokenizer.vocab_size, **sizes))
    base = Assistant(model.to(config.device), tokenizer, None)

    # the corpus, in tokens of this base
    tokens = encode_all(tokenizer)
    corpus_hash = hash_tensors(tokens)
    train_tokens, val_tokens = sources.split_off_validation(config, tokens)
    if run.reuse_base:
        text = config.corpus or "the built-in world"
        remedy = f"Give --fresh to make {config.base_file} anew, or another --out."
        message = f"{text}: {config.base_file} was made from another text. {remedy}"
        must_match(content["trained_on"].get("corpus_hash"), corpus_hash, message)
    elif not config.base:
        n_weights = sum(p.numel() for p in model.parameters())
        run.print(f"  {n_weights:,} weights, {len(train_tokens):,} tokens of text")
        optimizers = muon_and_adamw(model, config.pretrain_lr, adamw)
        sizes = (config.pretrain_batch, config.seq_len)
        with run.track("pretrain", base, optimizers, corpus_hash) as options:
            pretrain(model, train_tokens, config.pretrain_steps, optimizers, *sizes, **options)
    if not run.reuse_base:
        run.save_base(model, tokenizer, corpus_hash)
    return base, val_tokens


def tune_copy(config, run: Run, base: Assistant, chapters, lora: int = 0) -> Assistant:
    """Tune a copy of the base, all of it or a LoRA adapter of that rank, and save it."""
    model = copy.deepcopy(base.model)
    stage, lr = "tune", config.tune_lr
    if lora:
        stage, lr = "lora", config.lora_lr
        add_lora(model, lora, 2 * lora, seed=config.seed)
        n_trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        run.print(f"\n  LoRA of rank {lora}: {n_trained:,} weights are trained")
    optimizers = [adamw(model.parameters(), lr)]
    tuned = Assistant(model, base.tokenizer, config.template)

    batches = sum(math.ceil(len(examples) / config.tune_batch) for examples in chapters)
    steps = max(1, int(config.tune_epochs * batches))
    data_hash = hash_examples(chapters)
    with run.track(stage, tuned, optimizers, data_hash) as options:
        if config.pack:
            from extras.packing import packer

            options["collate"] = packer(model.config.block_size)
        sizes = (config.tune_batch, config.seed, base.tokenizer.eos_id)
        tune(model, chapters, steps, optimizers, *sizes, **options)
    run.save_tuned(tuned, base.model, data_hash)
    return tuned


def evaluate(config, run: Run, models: dict, splits: dict, val_tokens) -> None:
    """Ask held-out questions, measure the cost of tuning, and write report and page."""
    run.print("\n4. Did it work? Questions that were never tuned on:\n")
    scores, answers = table.score_models(models, splits, Sampling())
    table.print_table(scores)
    goes_on = table.continues_with_question(answers, splits)
    run.report["base_goes_on"] = goes_on

    # the cost of tuning
    losses = {}
    for name, assistant in models.items():
        if name == "base_template":
            continue
        losses[name] = val_loss(assistant.model, val_tokens, config.pretrain_batch, config.seq_len)
    run.print(f"\n  The base continues a question with another question: {goes_on:.0%}")
    text = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
    run.print(f"  Loss on text that nobody trained on: {text}")

    run.print("\n5. Side by side, all held out:")
    table.print_side_by_side(models, table.shown_rows(splits), Sampling())
    run.save_report(scores, losses)


def main_job(config) -> None:
    """Pretrain, tune, evaluate."""
    run = Run(config)

    # Load the data first: a mistake in a file should show before minutes of work.
    pairs = load_pairs(config, run)
    documents, encode_all = load_corpus(config, run)
    run.start()
    base, val_tokens = base_model(config, run, documents, encode_all)

    # Tokenize the pairs, and mix some of the corpus in.
    practice = [row for row in pairs.rows if row.task in world.PRACTICE]
    others = [row for row in pairs.rows if row.task not in world.PRACTICE]
    block_size, rng = base.model.config.block_size, random.Random(config.seed)
    chapters = []
    for rows in (practice, others):
        prepared = prepare(rows, base.tokenizer, config.template, block_size)
        if rows is others:
            run.show_data(base.tokenizer, prepared, rows, pairs.dropped, pairs.splits)
        replay = (documents, base.tokenizer, block_size, config.replay, rng)
        chapters.append(with_replay(prepared[0], *replay))

    # Tune. With the world's pairs the embeddings stay frozen: tokens that occur in no pair would
    # drift apart from those that do.
    run.print("\n3. Tuning: the same loop, other batches.")
    base.model.wte.requires_grad_(bool(config.data))
    models = three_models(base, tune_copy(config, run, base, chapters))
    if config.lora:
        models["lora"] = tune_copy(config, run, base, chapters, config.lora)

    evaluate(config, run, models, pairs.splits, val_tokens)


@cli_main
def main(argv=None):
    config = flags.parse_train(argv, __doc__)
    if "RANK" in os.environ:  # started by torchrun: one of several processes
        from extras import parallel

        config.device = parallel.join(config.device)
    speed.prepare_machine(config)
    try:
        main_job(config)
    except KeyboardInterrupt:
        saved = any(os.path.exists(f"{config.out}/{name}") for name in ("resume.pt", "base.pt"))
        remedy = " Continue with the same command and --resume." if saved else ""
        print(f"\nStopped.{remedy}")
        return 130
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


if __name__ == "__main__":
    sys.exit(main())
