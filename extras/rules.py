"""Rules instead of tuning: what it adds are two columns of the comparison, the base answering under rules of decoding.

You can skip this: nothing is trained with it. It answers a sceptic: how much of what tuning does could a person have
written down? Both take the base's most probable token among those that a rule allows, and end at the first mark (`.`,
`!`, `?` or `;`). They are the best of about twenty that were tried.

    base_rules   does not look at the instruction (the kind of Hewitt et al. 2024): without the template, begin with
                 "The", "A" or "Here"
    base_copy    looks at it: with the template, begin with "The", take only words of the instruction up to " is", then
                 go on freely
"""

import re
from dataclasses import dataclass

import torch

from generate import Assistant, generate


@dataclass
class Ruled(Assistant):
    """A base under one of the two rules."""

    copies: bool = False

    def generate(self, rows, prompts, sampling):
        encode, size = self.tokenizer.encode, self.model.config.vocab_size
        texts = [self.tokenizer.decode([token]) for token in range(size - 1)]
        marks = torch.tensor([bool(re.search(r"[.!?;]", text)) for text in texts] + [True])  # (V,), the eos counts as one
        starts = torch.zeros(size, dtype=torch.bool)
        starts[[encode(word)[0] for word in (("The",) if self.copies else ("The", "A", "Here"))]] = True
        link = encode(" is")[0]
        words = torch.full((len(rows), size), not self.copies)  # (B, V), what may be said before the link
        if self.copies:
            for allowed, asked in zip(words, (row.turns[0].instruction for row in rows)):
                allowed[[*encode(f" {asked}"), *encode(f" {asked[:1].lower()}{asked[1:]}"), link]] = True
            words &= ~marks
        marks, starts, words = (where.to(self.model.device()) for where in (marks, starts, words))
        linked = ended = words.new_zeros(len(rows))  # (B,) each
        allowed = starts.expand_as(words)  # (B, V), what may be said next

        def choose(logits, sampling, generator):
            nonlocal linked, ended, allowed
            chosen = logits.masked_fill(~allowed, -torch.inf).argmax(-1)  # (B,)
            chosen = chosen.masked_fill(ended, self.tokenizer.eos_id)
            linked, ended = linked | (chosen == link), ended | marks[chosen]
            allowed = words | linked[:, None]
            return chosen

        return generate(self.model, prompts, self.tokenizer.eos_id, sampling, choose)


def with_rules(models):
    """The models to compare, with the two columns of rules between the bases and the tuned ones."""
    raw, base = models["base_raw"], models["base_template"]
    bases = {name: model for name, model in models.items() if name.startswith("base")}
    ruled = {"base_rules": Ruled(raw.model, raw.tokenizer, None),
             "base_copy": Ruled(base.model, base.tokenizer, base.template, copies=True)}
    return bases | ruled | models
