"""Pretrain a tiny GPT on text, tune it on instructions, and show that it worked.

The one idea: pretraining and instruction tuning are the same loop with the same loss, `train()`
below. Only two things change: what the batches contain, and which tokens the loss looks at.

    python train_sft.py                    the whole story, several minutes on two cores
    python train_sft.py --quick            a first look: ten tasks, a third of the time
    python train_sft.py --lora 16          also tune a LoRA adapter, and compare
    python train_sft.py --data my.jsonl    tune on your own pairs
    torchrun --nproc_per_node=2 train_sft.py      in several processes
"""

import copy
import math
import os
import sys
from dataclasses import replace

import common  # noqa: F401  tells if a package is missing

os.environ.setdefault("GOMP_SPINCOUNT", "3000")  # before torch: waiting threads yield their core
import torch

from common import flags, sources, speed, table
from common.checkpoint import hash_tensors
from common.cli import UserError, cli_main
from common.lora import LORA_TARGETS, add_lora
from common.muon import muon_and_adamw
from common.pairs import Corpus, train_tokenizer, with_replay
from common.run import Run
from data import collate, corpus_batch, epoch_batches, prepare
from generate import Assistant, Sampling, three_models
from model import GPT, IGNORE, GPTConfig

# ---- The training loop. Both stages use it -------------------------------------------------------

MAX_WARMUP = 50  # steps
BETAS, WEIGHT_DECAY = (0.9, 0.99), 0.01  # of AdamW


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


# ---- The two stages, side by side. Only the batches differ ---------------------------------------


def pretrain(model, stream, steps, optimizers, batch_size=8, seq_len=128, **options) -> None:
    """Train on plain text: a batch is the next chunk of the corpus; every token is supervised."""
    batch = lambda step: corpus_batch(stream, step, batch_size, seq_len)  # noqa: E731
    train(model, batch, steps, optimizers, **options)


def tune(model, examples, steps, optimizers, batch_size=16, seed=0, pad=0, collate=collate,
         **options) -> None:  # fmt: skip
    """Train on pairs: a batch is a few conversations; only answers and their eos are supervised."""
    batches = []
    epoch = 0
    while len(batches) < steps:
        batches += epoch_batches(examples, batch_size, seed + epoch)
        epoch += 1
    batch = lambda step: collate(batches[step], pad, multiple=16)  # noqa: E731
    train(model, batch, steps, optimizers, **options)


# ---- The main job: pretrain, tune, evaluate ------------------------------------------------------

def pretrain_base(config, run: Run, corpus: Corpus) -> Assistant:
    """Pretrain a new base on the corpus, and save it."""
    run.print("\n1. Pretraining: a new base reads text and learns to continue it.")
    tokenizer = train_tokenizer(corpus.documents, config)
    torch.manual_seed(config.seed)
    shape = ("block_size", "n_layer", "n_head", "n_embd", "smear")
    sizes = {name: getattr(config, name) for name in shape}
    model = GPT(GPTConfig(tokenizer.vocab_size, **sizes)).to(config.device)
    base = Assistant(model, tokenizer, None)

    corpus.tokenize(tokenizer, config.seq_len)
    n_weights = sum(p.numel() for p in model.parameters())
    run.print(f"  {n_weights:,} weights, {len(corpus.train_tokens):,} tokens of text")
    optimizers = muon_and_adamw(model, config.pretrain_lr, adamw)
    sizes = (config.pretrain_batch, config.seq_len)
    with run.track("pretrain", base, optimizers, corpus.hash) as options:
        pretrain(model, corpus.train_tokens, config.pretrain_steps, optimizers, *sizes, **options)
    run.save_base(base, corpus.hash)
    return base


def tune_base(config, run: Run, base: Assistant, examples: list, lora: int = 0) -> Assistant:
    """Tune a copy of the base, or a LoRA adapter of that rank, and save it."""
    # A large base is not copied: its adapter can be switched off.
    model = base.model if config.adapter_only else copy.deepcopy(base.model)
    stage, lr = "tune", config.tune_lr
    if lora:
        stage, lr = "lora", config.lora_lr
        targets = getattr(model, "lora_targets", LORA_TARGETS)
        add_lora(model, lora, 2 * lora, targets, seed=config.seed)
        n_trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        run.print(f"  LoRA of rank {lora}: {n_trained:,} weights are trained")
    optimizers = [adamw(model.parameters(), lr)]
    tuned = Assistant(model, base.tokenizer, config.template)

    n_batches = math.ceil(len(examples) / config.tune_batch)
    steps = max(1, int(config.tune_epochs * n_batches))
    data_hash = hash_tensors(repr(examples))
    with run.track(stage, tuned, optimizers, data_hash) as options:
        if config.pack:
            from extras.packing import packer

            options["collate"] = packer(model.config.block_size)
        sizes = (config.tune_batch, config.seed, base.tokenizer.eos_id)
        tune(model, examples, steps, optimizers, *sizes, **options)
    run.save_tuned(tuned, base.model, data_hash)
    return tuned


def evaluate(config, run: Run, models: dict, pairs, corpus) -> None:
    """Ask held-out questions, measure the cost of tuning, and write the report and the page."""
    run.print("\n4. Did it work? Held-out questions, answered right:\n")
    scores, answers = table.score_models(models, pairs.splits, Sampling())
    table.print_table(scores)

    # does the base continue questions with questions, and what did tuning cost?
    goes_on = run.report["base_goes_on"] = table.continues_with_question(answers, pairs.splits)
    run.print(f"\n  The base continues a question with another question: {goes_on:.0%}")
    losses = {"base": corpus.val_loss(models["base_raw"], config)}
    for name in list(models)[2:]:  # tuned, and lora if it was asked for
        losses[name] = corpus.val_loss(models[name], config)
    losses_text = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
    run.print(f"  Loss on held-back text: {losses_text}")

    run.print("\n5. Side by side, all held out:")
    table.print_side_by_side(models, table.shown_rows(pairs.splits), Sampling())
    run.finish(models, pairs, scores, answers, losses, Sampling())


def main_job(config) -> None:
    """Pretrain, tune, evaluate."""
    run = Run(config)

    # Load the data first: a mistake in a file should show before minutes of work.
    pairs = sources.load_pairs(config)
    corpus = sources.load_corpus(config)
    run.start()

    # The base: used again, read from a file, or pretrained here.
    if run.reuse_base or config.base:
        run.print(f"\n1. The base is {config.base_file}.")
        model, tokenizer = sources.load_base(config)
        base = Assistant(model, tokenizer, None)
        corpus.tokenize(tokenizer, config.seq_len)
        run.check_base(base, corpus)
    else:
        base = pretrain_base(config, run, corpus)

    # Tokenize the pairs, and mix in a share of what the base knows already.
    block_size = base.model.config.block_size
    prepared = prepare(pairs.rows, base.tokenizer, config.template, block_size)
    run.show_data(base.tokenizer, prepared, pairs)
    examples = with_replay(config, prepared[0], pairs, corpus, base.tokenizer, block_size)

    # Tune. With the world's pairs the embeddings stay frozen: tokens that occur in no pair would
    # drift apart from those that do.
    run.print("\n3. Tuning: the same loop, different batches.")
    base.model.wte.requires_grad_(bool(config.data))
    tuned = tune_base(config, run, base, examples, config.lora * config.adapter_only)
    models = three_models(replace(base, lora=False), tuned)
    run.print_contrast(models)
    if config.lora and not config.adapter_only:
        models["lora"] = tune_base(config, run, base, examples, config.lora)

    if run.rank == 0:
        evaluate(config, run, models, pairs, corpus)


# ---- The command line ----------------------------------------------------------------------------


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
        print("\nStopped." + " Continue with the same command and --resume." * saved)
        return 130


if __name__ == "__main__":
    sys.exit(main())
