"""Your own text and pairs: what it adds is sizes that fit them, and the loss of held-out answers before and after tuning.

You can skip this: the built-in world has one right answer to a question, so it can be counted. A free answer to a free
question is hardly ever repeated word for word; what can be measured is how probable the model finds the held-out ones,
whether it stops, and whether it speaks of what it was asked.
"""

import math
import re

import torch

from data import IGNORE, collate, prepare


def choose_sizes(config, run, rows, documents):
    """Sizes and steps for a new base on one's own text, where none were typed: a context that three of five pairs fit
    into (three letters a token), up to four passes over the text, about ten minutes of two cores in all."""
    if not config.corpus or config.base or config.quick or run.reuses:
        return
    letters = sum(map(len, documents))
    lengths = sorted(100 + sum(len(part or "") for turn in row.turns for part in turn) for row in rows)
    fits = next((size for size in (128, 256) if lengths[len(rows) * 3 // 5] <= 3 * size), 512)
    block = config.given.get("block_size", fits)
    fitting = {
        "block_size": block,
        "vocab_size": 4096 if letters > 10**6 else config.vocab_size,
        "pretrain_batch": max(1, 2048 // block),
        "pretrain_steps": min(2500, max(500, 4 * letters // (3 * 2048))),
        "tune_epochs": min(4, max(1, 8000 // len(rows))),
    }
    chosen = {name: value for name, value in fitting.items() if name not in config.given}
    vars(config).update(chosen)
    config.seq_len = config.block_size
    flags = "".join(f"\n    --{name.replace('_', '-')} {value}" for name, value in chosen.items())
    run.say(f"\nSizes that fit your text and pairs, since none were typed:{flags}")


@torch.inference_mode()
def answer_loss(model, examples, pad, batch_size=16):
    """Mean loss (nats a token) of the supervised tokens: the answers and their eos."""
    total = count = 0
    for start in range(0, len(examples), batch_size):
        inputs, targets = (part.to(model.device()) for part in collate(examples[start : start + batch_size], pad))
        total += model(inputs, targets).item()
        count += (targets != IGNORE).sum().item()
    return total / max(1, count)


def takes_up(row, text):
    """Does the answer hold a longer word of its question, with the beginning of five letters that forms share?"""
    asked = " ".join(row.turns[0][:2]).lower()
    words = {word[:5] for word in re.findall(r"\w{5,}", asked)}
    return bool(words & {word[:5] for word in re.findall(r"\w{5,}", text.lower())})


def expect(model, n_pairs, config):
    """One sentence before: what so much text and so many pairs can teach."""
    parameters = sum(p.numel() for p in model.parameters())
    read = config.pretrain_steps * config.pretrain_batch * config.seq_len
    text = "a base that was made elsewhere" if config.base else f"{read:,} tokens read by {parameters:,} parameters"
    return (f"Expect, from {text}\n  and {n_pairs:,} pairs: rhythm, the format and, in part, where to stop; "
            "few facts.")


def tell(run, models, splits, answers, template):
    """Print and report, for the base and the tuned models, what can be measured on the held-out rows. `answers` are
    those of table.score_models."""
    rows = [row for split in splits.values() for row in split]
    if not rows:
        return run.say("\n  So few rows that none is held out: nothing to measure.")
    found = {}
    for name in [name for name in ("base_template", "tuned", "lora") if name in models]:
        assistant = models[name]
        examples = prepare(rows, assistant.tokenizer, template, assistant.model.config.block_size)[0]
        said = [answer for split in splits for answer in answers[split][name]]
        loss = answer_loss(assistant.model, examples, assistant.tokenizer.eos_id)
        found[name] = {
            "loss": round(loss, 3), "perplexity": round(math.exp(loss), 1),
            "stopped": round(sum(stopped for _, stopped, _ in said) / len(rows), 3),
            "takes_up": round(sum(takes_up(row, text) for row, (text, _, _) in zip(rows, said)) / len(rows), 3),
            "different": round(len({text for text, _, _ in said}) / len(rows), 3),
        }
    run.report["own"] = found
    run.say(f"\n  The {len(rows)} held-out answers of your own, base and tuned with the same template:")
    for name, one in found.items():
        run.say(f"  {name.replace('_', ' '):<14} loss {one['loss']:.2f} a token, perplexity {one['perplexity']:,.0f}; stopped "
                f"{one['stopped']:.0%},\n{'':17}takes up a word of the question {one['takes_up']:.0%}, "
                f"different answers {one['different']:.0%}")
    run.say("  (The table counts answers equal word for word: near 0 for free text.)")
