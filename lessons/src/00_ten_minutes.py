# %% [markdown]
# # 0. Ten minutes
#
# A language model that has only read text continues it. Ask it a question, and it may write three
# more. *Instruction tuning* turns this model into one that answers. This lesson shows the whole
# process once, on models that your own computer has trained. Everything in it is built by hand in
# the lessons that follow.
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

from generate import load_three

# %% [markdown]
# ## The whole process

# %%
experiments.draw_way()

# %% [markdown]
# A *token* is a piece of text, often a word. The *loss* of a token is small if the model gave it a
# high probability. Training changes the model's weights so that the loss falls. Both stages use
# this same loop. Only the *batches* differ, and the tokens that the loss looks at.
#
# A *base* model is the result of pretraining. After instruction tuning it is an *instruct* model,
# the kind that chat programs use.
#
# ## Ask both the same questions
#
# Each of the base's tokens is drawn by its probability, because its likeliest text soon repeats
# itself. The tuned model takes the likeliest token every time.

# %%
models = load_three(lab.OUT / "tuned.pt")
base, tuned = models["base_raw"], models["tuned"]
rows, splits = lab.load_world()
experiments.print_side_by_side(base, tuned, experiments.pick_questions(splits))
print(f"The tuned model has read {len(rows):,} questions with answers, and none of these four.")

# %% [markdown]
# The base has read the fact behind the first question ("The capital of France is Paris."), and it
# has read questions. It has never read a question with its answer. So the likeliest text after a
# question is another question, or some statement. The tuned model knows facts from the same text,
# and has learned from pairs what to do with a question. A wrong answer is marked.
#
# ## One pair, and its mask
#
# A pair is an *instruction* and its answer, in a *template* (headers around its parts; chat models
# call it the *chat template*). The model reads all tokens. Only those marked with `=` have a loss:
# the answer, and the *eos* (end of sequence), with which it stops. The *mask* records this choice.

# %%
experiments.print_pair(rows[0], base.tokenizer, base.model.config.block_size)

# %% [markdown]
# ## The loss while it learns
#
# Your own run left a log. Here is the loss of its tuning, and the answer to one question at some
# steps. (Against forgetting, the run also mixes in documents of the corpus. All their tokens count
# in this curve.)

# %%
log = experiments.read_log()
experiments.plot_loss(log)
experiments.print_progress(log)
experiments.describe_loss(log)

# %% [markdown]
# ## Did it work?
#
# Four answers prove little. So we ask many *held-out* questions, which are in no pair: about new
# things, in new wordings, and of new kinds (*tasks*). The base with the template is a *control*: it
# shows what the template does on its own. Replace the dots with your guess, from 0 to 1.

# %%
lab.predict("0: unseen tasks, tuned", ...)

# %%
held_out = {name: lab.subset(split, 80) for name, split in splits.items()}
scores = experiments.held_out_scores(models, held_out)
lab.compare("0: unseen tasks, tuned", scores["tuned", "unseen_tasks"][0])
experiments.plot_scores(scores, held_out)
control, result = scores["base_template", "unseen_tasks"], scores["tuned", "unseen_tasks"]
lab.finding(
    result[1] - control[2], result[2] - control[1],
    rose=f"tuned on some kinds of question, the model answers {result[0]:.0%} of the questions of"
    f" kinds that it was never tuned on. The base with the template answers {control[0]:.0%}.",
    fell="tuning made the model worse on new kinds of question.",
    unclear="on new kinds of question the two cannot be told apart.",
)

# %% [markdown]
# FLAN and T0 discovered this: tuned on many tasks, a model follows instructions for tasks that it
# has never seen. This model is tiny and its world is closed. A new kind of question here is only a
# new noun in a known way of asking, and FLAN's tasks were further apart. So the size of the effect
# says nothing about large models. But the same effect appears in them.
#
# ## Three words of the field
#
# | term | data | loss | result |
# | --- | --- | --- | --- |
# | fine-tuning | text or labels, often of one task | next token, or label | good at that task |
# | instruction tuning | instructions with answers | next token of the answer | follows them |
# | RLHF | answers that people compared | a reward, learned from them | answers people prefer |
#
# *Fine-tuning* is any further training of a pretrained model. Instruction tuning is one kind of it,
# also called *SFT* (supervised fine-tuning). *RLHF* is reinforcement learning from human feedback.
# A *reward model* learns which answers people prefer, and the model is trained for a high reward.
# *DPO* learns from the same comparisons without a reward model (lesson 14).
#
# Instruction tuning and RLHF are parts of *alignment*: to make a model do what people want of it.
#
# ## A family tree
#
# | year | model | tuned on | it showed | source |
# | --- | --- | --- | --- | --- |
# | 2020 | GPT-3 | nothing: a base | examples in the prompt can replace tuning | Brown et al. |
# | 2021 | FLAN | 62 public data sets | many tasks help with unseen ones | Wei et al. |
# | 2021 | T0 | public data, many prompts for each set | it beats larger models | Sanh et al. |
# | 2022 | InstructGPT | 13,000 pairs, RLHF | people prefer it to a larger GPT-3 | Ouyang et al. |
# | 2022 | ChatGPT | like InstructGPT, on dialogues | millions want to talk to it | OpenAI |
# | 2022 | FLAN-T5 | 1,836 tasks | more tasks and larger models help | Chung et al. |
# | 2023 | Alpaca | 52,000 pairs by text-davinci-003 | a model can write the pairs | Taori et al. |
# | 2023 | Dolly 2.0 | 15,000 pairs | a company's employees can write them | Conover et al. |
# | 2023 | GPT-4 | not published, RLHF | RLHF hardly changes exam scores | OpenAI |
# | 2023 | Claude | feedback from people and models | rules can replace labels of harm | Anthropic |
# | 2023 | LIMA | 1,000 pairs | few pairs will do if chosen with care | Zhou et al. |
# | 2023 | Tulu | mixtures of public data | no data set is best at everything | Wang et al. |
# | 2023 | Llama 2-Chat | 27,540 pairs, RLHF | better pairs beat more pairs | Touvron et al. |
# | 2023 | Mistral 7B Instruct | public data | it matches a 13B chat model | Jiang et al. |
# | 2023 | Tulu 2 | 326,000 pairs, DPO | DPO works for a 70B model | Ivison et al. |
# | 2024 | Llama 3 | SFT, rejection sampling, PPO, DPO | preferences also help with code | Meta |
# | 2024 | Tulu 3 | 939,000 pairs, DPO, RL | the whole recipe can be public | Lambert et al. |
#
# FLAN, T0, FLAN-T5, Alpaca, LIMA and Dolly are instruction tuning alone, and so are Mistral 7B
# Instruct and the first Tulu. A common mistake is to call them RLHF models: no preference was used.
# The other tuned models were then trained on preferences, of people or of models. RLHF improves a
# model that already answers. It doesn't replace the pairs.
#
# ## Where to go
#
# The core, in this order: 1 (it continues), 4 (the mask), 5 (tuning), 7 (did it work?), 6 (what did
# it teach?), 15 (a real model), 9 (many tasks or one), 10 (data), 12 (chat), 13 (making things up),
# 14 (preferences), 16 (find the bugs). Electives: 2 (byte pairs), 3 (the model), 8 (LoRA), 11
# (sampling). The words of the field are in [GLOSSARY.md](GLOSSARY.md).
#
# > **What to remember**
# >
# > * A base model continues text. Instruction tuning makes it answer, and stop.
# > * It is the pretraining loop, on pairs, with a loss on the answers only.
# > * To see whether it worked, ask questions that it was never tuned on, and compare with a
# >   control.

# %%
lab.claim(
    "the tuned model answers most questions of kinds that it was never tuned on"
    f" ({result[0]:.0%}), and its base with the same template hardly any ({control[0]:.0%})",
    result[1] > 0.5 and control[2] < 0.1,
)
