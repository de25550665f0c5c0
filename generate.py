"""Ask a trained model: sampling, side-by-side comparison, chat.

The one idea is the comparison in `three_models()`: the base with the raw prompt, the base with the
template (the control: a template alone doesn't make an assistant), and the tuned model.

    python generate.py "What is the capital of France?"     base and tuned, side by side
    python generate.py                                      chat (/help lists the commands)
"""

import codecs
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import common  # noqa: F401  tells if a package is missing
import torch

from common import chat, flags, table
from common.checkpoint import base_path, fingerprint, load_model, must_match
from common.cli import UserError, cli_main
from common.lora import enable_lora
from data import Row, Turn, encode, render
from model import KVCache

# ---- Sampling ------------------------------------------------------------------------------------

GREEDY_BELOW = 1e-6  # a temperature below this is 0


@dataclass
class Sampling:
    temperature: float = 0.0  # 0: always the most probable token; 1: the model's own probabilities
    top_k: int = 0  # sample among the k most probable tokens; 0: among all
    top_p: float = 1.0  # sample among the most probable tokens with this total probability
    max_new_tokens: int = 48
    seed: int = 0


def sample_next(logits: torch.Tensor, sampling: Sampling, generator) -> torch.Tensor:
    """Choose the next ids (B,) from logits (B, V)."""
    if sampling.temperature < GREEDY_BELOW:
        return logits.argmax(-1)
    scaled = logits / sampling.temperature
    scaled, order = scaled.sort(dim=-1, descending=True, stable=True)  # (B, V) each
    p = scaled.softmax(-1)
    if sampling.top_k:
        p[:, sampling.top_k :] = 0
    p_before = p.cumsum(-1) - p  # total probability of the more probable tokens
    p[p_before > sampling.top_p] = 0
    rank = torch.multinomial(p, 1, generator=generator)  # (B, 1)
    return order.gather(-1, rank)[:, 0]


@torch.inference_mode()
def stream_ids(model, prompts, eos_id, sampling, choose=sample_next) -> Iterator[torch.Tensor]:
    """Yield the next id of every prompt, (B,), until all have ended or the context is full.

    We pad the prompts on the left, so that all continue at the same slot of the cache. The mask
    hides the padding, and positions count from each prompt's first token."""
    model.eval()
    device, limit = model.device(), model.config.block_size
    B, longest = len(prompts), max(map(len, prompts))
    assert 0 < longest <= limit, f"a prompt of {longest} tokens doesn't fit in {limit}"

    # pad on the left
    ids = torch.full((B, longest), eos_id)
    for row, prompt in zip(ids, prompts):
        row[longest - len(prompt) :] = torch.tensor(prompt)
    ids = ids.to(device)
    padding = torch.tensor([[longest - len(prompt)] for prompt in prompts], device=device)  # (B, 1)
    has_padding = bool(padding.any())

    # positions, and who may look at whom, for all slots that will ever be used
    total_len = min(longest + sampling.max_new_tokens, limit + int(padding.max()))
    slots = torch.arange(total_len, device=device)
    positions = (slots - padding).clamp(0, limit - 1)  # (B, total_len)
    mask = (slots >= padding)[:, None] & (slots <= slots[:, None])  # (B, total_len, total_len)
    mask |= torch.eye(total_len, dtype=torch.bool, device=device)  # else padding's softmax is NaN

    cache = KVCache(model, B, total_len)
    generator = torch.Generator(device).manual_seed(sampling.seed)
    done = torch.zeros(B, dtype=torch.bool, device=device)
    active = torch.arange(B, device=device)  # rows that are still computed
    start, stop = 0, longest  # the slots that the model reads next
    while True:
        # one step of the model; a single new token without padding before it needs no mask
        step_mask = None
        if has_padding or start == 0:
            step_mask = mask[:, None, start:stop, :stop]  # (rows, 1, T, S)
        step_positions = positions[:, start:stop]  # (rows, T)
        logits = model(ids, None, step_positions, step_mask, cache, last_only=True)  # (rows, V)
        if len(active) < B:
            logits = logits.new_zeros(B, logits.shape[1]).index_copy(0, active, logits)  # (B, V)

        # choose
        next_ids = choose(logits, sampling, generator)  # (B,)
        done |= (next_ids == eos_id) | (stop - padding[:, 0] >= limit)
        yield next_ids
        n_going_on = B - int(done.sum())
        if stop == total_len or n_going_on == 0:
            return

        # once more than half of the rows have ended, drop them
        start, stop = stop, stop + 1
        if 2 * n_going_on < len(active):
            going_on = ~done[active]
            cache.keep(going_on)
            active, positions, mask = active[going_on], positions[going_on], mask[going_on]
        ids = next_ids[active, None]  # (rows, 1)


def generate(model, prompts, eos_id, sampling, choose=sample_next) -> list[tuple[list[int], bool]]:
    """Answer every prompt. Returns (ids without the eos, whether it stopped by itself) of each."""
    stream = stream_ids(model, prompts, eos_id, sampling, choose)
    steps = list(itertools.islice(stream, sampling.max_new_tokens))
    answers = []
    for prompt, ids in zip(prompts, torch.stack(steps, 1).tolist()):
        # drop tokens that were sampled after this row ran out of context
        ids = ids[: model.config.block_size - len(prompt) + 1]
        stopped = eos_id in ids
        answers.append((ids[: ids.index(eos_id)] if stopped else ids, stopped))
    return answers


# ---- A model that can be asked -------------------------------------------------------------------

BATCH_TOKENS = 8192  # prompts and answers that are computed at once
MIN_ANSWER = 16  # positions that a prompt must leave free


@dataclass
class Assistant:
    """A model with its tokenizer and template. Without a template it continues raw text."""

    model: torch.nn.Module
    tokenizer: object
    template: str | None
    trained_on: dict | None = None  # from its checkpoint
    lora: bool = True  # False: ask the base below the model's LoRA adapter

    def prompt(self, turns, system: str = "") -> list[int]:
        """Encode a conversation up to where the answer to its last turn begins, as in training.

        If it's too long, we drop the oldest turns, then truncate the input, the instruction and the
        system prompt."""
        block_size = self.model.config.block_size
        limit = block_size - min(MIN_ANSWER, block_size // 4)
        question = turns[-1]._replace(output=None)
        if self.template is None:
            text = " ".join(filter(None, (system, question.instruction, question.input)))
            return [self.tokenizer.start_id, *self.tokenizer.encode(text)[-limit:]]

        # the question alone, then with more and more of the turns before it
        ids, truncatable = None, ("input", "instruction", "system")
        for first in reversed(range(len(turns))):
            pieces = render([*turns[first:-1], question], self.template, system)
            longer, _, _ = encode(pieces, self.tokenizer, limit - 1, truncatable)
            if longer is None:
                break
            ids, truncatable = longer, ()
        if ids is None:
            remedy = "Tune with another --template."
            raise UserError(f"template {self.template}: doesn't fit in {limit} tokens. {remedy}")
        return ids

    def ask(self, turn: Turn, system: str = "", **options) -> tuple[str, bool]:
        """Answer one turn. Returns (text, stopped by itself). Options are Sampling's."""
        return self.answers([Row((turn,), system=system)], Sampling(**options))[0]

    def answers(self, rows, sampling: Sampling) -> list[tuple[str, bool]]:
        """Answer the last turn of every row. Returns (text, stopped by itself) of each."""
        prompts = [self.prompt(row.turns, row.system) for row in rows]
        answers = [None] * len(rows)
        order = sorted(range(len(rows)), key=lambda i: len(prompts[i]))
        while order:
            # a batch of the longest prompts that are left
            n = max(1, BATCH_TOKENS // (len(prompts[order[-1]]) + sampling.max_new_tokens))
            batch, order = order[-n:], order[:-n]
            outputs = self.complete([rows[i] for i in batch], [prompts[i] for i in batch], sampling)
            for i, (ids, stopped) in zip(batch, outputs):
                answers[i] = (self.tokenizer.decode(ids), stopped)
        return answers

    def complete(self, rows, prompts, sampling: Sampling):
        """Generate from prompts, lists of ids. A subclass may look at their rows, too."""
        self.set_lora()
        return generate(self.model, prompts, self.tokenizer.eos_id, sampling)

    @torch.inference_mode()
    def logits(self, ids: list[int]) -> torch.Tensor:
        """Compute the logits of the next token after each of these T tokens, (T, V)."""
        self.set_lora()
        return self.model(torch.tensor([ids], device=self.model.device()))[0]

    def stream(self, turns, sampling: Sampling) -> Iterator[tuple[str, float]]:
        """Yield the answer to the last turn as (text, log-probability), token by token.

        A text is never half a character."""
        self.set_lora()
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        eos_id = self.tokenizer.eos_id
        log_p = 0.0

        def choose(logits, sampling, generator):
            nonlocal log_p
            next_ids = sample_next(logits, sampling, generator)  # (1,)
            log_p = logits.log_softmax(-1)[0, next_ids.item()].item()
            return next_ids

        prompt = self.prompt(turns)
        for n, next_ids in enumerate(stream_ids(self.model, [prompt], eos_id, sampling, choose)):
            if next_ids.item() == eos_id or n == sampling.max_new_tokens:
                break
            yield decoder.decode(self.tokenizer.token_bytes(next_ids.item())), log_p
        yield decoder.decode(b"", final=True), log_p

    def set_lora(self) -> None:
        """Switch the model's adapter on or off, if it has one."""
        if self.model.lora:
            enable_lora(self.model, self.lora)


def load_assistant(path) -> Assistant:
    """Load a checkpoint with the template it was tuned with. An adapter finds its base."""
    model, tokenizer, content = load_model(path)
    return Assistant(model, tokenizer, content["template"], content["trained_on"])


def load_three(path) -> dict[str, Assistant]:
    """Load a tuned model, and its base. Returns the three to compare."""
    model, tokenizer, content = load_model(path)
    tuned = Assistant(model, tokenizer, content["template"], content["trained_on"])
    if model.lora:  # the base is below the adapter
        return three_models(replace(tuned, template=None, lora=False), tuned)
    base = load_assistant(base_path(path, content))
    message = f"{path}: was tuned from another base than {base_path(path, content)}. Tune it again."
    must_match(content["fingerprint"], fingerprint(base.model), message)
    return three_models(base, tuned)


def three_models(base: Assistant, tuned: Assistant) -> dict[str, Assistant]:
    """Return the three to compare. The middle one is the control."""
    base_template = Assistant(base.model, base.tokenizer, tuned.template, lora=base.lora)
    return {"base_raw": base, "base_template": base_template, "tuned": tuned}


# ---- The command line ----------------------------------------------------------------------------


@cli_main
def main(argv=None):
    args = flags.parse_generate(argv, __doc__)
    sampling = Sampling(args.temperature, args.top_k, args.top_p, args.max_new_tokens, args.seed)
    models = load_three(args.tuned)
    if args.question:
        row = Row((Turn(args.question, args.input),))
        table.print_side_by_side(models, [row], sampling)
    else:
        chat.chat(models, sampling)


if __name__ == "__main__":
    sys.exit(main())
