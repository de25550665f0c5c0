"""Rules instead of tuning: how much of it could a person have written down?

Two columns for a skeptic. Both take the base's most probable token among those that a rule allows,
and end at the first mark (`.`, `!`, `?` or `;`).

    base_rules   doesn't look at the instruction (of the kind of Hewitt et al. 2024): without the
                 template, begin with "The", "A" or "Here"
    base_copy    looks at it: with the template, begin with "The", take only words of the
                 instruction up to " is", then continue freely
"""

import re
from dataclasses import dataclass

import torch

from generate import Assistant, generate


@dataclass
class RuleBaseline(Assistant):
    """A base under one of the two rules."""

    copies: bool = False

    def complete(self, rows, prompts, sampling):
        encode = self.tokenizer.encode
        V, device = self.model.config.vocab_size, self.model.device()

        # token sets: marks end an answer, starts begin it
        texts = [self.tokenizer.decode([token]) for token in range(V - 1)]
        is_mark = [bool(re.search(r"[.!?;]", text)) for text in texts]
        marks = torch.tensor([*is_mark, True])  # (V,), the eos counts as one
        starts = torch.zeros(V, dtype=torch.bool)
        for word in ("The",) if self.copies else ("The", "A", "Here"):
            starts[encode(word)[0]] = True

        # before the link " is": anything, or only words of the instruction
        link = encode(" is")[0]
        before_link = torch.full((len(rows), V), not self.copies)  # (B, V)
        if self.copies:
            for allowed, row in zip(before_link, rows):
                instruction = row.turns[-1].instruction
                lower = instruction[:1].lower() + instruction[1:]
                allowed[[*encode(f" {instruction}"), *encode(f" {lower}"), link]] = True
            before_link &= ~marks

        marks, starts, before_link = (x.to(device) for x in (marks, starts, before_link))
        linked = before_link.new_zeros(len(rows))  # (B,) is the answer past the link?
        ended = linked.clone()  # (B,)
        allowed = starts.expand_as(before_link)  # (B, V)

        def choose(logits, sampling, generator):
            nonlocal linked, ended, allowed
            next_ids = logits.masked_fill(~allowed, -torch.inf).argmax(-1)  # (B,)
            next_ids = next_ids.masked_fill(ended, self.tokenizer.eos_id)
            linked = linked | (next_ids == link)
            ended = ended | marks[next_ids]
            allowed = before_link | linked[:, None]
            return next_ids

        return generate(self.model, prompts, self.tokenizer.eos_id, sampling, choose)


def with_rules(models: dict) -> dict:
    """Add the two columns of rules between the bases and the tuned models."""
    raw, base = models["base_raw"], models["base_template"]
    rules = RuleBaseline(raw.model, raw.tokenizer, None)
    copy = RuleBaseline(base.model, base.tokenizer, base.template, copies=True)
    bases = {"base_raw": raw, "base_template": base}
    return bases | {"base_rules": rules, "base_copy": copy} | models
