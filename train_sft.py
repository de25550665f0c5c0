"""From nothing to a model that answers: pretrain a tiny GPT on text, tune it on instructions, show that it worked.

The one idea: pretraining and instruction tuning are the same loop with the same loss, `train()` below. Only two
things change: what the batches hold, and which positions the loss looks at.

    python train_sft.py                    the whole story, two to three minutes on two cores
    python train_sft.py --quick            the same in seconds, with a model too small to be good
    python train_sft.py --lora 16          tune a low-rank adapter as well, and compare
    python train_sft.py --data my.jsonl    tune on your own pairs
    python train_sft.py --base gpt2 --data alpaca_data.json --lora 8 --out gpt2    the real thing
    torchrun --nproc_per_node=2 train_sft.py                                  the same on several processes
"""

import copy
import math
import os
import random
import sys
import time

import torch

import data
import world
from data import Row, Tokenizer, UserError, collate, corpus_batch, epoch_batches, prepare
from common import flags, muon as optim, page, speed, table
from extras import rules
from common.audit import audit, show_mask
from common.checkpoint import MADE_WITH, another, digest, fingerprint, load_model, lora_state
from common.run import Run
from common.cli import program
from generate import Assistant, Sampling, three_models
from model import GPT, IGNORE, GPTConfig, add_lora

# ----------------------------------------------------------------------------------------------------------------
# The loop. Both stages are this.


def backward(model, batch, micro_batch, autocast):
    """Gradients of the mean loss of a batch, a few rows at a time -> that loss.

    The sum is divided by the number of supervised tokens of the whole batch: every one counts alike, however the rows
    are split."""
    device, loss = next(model.parameters()).device, 0.0
    n_supervised = (batch[1] != IGNORE).sum().clamp(min=1).to(device)
    for rows in zip(*(tensor.split(micro_batch) for tensor in batch)):
        with autocast:
            part = model(*(tensor.to(device) for tensor in rows)) / n_supervised
        part.backward()
        loss += part.item()
    return loss


def lr_multiplier(step, steps):
    """Share of the peak learning rate: warm up over the first steps, then decay linearly to zero."""
    warm_up = max(1, min(50, steps // 10))
    return min((step + 1) / warm_up, (steps - step) / (steps - warm_up + 1))


def train(model, batch_at, steps, optimizers, *, start=0, micro_batch=64, dtype="float32", clip=1.0,
          backward=backward, on_step=None):
    """Next-token training, for both stages. Any module will do whose model(inputs, targets) is a summed loss.

    batch_at(step) -> inputs, targets, each (B, T), and perhaps more for the model; a target that is IGNORE has no loss.
    dtype "bfloat16": mixed precision (Micikevicius et al. 2017); weights and optimizer states stay in float32.
    on_step(steps done, steps, loss, tokens) is called after each step. Raises UserError if the loss is not finite."""
    device = next(model.parameters()).device
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=dtype == "bfloat16")
    for step in range(start, steps):
        model.train()
        batch = batch_at(step)
        loss = backward(model, batch, micro_batch, autocast)
        if not math.isfinite(loss):
            raise UserError(f"the loss is {loss} at step {step}. Lower --pretrain-lr, --tune-lr or --lora-lr.")
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * lr_multiplier(step, steps)
            with autocast:
                optimizer.step()
            optimizer.zero_grad()
        if on_step:
            on_step(step + 1, steps, loss, batch[0].numel())
    model.eval()


def adamw(parameters, lr):
    """AdamW for all that is trainable; weight decay only on matrices (as GPT, Radford et al. 2018)."""
    trainable = [p for p in parameters if p.requires_grad]
    matrices, vectors = [p for p in trainable if p.dim() >= 2], [p for p in trainable if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=(0.9, 0.99), fused=True)


# The two stages.


def pretrain(model, stream, steps, optimizers, batch_size=8, seq_len=128, **options):
    """On plain text: a batch is the next piece of the corpus, and every token is supervised."""

    def batch_at(step):
        return corpus_batch(stream, step, batch_size, seq_len)

    train(model, batch_at, steps, optimizers, **options)


def tune(model, examples, steps, optimizers, batch_size=32, seed=0, pad=0, collate=collate, first=(), **options):
    """On pairs: a batch is some conversations, and only the answers with their eos are supervised. The examples of
    `first` come before the others (a curriculum, Bengio et al. 2009)."""
    batches, epoch = [], 0
    while len(batches) < steps:
        for chapter in (first, examples):
            batches += epoch_batches(chapter, batch_size, seed + epoch)
        epoch += 1

    def batch_at(step):
        return collate(batches[step], pad, multiple=16)  # few sizes: see GPT.forward

    train(model, batch_at, steps, optimizers, **options)


# ----------------------------------------------------------------------------------------------------------------
# What the main job puts into them.

VAL_TOKENS = 20_000  # tokens at the end of the corpus that are never trained on
WORLD_TOKENS = 2_068_000  # tokens of the built-in world's corpus at its full size


def load_pairs(config, run):
    """Rows to tune on, {reason: [where]} of rows left out, {split: held-out rows}."""
    if config.data:
        from extras.datasets import load_mixture

        rows, dropped, splits, mixture = load_mixture(config.data, config.seed)
        run.report["mixture"] = mixture
        biggest = ", ".join(f"{task} {n}" for task, n in list(mixture["taken"].items())[:8])
        run.say_wrapped(f"Mixture: {', '.join(config.data)}: {len(rows):,} rows ({biggest})")
        run.shown = next((row.turns[0]._replace(output=None) for split in splits.values() for row in split), run.shown)
        return rows, dropped, splits
    built = world.build(config.seed, config.hold_out, size=0)
    splits = {name: [Row.from_dict(pair) for pair in pairs] for name, pairs in built.splits.items()}
    return [Row.from_dict(pair) for pair in built.pairs], {}, splits


def load_corpus(config, run):
    """Documents to train the tokenizer on, and a function that encodes the whole corpus with it."""
    if config.corpus:
        from extras.datasets import open_corpus

        return open_corpus(config.corpus, run)
    tokens = config.pretrain_steps * config.pretrain_batch * config.seq_len + VAL_TOKENS  # as many as will be read
    documents = world.build(config.seed, config.hold_out, tokens / WORLD_TOKENS).corpus
    return documents, lambda tokenizer: data.encode_corpus(tokenizer, documents)


def train_tokenizer(documents, config):
    """Byte pairs of the corpus. The headers of the prompt count as common words, so that they are a few tokens each."""
    t = data.get_template(config.template)
    headers = "".join((t.preamble, t.instruction, t.input, t.response))
    return Tokenizer(data.train_bpe("\n".join(documents) + headers * 300, config.vocab_size))


def split_off_validation(config, stream):
    """A stream of tokens -> the part to train on, the validation part."""
    if len(stream) < 3 * config.seq_len:
        raise UserError(f"{config.corpus}: {len(stream)} tokens are fewer than three times {config.seq_len}. Add text.")
    cut = len(stream) - max(config.seq_len + 1, min(VAL_TOKENS, len(stream) // 20))
    return stream[:cut], stream[cut:]


@torch.inference_mode()
def val_loss(model, stream, batch_size=8, seq_len=128):
    """Mean loss (nats a token) on the validation part of the corpus: how well the model still knows its language."""
    total = count = 0
    for step in range(8):
        inputs, targets = corpus_batch(stream, step, batch_size, seq_len)
        total += model(inputs.to(model.device()), targets.to(model.device())).item()
        count += targets.numel()
    return total / count


def replayed(documents, tokenizer, n, block_size, rng):
    """Some documents of the corpus as examples, every token supervised: mixed among the pairs they keep what the base
    knows (replay; Scialom et al. 2022)."""
    ids = [[tokenizer.eos_id, *tokenizer.encode(text), tokenizer.eos_id] for text in rng.sample(documents, n)]
    return [(some[: block_size + 1], [1] * len(some[: block_size + 1])) for some in ids]


def base_model(config, run, documents, encode_all):
    """The base, its tokenizer, validation tokens. Used again if it is there, GPT-2 if asked for, else pretrained here."""
    start = time.perf_counter()
    if run.reuses:
        run.say(f"\n1. Base model: {run.base_file} is there and is used again (--fresh starts over).")
        model, tokenizer, content = load_model(run.base_file)
    elif config.base:
        from extras.gpt2 import load_base

        run.say(f"\n1. Base model: {config.base}.")
        model, tokenizer = load_base(config.base, run.out)
    else:
        run.say("\n1. No base model yet: pretraining one. It reads text and learns to continue it.")
        tokenizer = train_tokenizer(documents, config)
        torch.manual_seed(config.seed)
        sizes = {name: getattr(config, name) for name in ("block_size", "n_layer", "n_head", "n_embd", "smear")}
        model = GPT(GPTConfig(tokenizer.vocab_size, **sizes))
    model.to(config.device)
    tokens = encode_all(tokenizer)
    made_with = {name: getattr(config, name) for name in MADE_WITH} | {"digest": digest(tokens)}
    stream, val_stream = split_off_validation(config, tokens)
    if run.reuses:
        if made_with["digest"] != content["trained_on"].get("digest"):
            raise another(f"--corpus {config.corpus or 'world'}: {run.base_file} was made from another text", run.base_file)
        return model, tokenizer, val_stream
    if not config.base:
        seconds = round(time.perf_counter() - start, 2)
        run.report["stages"]["prepare"] = {"seconds": seconds, "corpus_tokens": len(stream)}
        run.say(f"  {sum(p.numel() for p in model.parameters()):,} parameters, {len(stream):,} tokens of text")
        optimizers = optim.muon_and_adamw(model, config.pretrain_lr, adamw)
        with run.stage("pretrain", Assistant(model, tokenizer, None), optimizers) as options:
            pretrain(model, stream, config.pretrain_steps, optimizers, config.pretrain_batch, config.seq_len, **options)
    run.save_model("base", model, tokenizer, None, made_with)
    return model, tokenizer, val_stream


def tune_copy(config, run, base, tokenizer, first, examples, stage):
    """A copy of the base, as a whole ("tune") or with an adapter ("lora"), tuned and saved -> Assistant"""
    model, pad, adapter = copy.deepcopy(base), tokenizer.eos_id, stage == "lora"
    if adapter:
        add_lora(model, config.lora, 2 * config.lora, seed=config.seed)
        n, total = (sum(p.numel() for p in m.parameters() if p.requires_grad) for m in (model, base))
        run.say(f"\n   LoRA, rank {config.lora}: {n:,} numbers are trained, {n / total:.1%} of the {total:,} of full tuning.")
    model.recompute = config.recompute
    run.say("  " + speed.estimate(model, first + examples, config))
    optimizers = [adamw(model.parameters(), config.lora_lr if adapter else config.tune_lr)]
    batches = sum(math.ceil(len(chapter) / config.tune_batch) for chapter in (first, examples))
    steps = max(1, int(batches * config.tune_epochs))
    assistant = Assistant(model, tokenizer, config.template)
    with run.stage(stage, assistant, optimizers) as options:
        if config.pack:
            from extras.packing import collate_packed

            options["collate"] = lambda batch, pad, multiple: collate_packed(batch, pad, model.config.block_size)
        tune(model, examples, steps, optimizers, config.tune_batch, config.seed, pad, first=first, **options)
    content = {}
    if adapter:
        content = {"base": "base.pt", "fingerprint": fingerprint(base), "lora": model.lora, "adapter": lora_state(model)}
    trained_on = {"seed": config.seed, "hold_out": config.hold_out, "data": config.data or "world"}
    run.save_model("lora" if adapter else "tuned", model, tokenizer, config.template, trained_on, **content)
    return assistant


def main_job(config):
    """Both stages, the proof, the files."""
    run = Run(config)
    rows, dropped, splits = load_pairs(config, run)  # first: a mistake in a file is found before minutes of work
    documents, encode_all = load_corpus(config, run)
    free_text = config.data and not any(row.task in world.TASKS for row in rows)  # no checker knows what is right
    if free_text:
        from extras import own

        own.choose_sizes(config, run, rows, documents)
    base, tokenizer, val_stream = base_model(config, run, documents, encode_all)
    run.report["model"] = vars(base.config)
    practice = [row for row in rows if row.task in world.PRACTICE]  # of the built-in world; it comes first
    rows = practice + [row for row in rows if row.task not in world.PRACTICE]
    examples, shortened, too_long = prepare(rows, tokenizer, config.template, base.config.block_size)
    if not examples:
        raise UserError("no row fits in the context. Use shorter rows, or --fresh and a larger --block-size.")
    run.say("\n2. One pair as the model will see it; the loss looks at the marked tokens only:\n")
    run.say(show_mask(tokenizer, *examples[0], color=sys.stdout.isatty()) + "\n")
    run.tell_audit(audit(rows, examples, shortened, too_long, dropped), rows, splits)

    run.say("\n3. Tuning: the same loop, other batches.")
    if free_text:
        run.say("  " + own.expect(base, len(examples), config))
    rng, n = random.Random(config.seed), len(practice)
    chapters = [examples[:n], examples[n:]]  # every example of the practice fits in any context that the world fits in
    if not config.base:
        sizes = [min(len(documents), round(config.replay * len(chapter))) for chapter in chapters]
        chapters = [chapter + replayed(documents, tokenizer, size, base.config.block_size, rng)
                    for chapter, size in zip(chapters, sizes)]
    base.wte.requires_grad_(bool(free_text))  # the world's words that stand in no pair must not be left behind by others
    models = three_models(Assistant(base, tokenizer, None), tune_copy(config, run, base, tokenizer, *chapters, "tune"))
    if config.lora:
        models["lora"] = tune_copy(config, run, base, tokenizer, *chapters, "lora")
    if run.rank > 0:
        return
    run.say("\n4. Did it work? Questions that were never tuned on, answered exactly right:\n")
    start = time.perf_counter()
    if config.quick:
        splits = {name: rows[:: max(1, len(rows) // 16)] for name, rows in splits.items()}
    scores, answers = table.score_models(rules.with_rules(models), splits, Sampling())
    table.print_table(scores)
    compared = {"base": base} | {name: models[name].model for name in ("tuned", "lora") if name in models}
    if free_text:
        own.tell(run, models, splits, answers, config.template)
    losses = {name: val_loss(m, val_stream, config.pretrain_batch, config.seq_len) for name, m in compared.items()}
    cost = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
    run.report["base_goes_on"] = table.goes_on(answers, splits)
    run.say(f"\n  The base, given only the question, goes on with other questions: {run.report['base_goes_on']:.0%}")
    run.say(f"  What tuning cost: validation loss, {cost}")
    run.say("\n5. Side by side, all held out:")
    table.side_by_side(models, table.shown_rows(splits), Sampling())
    run.report["stages"]["evaluate"] = {"seconds": round(time.perf_counter() - start, 2)}
    run.finish(scores, losses)
    page.write(run.out / "page.html", models, splits, scores, answers, rows, run.out)


# ----------------------------------------------------------------------------------------------------------------
# The command line.


@program
def main(argv=None):
    config = flags.train(argv, __doc__)
    if "RANK" in os.environ:  # started by torchrun: one of several processes
        from extras import parallel

        config.device = parallel.join(config.device)
    torch.set_flush_denormal(True)
    speed.tune_malloc()
    if config.device == "cpu":
        speed.choose_threads(config.dtype)
    try:
        main_job(config)
    except KeyboardInterrupt:
        kept = any(os.path.exists(os.path.join(config.out, name)) for name in ("resume.pt", "base.pt"))
        remedy = ", and saved. Continue with the same command and --resume." if kept else ": nothing to keep yet."
        print("\nStopped" + remedy)
        return 130
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


if __name__ == "__main__":
    sys.exit(main())
