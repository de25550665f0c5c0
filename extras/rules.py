"""Rules instead of tuning: what it adds are two columns of the comparison, the base answering under rules of decoding.

You can skip this: nothing is trained with it. It answers a sceptic: how much of what tuning does could a person have
written down? Both use the base with the template and take the most probable token that the rules allow.

    base_rules   does not look at the instruction (Hewitt et al. 2024): begin with "The"; the first mark that would end
                 the sentence becomes " is"; end at the next one
    base_copy    looks at it: begin with "The", "A" or "Here"; then only words of the instruction, none twice in a row,
                 up to " is" (or a colon); then whatever is most probable; end at the first mark
"""

import re

import torch

from generate import Assistant, generate


class Ruled(Assistant):
    """A base under rules. `copy`: the rules that look at the instruction, else the blind ones."""

    copy = False

    def generate(self, rows, prompts, sampling):
        encode, size = self.tokenizer.encode, self.model.config.vocab_size
        texts = [self.tokenizer.decode([token]) for token in range(size - 1)] + [""]
        marks = torch.tensor([bool(re.search(r"[.!?;]", text)) for text in texts])
        marks[self.tokenizer.eos_id] = True
        is_id, links = encode(" is")[0], torch.tensor([encode(" is")[0], encode(":")[0]])
        starts = torch.tensor([encode(word)[0] for word in (("The", "A", "Here") if self.copy else ("The",))])
        words = torch.zeros(len(rows), size, dtype=torch.bool)
        for row, allowed in zip(rows, words):
            asked = row.turns[0].instruction
            allowed[encode(f" {asked}") + encode(f" {asked[:1].lower()}{asked[1:]}") + links.tolist()] = True
        words &= ~marks
        linked, said, step = torch.zeros(len(rows), dtype=torch.bool), torch.zeros(len(rows), dtype=torch.long), 0
        ended = linked.clone()

        def choose(logits, sampling, generator):
            nonlocal linked, said, step, ended
            if step == 0:
                allowed = torch.zeros_like(words)
                allowed[:, starts] = True
            elif self.copy:
                allowed = words | linked[:, None]
                allowed.scatter_(1, said[:, None], linked[:, None])  # no word twice in a row
            else:
                allowed = torch.ones_like(words)
            chosen = logits.masked_fill(~allowed, -torch.inf).argmax(-1)
            if not self.copy:
                first_mark = marks[chosen] & ~linked
                chosen = chosen.masked_fill(first_mark, is_id)
            chosen = chosen.masked_fill(ended, self.tokenizer.eos_id)
            ended = ended | (marks[chosen] & linked)
            linked = linked | (torch.isin(chosen, links) if self.copy else first_mark)
            said, step = chosen, step + 1
            return chosen

        return generate(self.model, prompts, self.tokenizer.eos_id, sampling, choose)


class Copying(Ruled):
    copy = True


def with_rules(models):
    """The models to compare, and the two columns of rules before the tuned ones."""
    base = models["base_template"]
    ruled = {"base_rules": Ruled(base.model, base.tokenizer, base.template),
             "base_copy": Copying(base.model, base.tokenizer, base.template)}
    tuned = {name: model for name, model in models.items() if not name.startswith("base")}
    return {name: model for name, model in models.items() if name not in tuned} | ruled | tuned
