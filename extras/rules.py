"""Rules instead of tuning: what it adds are two columns of the comparison, the base answering under rules of decoding.

You can skip this: nothing is trained with it. It answers a sceptic: how much of what tuning does could a person have
written down? Both use the base with the template, take the most probable token that the rules allow, and end at the
first mark (`.`, `!`, `?` or `;`). They are the best of a dozen that were tried.

    base_rules   does not look at the instruction (the kind of Hewitt et al. 2024): begin with "The", "A" or "Here"
    base_copy    looks at it: begin so, then take only words of the instruction up to " is" or a colon, then go on freely
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
        starts[[encode(word)[0] for word in ("The", "A", "Here")]] = True
        links = torch.tensor([encode(" is")[0], encode(":")[0]])
        words = torch.full((len(rows), size), not self.copies)  # (B, V), what may be said before a link
        if self.copies:
            for allowed, asked in zip(words, (row.turns[0].instruction for row in rows)):
                allowed[encode(f" {asked}") + encode(f" {asked[:1].lower()}{asked[1:]}") + links.tolist()] = True
            words &= ~marks
        linked = ended = torch.zeros(len(rows), dtype=torch.bool)  # (B,) each
        allowed = starts.expand_as(words)  # (B, V), what may be said next

        def choose(logits, sampling, generator):
            nonlocal linked, ended, allowed
            chosen = logits.masked_fill(~allowed, -torch.inf).argmax(-1)  # (B,)
            chosen = chosen.masked_fill(ended, self.tokenizer.eos_id)
            linked, ended = linked | torch.isin(chosen, links), ended | marks[chosen]
            allowed = words | linked[:, None]
            return chosen

        return generate(self.model, prompts, self.tokenizer.eos_id, sampling, choose)


def with_rules(models):
    """The models to compare, with the two columns of rules between the bases and the tuned ones."""
    base = models["base_template"]
    bases = {name: model for name, model in models.items() if name.startswith("base")}
    ruled = [Ruled(base.model, base.tokenizer, base.template, copies=copies) for copies in (False, True)]
    return bases | dict(zip(("base_rules", "base_copy"), ruled)) | models
