# %% [markdown]
# # 0. Ten minutes
#
# A language model that has only read text continues it. Ask it a question, and it may write three
# more. *Instruction tuning* turns this model into one that answers. This lesson shows the whole way
# once, on models that your own computer has trained. Everything in it is built by hand in the
# lessons that follow.
#
# *10 minutes of reading, no exercises, half a minute of computing on one core. Needs `out/base.pt`
# and `out/tuned.pt`: run `python train_sft.py` once.*

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from experiments import lesson00 as experiments

from data import Turn
from generate import load_three

# %% [markdown]
# ## The whole way

# %%
experiments.draw_way()

# %% [markdown]
# A *token* is a piece of text, often a word. The *loss* of a token is small if the model gave it a
# high probability. Training changes the model's weights so that the loss falls. Both stages use
# this same loop. Only the *batches* differ, and the tokens that the loss looks at.
#
# A *base* model is the result of pretraining. After instruction tuning it is an *instruct* model,
# which chat programs use. (Its makers often go on with RLHF, below.)
#
# ## The same questions to both

# %%
models = load_three(lab.OUT / "tuned.pt")
base, tuned = models["base_raw"], models["tuned"]
questions = (
    "What is the capital of France?",
    "What is the Korean word for cat?",
    "Name the young of a dog.",
    "Write a story about a fox and a river.",
)
experiments.print_side_by_side(base, tuned, [Turn(question) for question in questions])

# %% [markdown]
# The base has read the fact behind the first question ("The capital of France is Paris."), and it
# has read questions. It has never read a question with its answer. So the likeliest text after a
# question is another line of the same kind. The tuned model knows the same facts, and it has seen
# some ten thousand questions with their answers. None of them is one of these four.
#
# ## One pair, and its mask
#
# A pair is an *instruction* and its answer, in a *template* (headers around the parts, in chat
# models the *chat template*). The model reads all tokens. Only those marked with `=` have a loss:
# the answer, and the *eos* (end of sequence) with which it stops. This choice is the *mask*.

# %%
rows, splits = lab.load_world()
experiments.print_pair(rows[0], base.tokenizer, base.model.config.block_size)

# %% [markdown]
# ## The loss while it learns
#
# Your own run left a log. Here is the loss of its tuning, and the answer to one question at some
# steps.

# %%
log = experiments.read_log()
steps, losses = experiments.loss_curve(log)
experiments.plot_loss(log)
experiments.print_progress(log)
print(f"\nFound: the loss fell from {losses[0]:.2f} to {losses[-1]:.2f} nats a token in"
      f" {steps[-1]} steps. Most of the fall is in the first steps: the model had the facts, and"
      " learned how to answer.")

# %% [markdown]
# ## Did it work?
#
# The answers above could be learned by heart. So we ask questions that are in no pair: about new
# things, in new wordings, and of new kinds (*tasks*). The middle column is a *control*, the base
# with the template. Write your guess, a number between 0 and 1, instead of the dots.

# %%
lab.predict("0: unseen tasks, tuned", ...)

# %%
columns = {"base_raw": "base", "base_template": "base + template", "tuned": "tuned"}
held_out = {name: lab.subset(split, 80) for name, split in splits.items()}
scores = experiments.held_out_scores(models, held_out)
lab.compare("0: unseen tasks, tuned", scores["tuned", "unseen_tasks"][0])
experiments.plot_scores(scores, columns, held_out)
control, result = scores["base_template", "unseen_tasks"], scores["tuned", "unseen_tasks"]
lab.finding(
    result[1] - control[2], result[2] - control[1],
    rose=f"tuned on some kinds of question, the model answers {result[0]:.0%} of kinds that it was"
    f" never tuned on. The base with the template answers {control[0]:.0%}.",
    fell="tuning made the model worse on new kinds of question.",
    unclear="on new kinds of question the two cannot be told apart.",
)

# %% [markdown]
# That is the discovery of FLAN and T0: tuned on many tasks, a model follows instructions of tasks
# that it has never seen. This model is tiny, and its world is a closed one of simple sentences. So
# the size of the effect says nothing about large models. Its kind is theirs.
#
# ## Three words of the field
#
# | | fine-tuning | instruction tuning | RLHF |
# | --- | --- | --- | --- |
# | means | any further training of a pretrained model | fine-tuning on instructions with answers | reinforcement learning from human feedback |
# | data | text or labels of one task | pairs of many tasks | answers that people compared |
# | loss | usually next tokens, or a label | next tokens of the answer (*SFT*, supervised fine-tuning) | a *reward model* learns the comparisons, and the model is trained for high reward |
# | result | good at that task | follows instructions, also new ones | answers that people prefer |
# | here | `--data my.jsonl` | lessons 4 to 12 | lesson 14 (*DPO*: the same comparisons, without a reward model) |
#
# All three are parts of *alignment*: to make a model do what people want of it.
#
# ## A family tree
#
# | year | model | tuned on | source |
# | --- | --- | --- | --- |
# | 2020 | GPT-3 | nothing: a base, asked with examples in the prompt | Brown et al. |
# | 2021 | FLAN | 62 public data sets, written as instructions | Wei et al. |
# | 2021 | T0 | public data sets with many prompts each (P3) | Sanh et al. |
# | 2022 | InstructGPT | 13,000 demonstrations, then RLHF from 33,000 ranked prompts | Ouyang et al. |
# | 2022 | FLAN-T5 | 1,836 tasks | Chung et al. |
# | 2023 | Alpaca | 52,000 pairs that another model wrote | Taori et al. |
# | 2023 | Dolly 2.0 | 15,000 pairs that employees of one company wrote | Conover et al. |
# | 2023 | GPT-4 | not published; RLHF | OpenAI |
# | 2023 | Claude | not published; RLHF, and feedback from a model (Bai et al. 2022) | Anthropic |
# | 2023 | Llama 2-Chat | 27,540 pairs, then RLHF from over a million comparisons | Touvron et al. |
# | 2023 | Mistral 7B Instruct | public instruction data, size not published | Jiang et al. |
# | 2023 | Tulu 1 and 2 (Open-Instruct) | mixtures of public data; Tulu 2: 326,000 pairs, then DPO | Wang et al.; Ivison et al. |
# | 2024 | Llama 3 Instruct | public data and over 10 million examples made by people | Meta |
# | 2024 | Tulu 3 (Open-Instruct) | 939,000 pairs, then DPO and reinforcement learning | Lambert et al. |
#
# The line from FLAN to Tulu is instruction tuning alone or first. The line from InstructGPT adds
# preferences. Alpaca made it cheap: pairs written by a model, tuned in hours.
#
# ## Where to go
#
# Core, in this order: 1 (it continues), 4 (the mask), 5 (tuning), 7 (did it work?), 6 (what did it
# teach?), 15 (a real model), 9 (many tasks or one), 10 (data), 12 (chat), 13 (making things up), 14
# (preferences), 16 (find the bugs). Electives: 2 (byte pairs), 3 (the model), 8 (LoRA), 11
# (sampling). Words are in [GLOSSARY.md](GLOSSARY.md).
#
# > **What to remember**
# >
# > * A base model continues text. Instruction tuning makes it answer, and stop.
# > * It is the loop of pretraining, on pairs, with a loss on the answers only.
# > * Whether it worked shows only on questions that it was never tuned on, beside a control.

# %%
lab.claim(
    "the tuned model answers most questions of kinds that it was never tuned on"
    f" ({result[0]:.0%}), and its base with the same template hardly any ({control[0]:.0%})",
    result[1] > 0.5 and control[2] < 0.1,
)
