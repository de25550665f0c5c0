# %% [markdown]
# # 5. Tuning: the same loop, other batches
#
# You will see a model stop continuing and start answering, step by step; how few steps that takes; at which tokens
# the tuned model differs from its base; and what happens when nobody teaches it where an answer ends.
#
# About one minute of computing on a laptop CPU with two cores, about 45 minutes with the exercises. It needs
# `out/base.pt`, which `python train_sft.py` makes. Lessons 3 and 4 (mask and loss) are the ones it builds on.

# %%
import copy
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
from checks import lesson05 as checks

import matplotlib.pyplot as plt
import torch

import world
from data import IGNORE, Turn, collate, epoch_batches, prepare
from extras.audit import audit
from generate import Assistant, Sampling
from train_sft import adamw, train

# %% [markdown]
# ## Two kinds of batches
#
# In pretraining a batch is a piece of prose and every token is a target. In tuning a batch is some pairs, and only
# the answers and their end tokens are targets; all other places hold `IGNORE`. Here are two pairs, as the model gets
# them.

# %%
base, tokenizer = lab.load_base()
rows, splits = lab.load_world()
examples, shortened, too_long = prepare(rows, tokenizer, "alpaca", base.config.block_size)
toy = sorted(examples, key=lambda example: len(example[0]))[:2]
inputs, targets = collate(toy, tokenizer.eos_id)  # each (B, T)
for x, y in zip(inputs.tolist(), targets.tolist()):
    for token, target in zip(x, y):
        shown = "IGNORE" if target == IGNORE else repr(tokenizer.decode([target]))
        print(f"{tokenizer.decode([token])!r:>18} -> {shown}")
    print()

# %%
print(*audit(rows, examples, shortened, too_long).lines(), sep="\n")

# %% [markdown]
# That is all the difference there is. What is done with `inputs` and `targets` is the same in both stages: predict,
# measure, move the weights a little. You write this step now.
#
# <details><summary>Hint</summary>
#
# `model(inputs, targets)` gives the sum of -log p over the learned targets and skips `IGNORE`. Four things
# follow: divide by the number of learned targets, `backward()`, let the optimizer move, empty the gradients.
#
# </details>
#
# ### Exercise 5.1: one step (rebuild, 8 minutes)


# %%
def sft_step(model, optimizer, inputs, targets):
    """One optimizer step on a batch -> the mean loss over its learned targets before the step, as a float.

    inputs, targets: (B, T). With targets [[IGNORE, IGNORE, 7, 3]] the mean is over two tokens, not four.
    The gradients are empty (None or zero) when the function returns."""
    ### BEGIN SOLUTION
    n_learned = (targets != IGNORE).sum()
    loss = model(inputs, targets) / n_learned
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()
    ### END SOLUTION


# %%
checks.sft_step(sft_step)

# %% [markdown]
# The project's `train()` is this step in a loop. Around it stand a learning rate that rises and falls, clipping of
# large gradients, and what is needed to go on after a crash. From here on the lesson uses `train()`.
#
# ## From continuing to answering
#
# *Predict.* The model has read a thousand batches of prose. A tuning batch holds 32 pairs. After how many
# batches will it answer most questions that it was never tuned on: 1000, 100, 10? Write your guess down.
#
# `on_step` is called after each step of training. Eight times on the way it asks the same held-out questions: some of
# each split, chosen once, before anything is tuned.

# %%
STEPS = 8 if lab.FAST else 32
held_out = [row for split in splits.values() for row in lab.some(split, 40)]
print(len(held_out), "held-out questions")


# %%
def tune_and_watch(seed, examples, say=False):
    """Returns (tuned Assistant, [(step, marks of the held-out questions, share stopped), ...])"""
    bot, curve = Assistant(copy.deepcopy(base), tokenizer, "alpaca"), []
    batches = epoch_batches(examples, 32, seed)

    def watch(step):
        """Ask the held-out questions."""
        stopped = [stopped for _, stopped in bot.answers(held_out, Sampling())]
        curve.append((step, lab.marks(bot, held_out), sum(stopped) / len(stopped)))
        if say:
            print(f"step {step:>3}: {lab.ask(bot, 'What is the capital of France?', max_new=16)}")

    def on_step(done, steps, loss, tokens):
        if done % (steps // 8) == 0:
            watch(done)

    watch(0)
    optimizers = [adamw(bot.model.parameters(), 8e-4)]
    train(bot.model, lambda step: collate(batches[step], tokenizer.eos_id), STEPS, optimizers, on_step=on_step)
    return bot, curve


# %%
tuned, curves = [], []
for seed in lab.SEEDS:
    bot, curve = tune_and_watch(seed, examples, say=seed == 0)
    tuned.append(bot)
    curves.append(curve)

# %%
for curve in curves:
    plt.plot([step for step, _, _ in curve], [sum(marks) / len(marks) for _, marks, _ in curve], "o-", color="C0", alpha=0.7)
    plt.plot([step for step, _, _ in curve], [stop for _, _, stop in curve], "--", color="C1", alpha=0.7)
plt.plot([], [], "o-", color="C0", label="answered exactly right")
plt.plot([], [], "--", color="C1", label="stopped by itself")
plt.xlabel("tuning steps (32 pairs each)")
plt.ylabel("share of held-out questions")
plt.ylim(-0.03, 1.03)
plt.title("From continuing to answering, one line a seed")
plt.legend()
plt.show()

# %% [markdown]
# (The lines differ only in the order of the pairs; the base is the same.) Two things are worth a second look. The
# number of steps is tiny: nothing that the answers say was learned in it (who the capital of France is stands in the
# prose, and this question stands in no pair). Tuning brings out what is there. This is the *superficial alignment
# hypothesis* (Zhou et al. 2023, "LIMA"), and a small model shows it well; in a large one, with richer tasks, it is
# debated. (The first answers printed above may be true and answer another question. Lesson 6 comes back to that.)
#
# And the base stops by itself now and then: it has read an end token after each passage. So stopping as such is not new.
# What is new is *where*: after the answer. A curve for "stops" alone is at its top after four steps.
#
# ## Which tokens changed?
#
# A score says how often. To see *where* the two models differ, give both the same prompt and the same right answer,
# and read off log p of each answer token, given all before it. Zero is certainty; -7 is about one in a thousand.
#
# <details><summary>Hint</summary>
#
# Run the model once on prompt + answer. The logits at position t speak of the token at position t + 1, so the first
# answer token is judged by the logits at the *last prompt position*. `log_softmax(-1)` turns logits into log p.
#
# </details>
#
# ### Exercise 5.2: log-probability of an answer (extend, 8 minutes)


# %%
@torch.no_grad()
def answer_logprobs(model, prompt, answer):
    """log p of each token of `answer`, given `prompt` and the answer's earlier tokens. Lists of ids -> list of floats.

    prompt [5, 6], answer [7, 8] -> [log p(7 | 5 6), log p(8 | 5 6 7)]"""
    ### BEGIN SOLUTION
    ids = torch.tensor([prompt + answer])  # (1, T)
    logp = model(ids)[0].log_softmax(-1)  # (T, V)
    return [logp[len(prompt) - 1 + i, token].item() for i, token in enumerate(answer)]
    ### END SOLUTION


# %%
checks.answer_logprobs(answer_logprobs)

# %%
prompt = tuned[0].prompt([Turn("What is the capital of France?")])
answer = tokenizer.encode("The capital of France is Paris.") + [tokenizer.eos_id]
before, after = (answer_logprobs(model, prompt, answer) for model in (base, tuned[0].model))
names = [tokenizer.decode([token]).strip() for token in answer[:-1]] + ["<end>"]
for name, one, two in zip(names, before, after):
    print(f"{name:>10} {one:8.2f} {two:8.2f}")

# %% [markdown]
# One example can mislead, so look at more held-out answers too. Most have the form *name* `is` *value*
# ("The capital of France" `is` "Paris."); take those. Sort its tokens into four groups: the name, the word `is`, the value, the
# end token.
#
# *Predict.* In which groups does tuning change most? In which does it change next to nothing?

# %%
GROUPS = ("name", "is", "value", "end")
is_token = tokenizer.encode("x is")[-1]


def by_group(model, rows):
    """Returns mean log p for each of the four groups"""
    found = {group: [] for group in GROUPS}
    for instruction, context, output in (row.turns[0] for row in rows):
        answer = tokenizer.encode(output) + [tokenizer.eos_id]
        at = answer.index(is_token)
        groups = ["name"] * at + ["is"] + ["value"] * (len(answer) - at - 2) + ["end"]
        for group, logp in zip(groups, answer_logprobs(model, tuned[0].prompt([Turn(instruction, context)]), answer)):
            found[group].append(logp)
    return [sum(values) / len(values) for values in found.values()]


outputs = [(row, row.turns[0].output) for row in held_out]
statements = [row for row, said in outputs if said == " ".join(lab.statement_of(row)) and world.HERE not in said]
means = {name: by_group(model, statements) for name, model in (("base", base), ("tuned", tuned[0].model))}
gains = dict(zip(GROUPS, (two - one for one, two in zip(means["base"], means["tuned"]))))
print({group: round(gain, 2) for group, gain in gains.items()})

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 4))
panels = ((axes[0], names, before, after, "one answer, token by token"),
          (axes[1], GROUPS, means["base"], means["tuned"], f"mean over {len(statements)} held-out answers"))
for ax, labels, one, two, title in panels:
    places = range(len(labels))
    ax.bar([x - 0.2 for x in places], one, 0.4, label="base, with the template")
    ax.bar([x + 0.2 for x in places], two, 0.4, label="tuned")
    ax.set_xticks(places, labels)
    ax.set_title(title)
axes[0].set_ylabel("log p of the right token")
axes[0].legend(loc="lower left")
figure.tight_layout()
plt.show()

# %% [markdown]
# The change sits above all in the end; then in the name, because the base would rather write another question than
# name what this one asked for. The *value* is about as likely as before: the base, led as far as "The capital of France
# is", knows how to go on. It would not have gone there. Lin et al. (2023, "The Unlocking Spell on Base LLMs") report the
# same kind of thing of large models: tuning moves few tokens, mostly those of form. In this world it is so clear by
# construction: no page of the prose answers a question, and none ends right after a statement. Does that mean that a few
# rules could replace tuning? The next lesson tries it.
#
# ## What stopping is, and the most common bug
#
# A model stops because the end token becomes the likeliest next token, and for no other reason. The token is learned
# like any other. Now a habit from the field: shorter rows are filled up with the end token (nobody trained a special
# padding token), and then the loss is told to ignore all padding *by its id*. Every real end token disappears with
# the padding. The loss looks fine. This project also fills up with the end token, but its mask goes by place, so the
# real ones stay.
#
# Make the bug yourself: hide every end token.
#
# <details><summary>Hint</summary>
#
# Keep `ids` as they are. The new mask is 0 where the token is the end token and the old mask's value elsewhere. Make
# new lists; the good examples are needed again.
#
# </details>
#
# ### Exercise 5.3: hide the end (extend, 5 minutes)


# %%
def hide_end(examples, end):
    """Examples [(ids, mask), ...] -> new ones in which no end token is learned. The old ones stay as they are.

    end = 9: [([5, 7, 9], [0, 1, 1])] -> [([5, 7, 9], [0, 1, 0])]"""
    ### BEGIN SOLUTION
    return [(ids, [m * (token != end) for token, m in zip(ids, mask)]) for ids, mask in examples]
    ### END SOLUTION


# %%
checks.hide_end(hide_end)

# %% [markdown]
# *Predict.* Same pairs, same steps, same seeds; only the end token is not learned. How many answers will stop within
# 48 tokens? How many will be exactly right? And how many will at least *begin* with the right answer?

# %%
endless_examples = hide_end(examples, tokenizer.eos_id)
endless = [lab.tune(base, tokenizer, rows, seed, STEPS, examples=endless_examples) for seed in lab.SEEDS]
for question in ("What is the capital of France?", "Name the opposite of long."):
    print("with the end token:   ", lab.ask(tuned[0], question))
    print("without the end token:", lab.ask(endless[0], question), "\n")


# %%
def count(bots):
    """Returns shares over all seeds with intervals: stopped, exactly right, begins right"""
    found = []
    for bot in bots:
        answers = [(row, row.turns[0].output, *answer) for row, answer in zip(held_out, bot.answers(held_out, Sampling()))]
        right = [stopped and world.check(row.task, expected, text) for row, expected, text, stopped in answers]
        begins = [good or text.strip().startswith(expected) for good, (_, expected, text, _) in zip(right, answers)]
        found.append(([stopped for *_, stopped in answers], right, begins))
    return [lab.bootstrap(table) for table in zip(*found)]


kept, hidden = count(tuned), count(endless)
for i, name in enumerate(("stopped by itself", "exactly right", "begins with the right answer")):
    for label, shares in (("end learned", kept[i]), ("end hidden", hidden[i])):
        print(f"{name:>29}, {label:<12} {shares[0]:6.1%}  (95 %: {shares[1]:.0%} to {shares[2]:.0%})")

# %% [markdown]
# The knowledge is the same and the answers begin as well as before. What is gone is the place to stop, and with it
# nearly every exact answer: the model goes on until the limit or until its prose habits end a passage for it. The loss could
# not warn you, because it never looked there. Asking the model and counting stops did.
#
# ## Questions to think about
#
# 1. The score in the curve rises within a few steps, although each step shows 32 pairs and there are 62 kinds of
#    question. What would the curve look like if tuning had to teach the facts as well?
#
# <details><summary>Answer</summary>
#
# Each fact would need its own pairs, several times each, and questions about facts that stand in no pair would stay
# wrong for ever. The curve of *held-out* inputs could not rise at all.
#
# </details>
#
# 2. Somebody mends the endless model by cutting each answer after its first full stop. When does this help and when
#    not?
#
# <details><summary>Answer</summary>
#
# It repairs answers of one sentence. A story of three sentences is cut, an abbreviation ends an answer early, SQL
# ends with a semicolon. The model knows where its answer ends, if it is taught; a rule on the text does not.
#
# </details>
#
# ## Where this lives in the project
#
# `train_sft.py`: `train()` is the loop, `tune()` gives it the pairs and `pretrain()` the prose. `data.py`:
# `encode()` puts the end token after the answer and learns it, `collate()` fills rows up and never learns the
# filling. `model.py`: `GPT.forward()`.
#
# Part 2 of `out/page.html`, the page of your own run, colours every token of a tuned answer by its rank under the
# base, and part 5 has a slider over the steps.

# %%
first, last = (lab.bootstrap([curve[i][1] for curve in curves]) for i in (0, -1))
print(f"right before tuning {first[0]:.1%}, after {STEPS} steps {last[0]:.1%} ({last[1]:.0%} to {last[2]:.0%})")
lab.claim(f"{STEPS} steps turn a base that answers nothing into one that answers most held-out questions",
          first[0] < 0.05 and last[1] > 0.5)
lab.claim("tuning moves the end by far more than all else, the name a little, and the value hardly at all",
          gains["end"] > 3 + max(gains["name"], gains["is"], gains["value"])
          and gains["name"] > 0.3 + gains["value"] and abs(gains["value"]) < 0.6)
lab.claim("without the end token in the loss far fewer answers stop and hardly any is exactly right",
          hidden[0][2] < kept[0][1] - 0.2 and hidden[1][0] < 0.2 * kept[1][0])
