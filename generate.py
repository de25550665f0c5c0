"""Sampling, and what one does with a trained model: ask it, compare it with its base, score it, chat with it.

What it is: decoding with a key/value cache, in batches of prompts of any length.
What it is not: it trains nothing.

The one idea is the comparison, `three_models()` below: the base with the raw prompt, the base with the template (the
control: the template alone does not make an assistant), and the tuned model; same sampler, same questions.

    python generate.py "What is the capital of France?"     base and tuned side by side
    python generate.py                                      chat (/help tells the commands)
    python generate.py --eval                               the held-out table of out/tuned.pt
    python generate.py --save answers.json                  answers as JSON, for a judge
    python generate.py --judge A.pt B.pt --data rows.jsonl  two models blind, side by side: which answer is better?
    python generate.py --export folder                      a model of GPT-2's shape for the transformers library
"""

import codecs
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from data import Row, Tokenizer, Turn, UserError, encode, get_template, render
from common import flags, table
from common.checkpoint import load_model
from common.cli import program
from model import KVCache, merge_lora

# ----------------------------------------------------------------------------------------------------------------
# Sampling.


@dataclass
class Sampling:
    temperature: float = 0.0  # 0 takes the most probable token; 1 samples from the model's own probabilities
    top_k: int = 0  # sample among the k most probable tokens; 0 for all
    top_p: float = 1.0  # sample among the most probable tokens that together have this probability
    max_new_tokens: int = 48
    seed: int = 0


def sample_next(logits, sampling, generator):
    """Logits (B, V) -> next ids (B,)."""
    if sampling.temperature == 0:
        return logits.argmax(-1)
    logits, order = (logits / sampling.temperature).sort(-1, descending=True)  # (B, V) each
    probabilities = logits.softmax(-1)
    if sampling.top_k:
        probabilities[:, sampling.top_k :] = 0
    before = probabilities.cumsum(-1) - probabilities  # what the more probable tokens have together
    probabilities[before > sampling.top_p] = 0
    chosen = torch.multinomial(probabilities, 1, generator=generator)  # (B, 1)
    return order.gather(-1, chosen)[:, 0]


@torch.inference_mode()
def stream_ids(model, prompts, eos_id, sampling, choose=sample_next):
    """Yields the next id of every prompt, (B,), again and again, until all have ended or the context is full.

    Prompts are lists of ids. They are padded on the left, so that all continue at the same position; the padding is
    hidden by the mask, and positions start at each prompt's first token."""
    model.eval()
    B, longest, limit = len(prompts), max(map(len, prompts)), model.config.block_size
    assert 0 < longest <= limit, f"a prompt of {longest} tokens does not fit in {limit}"
    device = model.device()
    ids = torch.full((B, longest), eos_id)
    for row, prompt in zip(ids, prompts):
        row[longest - len(prompt) :] = torch.tensor(prompt)
    ids = ids.to(device)
    padding = torch.tensor([[longest - len(prompt)] for prompt in prompts], device=device)  # (B, 1)
    rows = torch.arange(B, device=device)  # those that are still computed
    size = min(longest + sampling.max_new_tokens, limit + padding.max().item())
    at = torch.arange(size, device=device)
    positions = (at - padding).clamp(0, limit - 1)  # (B, size); a row that is full does not stop the others
    mask = (at >= padding)[:, None] & (at <= at[:, None])  # (B, size, size): not padding, nothing later
    mask |= torch.eye(size, dtype=torch.bool, device=device)  # padding sees itself: a row of nothing would be NaN
    cache = KVCache(model, B, size)
    generator = torch.Generator(device).manual_seed(sampling.seed)
    done = torch.zeros(B, dtype=torch.bool, device=device)
    start, stop = 0, longest  # the positions that the model reads next
    while True:
        step_mask = mask[:, None, start:stop, :stop]  # (rows, 1, T, S)
        logits = model(ids, None, positions[:, start:stop], step_mask, cache, last=True)  # (rows, V)
        if len(rows) < B:
            logits = logits.new_zeros(B, logits.shape[1]).index_copy(0, rows, logits)  # (B, V)
        chosen = choose(logits, sampling, generator)  # (B,)
        done |= (chosen == eos_id) | (stop - padding[:, 0] >= limit)
        yield chosen
        if stop == size or done.all():
            return
        start, stop = stop, stop + 1
        going = ~done[rows]
        if 2 * going.sum() < len(rows):  # more than half have ended: they are computed no longer
            cache.keep(going)
            rows, positions, mask = rows[going], positions[going], mask[going]
        ids = chosen[rows, None]  # (rows, 1)


def generate(model, prompts, eos_id, sampling, choose=sample_next):
    """For every prompt: (ids of the answer without the eos, whether it stopped by itself)."""
    steps = []
    for chosen in stream_ids(model, prompts, eos_id, sampling, choose):
        steps.append(chosen)
        if len(steps) == sampling.max_new_tokens:
            break
    answers = []
    for prompt, ids in zip(prompts, torch.stack(steps, 1).tolist()):
        ids = ids[: model.config.block_size - len(prompt) + 1]  # what comes after its own context is full is no answer
        answers.append((ids[: ids.index(eos_id)], True) if eos_id in ids else (ids, False))
    return answers


# ----------------------------------------------------------------------------------------------------------------
# A model that can be asked.


@dataclass
class Assistant:
    """A model with its tokenizer and template. `template` None: it is given raw text, to continue."""

    model: object
    tokenizer: Tokenizer
    template: str | None
    trained_on: dict | None = None  # what its checkpoint says of that

    def prompt(self, turns, system=""):
        """A conversation whose last turn is the question -> ids: as in training, up to where the answer begins.

        What does not fit loses the oldest turns first, then the ends of the input, the instruction, the system text."""
        block_size = self.model.config.block_size
        limit = block_size - min(16, block_size // 4)  # leave some room for an answer
        question = turns[-1]._replace(output=None)
        if self.template is None:
            text = " ".join(filter(None, (system, question.instruction, question.input)))
            return [self.tokenizer.eos_id] + self.tokenizer.encode(text)[-limit:]  # a document begins after an eos
        ids, may_shorten = None, ("input", "instruction", "system")
        for first in reversed(range(len(turns))):  # the question, then with more and more of the turns before it
            pieces = render([*turns[first:-1], question], self.template, system)
            longer, _, _ = encode(pieces, self.tokenizer, limit - 1, may_shorten)
            if longer is None:
                break
            ids, may_shorten = longer, ()
        if ids is None:
            raise UserError(f"template {self.template}: does not fit in {limit} tokens. Tune with another --template.")
        return ids

    def answers(self, rows, sampling, batch_tokens=8192):
        """The first question of every row -> [(text, stopped by itself)]. Prompts of similar length go together, as many
        as have `batch_tokens` tokens with their answers."""
        prompts = [self.prompt(row.turns[:1], row.system) for row in rows]
        order = sorted(range(len(rows)), key=lambda i: len(prompts[i]))
        out = [None] * len(rows)
        while order:
            n = max(1, batch_tokens // (len(prompts[order[-1]]) + sampling.max_new_tokens))
            batch, order = order[-n:], order[:-n]  # the longest that are left
            found = self.generate([rows[i] for i in batch], [prompts[i] for i in batch], sampling)
            for i, (ids, stopped) in zip(batch, found):
                out[i] = (self.tokenizer.decode(ids), stopped)
        return out

    def generate(self, rows, prompts, sampling):
        return generate(self.model, prompts, self.tokenizer.eos_id, sampling)

    def stream(self, turns, sampling, system="", choose=sample_next):
        """Yields the answer to the last turn in pieces of text, never half a character."""
        decoder, eos_id = codecs.getincrementaldecoder("utf-8")(errors="replace"), self.tokenizer.eos_id
        prompt = self.prompt(turns, system)
        for n, chosen in enumerate(stream_ids(self.model, [prompt], eos_id, sampling, choose)):
            if chosen.item() == eos_id or n == sampling.max_new_tokens:
                break
            yield decoder.decode(self.tokenizer.token_bytes(chosen.item()))
        yield decoder.decode(b"", final=True)


def load_assistant(path, device="cpu"):
    """A checkpoint's path -> Assistant with the template it was tuned with. An adapter finds its base beside it."""
    model, tokenizer, content = load_model(path)
    return Assistant(model.to(device), tokenizer, content["template"], content["trained_on"])


def three_models(base, tuned):
    """Two Assistants -> the three to compare. The middle one is the control."""
    return {
        "base_raw": Assistant(base.model, base.tokenizer, None),
        "base_template": Assistant(base.model, base.tokenizer, tuned.template),
        "tuned": tuned,
    }


# ----------------------------------------------------------------------------------------------------------------
# Command line.


@program
def main(argv=None):
    args = flags.generate(argv, __doc__)
    sampling = Sampling(args.temperature, args.top_k, args.top_p, args.max_new, args.seed)
    splits = None
    if args.data:
        from extras.datasets import load_rows

        splits = {Path(args.data).name: load_rows(args.data)[0]}
    if args.export:
        from extras.gpt2 import export_gpt2

        model = load_assistant(args.tuned).model
        merge_lora(model)
        export_gpt2(model, args.export)
        print(f"{args.export}: config.json and model.safetensors, for GPT2LMHeadModel.from_pretrained")
        return
    if args.judge:
        from extras import judge

        ask = judge.ask_command(args.judge_command) if args.judge_command else judge.ask_person
        assistants, (rows,) = [load_assistant(path) for path in args.judge], splits.values()
        judge.judge(assistants, args.judge, rows, sampling, ask, args.verdicts, args.seed)
        return
    models = three_models(load_assistant(args.base), load_assistant(args.tuned))
    tuned = models["tuned"]
    if args.template_at_inference:
        get_template(args.template_at_inference)
        tuned.template = args.template_at_inference
    if args.save:
        from extras.judge import save_answers

        rows = sum((splits or table.world_splits(tuned.trained_on)).values(), [])
        save_answers(args.save, tuned, args.tuned, rows, sampling)
    elif args.page:
        from common import page

        page.of_checkpoints(args.page, models, splits, args.tuned)
    elif args.eval:
        from extras import rules

        splits = splits or table.world_splits(tuned.trained_on)
        table.print_table(table.score_models(rules.with_rules(models), splits, sampling)[0])
    elif args.question:
        table.side_by_side(models, [Row((Turn(args.question, args.input),))], sampling)
    else:
        from extras.chat import chat

        chat(models, sampling)


if __name__ == "__main__":
    sys.exit(main())
