# %% [markdown]
# # 5. Tuning: the same loop, other batches
#
# You will see a model stop continuing and start answering, step by step; how few steps that takes;
# at which tokens the tuned model differs from its base; and what happens when nobody teaches it
# where an answer ends.
#
# About one minute of computing on a laptop CPU with two cores, about 45 minutes with the exercises
# (the open task at the end comes on top). It needs `out/base.pt`, which `python train_sft.py`
# makes. It builds on lessons 3 (the loss) and 4 (the mask).

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
from common.audit import audit
from data import IGNORE, Turn, collate, epoch_batches, prepare
from generate import Assistant, Sampling
from train_sft import adamw, train

# %% [markdown]
# ## Two kinds of batches
#
# In pretraining a batch is a piece of the corpus and every token is a target. In tuning a batch is
# some pairs, and only the answers and their eos tokens are supervised; all other positions have
# `IGNORE`. Here are two pairs, as the model gets them.

# %%
base, tokenizer = lab.load_base()
rows, splits = lab.load_world()
examples, truncated, too_long = prepare(rows, tokenizer, "alpaca", base.config.block_size)
toy = sorted(examples, key=lambda example: len(example[0]))[:2]
inputs, targets = collate(toy, tokenizer.eos_id)  # each (B, T)
for x, y in zip(inputs.tolist(), targets.tolist()):
    for token, target in zip(x, y):
        label = "IGNORE" if target == IGNORE else repr(tokenizer.decode([target]))
        print(f"{tokenizer.decode([token])!r:>18} -> {label}")
    print()

# %%
print(*audit(rows, examples, truncated, too_long).lines(), sep="\n")

# %% [markdown]
# That is all the difference there is. What is done with `inputs` and `targets` is the same in both
# stages: forward pass, loss, backward pass, a small move of the weights. You write this step now.
#
# <details><summary>Hint</summary>
#
# `model(inputs, targets)` gives the sum of -log p over the supervised targets and skips `IGNORE`.
# Four things follow: divide by the number of supervised targets, `backward()`, let the optimizer
# move, empty the gradients. (You may empty them first instead. What if a batch holds no supervised
# target at all? 0 / 0 is NaN.)
#
# </details>
#
# ### Exercise 5.1: one step (rebuild, ★★, 8 minutes)


# %%
def sft_step(model, optimizer, inputs, targets):
    """Make one optimizer step on inputs and targets (B, T). Returns the mean loss over the
    supervised targets before the step, as a float.

    With targets [[IGNORE, IGNORE, 7, 3]] the mean is over two tokens, not four. Don't add the
    gradients of one step to those of the next. Without any supervised target return 0.0, not NaN.
    """
    ### BEGIN SOLUTION
    n_learned = (targets != IGNORE).sum().clamp(min=1)
    loss = model(inputs, targets) / n_learned
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()
    ### END SOLUTION


# %%
checks.sft_step(sft_step)

# %% [markdown]
# The project's `train()` is this step in a loop. Around it stand a learning rate that rises and
# falls, clipping of large gradients, and what is needed to go on after a crash. From here on the
# lesson uses `train()`.
#
# ## From continuing to answering
#
# *Predict.* The model has read very many batches of the corpus. A tuning batch holds 32 pairs.
# Which fraction of questions that it was never tuned on will it answer exactly right after 4 such
# batches? After 32? And how often will it stop by itself?
#
# `on_step` is called after each step of training. Eight times on the way it asks the same held-out
# questions: some of each split, chosen once, before anything is tuned.

# %%
STEPS = 8 if lab.FAST else 32
held_out = [row for split in splits.values() for row in lab.subset(split, 40)]
print(len(held_out), "held-out questions")
lab.predict("5: exactly right after 4 steps", ...)
lab.predict("5: exactly right after 32 steps", ...)
lab.predict("5: stopped by itself after 4 steps", ...)


# %%
def tune_and_watch(seed, examples, say=False):
    """Tune a copy. Returns the Assistant and [(step, flags of the held-out questions, share that
    stopped), ...]."""
    assistant, curve = Assistant(copy.deepcopy(base), tokenizer, "alpaca"), []
    batches = epoch_batches(examples, 32, seed)

    def watch(step):
        """Ask the held-out questions."""
        stopped = [stopped for _, stopped in assistant.answers(held_out, Sampling())]
        curve.append((step, lab.correct_flags(assistant, held_out), sum(stopped) / len(stopped)))
        if say:
            print(
                f"step {step:>3}:"
                f" {lab.ask(assistant, 'What is the capital of France?', max_new=16)}"
            )

    def on_step(done, steps, loss, tokens):
        if done % (steps // 8) == 0:
            watch(done)

    watch(0)
    optimizers = [adamw(assistant.model.parameters(), 8e-4)]
    train(
        assistant.model, lambda step: collate(batches[step], tokenizer.eos_id), STEPS, optimizers,
        on_step=on_step,
    )
    return assistant, curve


# %%
tuned, curves = [], []
for seed in lab.SEEDS:
    assistant, curve = tune_and_watch(seed, examples, say=seed == 0)
    tuned.append(assistant)
    curves.append(curve)


# %%
def mean_at(i, which):
    """Average over the seeds at the i-th look: 1, exactly right; 2, stopped by itself."""
    values = [curve[i][which] for curve in curves]
    return sum(sum(value) / len(value) if which == 1 else value for value in values) / len(values)


for i, (step, _, _) in enumerate(curves[0]):
    print(
        f"step {step:>3}: exactly right {mean_at(i, 1):6.1%}, stopped by itself"
        f" {mean_at(i, 2):6.1%}"
    )
print()
lab.compare("5: exactly right after 4 steps", mean_at(1, 1))
lab.compare("5: exactly right after 32 steps", mean_at(-1, 1))
lab.compare("5: stopped by itself after 4 steps", mean_at(1, 2))

# %%
for curve in curves:
    plt.plot(
        [step for step, _, _ in curve], [sum(flags) / len(flags) for _, flags, _ in curve], "o-",
        color="C0", alpha=0.7,
    )
    plt.plot(
        [step for step, _, _ in curve], [stop for _, _, stop in curve], "--", color="C1", alpha=0.7
    )
plt.plot([], [], "o-", color="C0", label="answered exactly right")
plt.plot([], [], "--", color="C1", label="stopped by itself")
plt.xlabel("tuning steps (32 pairs each)")
plt.ylabel("fraction of held-out questions")
plt.ylim(-0.03, 1.03)
plt.title("From continuing to answering, one line a seed")
plt.legend()
plt.show()

# %% [markdown]
# (The lines differ in the pairs that the seed drew, about a tenth of all, and in their order; the
# base is the same.) Two things are worth a second look. The number of steps is tiny: the facts that
# unseen inputs and tasks ask for were not learned in it (the capital of France is in the corpus,
# and in no pair); of an unseen phrasing the answer mostly stands in a pair, asked for in other
# words. Tuning brings out what is there. This is the *superficial alignment hypothesis* (Zhou et
# al. 2023, "LIMA"), and a small model shows it well. For large models and richer tasks it is
# debated: Raghavendra et al. (2024) find that answers to hard problems go on improving with more
# tuning data, Ghosh et al. (2024) that full tuning can make knowledge worse. (The first answers
# printed above may be true and answer another question. Lesson 6 comes back to that.)
#
# Compare the two columns, above all their first line. To stop and to stop *after the right answer*
# are two things, and the first alone says little: a base may stop by itself before any tuning (it
# has read an eos after each passage) and answer nothing.
#
# ## Which tokens changed?
#
# A score says how often. To see *where* the two models differ, give both the same prompt and the
# same right answer, and read off log p of each answer token, given all before it. Zero is
# certainty; -7 is about one in a thousand.
#
# <details><summary>Hint</summary>
#
# Run the model once on prompt + answer. The logits at position t speak of the token at position t +
# 1, so the first answer token is judged by the logits at the *last prompt position*.
# `log_softmax(-1)` turns logits into log p.
#
# </details>
#
# ### Exercise 5.2: log-probability of an answer (extend, ★★, 8 minutes)


# %%
@torch.no_grad()
def answer_logprobs(model, prompt, answer):
    """Score an answer. Returns log p of each token of `answer` (a list of floats), given `prompt`
    and the answer's earlier tokens.

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
for name, base_value, tuned_value in zip(names, before, after):
    print(f"{name:>10} {base_value:8.2f} {tuned_value:8.2f}")

# %% [markdown]
# One example can mislead, so look at more held-out answers too. Most have the form *name* `is`
# *value* ("The capital of France" `is` "Paris."); take those. Sort its tokens into four groups: the
# name, the word `is`, the value, the eos.
#
# *Predict.* How probable does the base find each of the four, on (geometric) average, given the
# template and all before it? Where it says nearly 1 already, tuning has nothing to do.

# %%
for group in ("name", "is", "value", "end"):
    lab.predict(f"5: the base's p of the {group}", ...)

# %%
GROUPS = ("name", "is", "value", "end")
is_token = tokenizer.encode("x is")[-1]


def by_group(model, rows):
    """Return the mean log p of each of the four groups."""
    logps = {group: [] for group in GROUPS}
    for instruction, context, output in (row.turns[0] for row in rows):
        answer = tokenizer.encode(output) + [tokenizer.eos_id]
        at = answer.index(is_token)
        groups = ["name"] * at + ["is"] + ["value"] * (len(answer) - at - 2) + ["end"]
        for group, logp in zip(
            groups, answer_logprobs(model, tuned[0].prompt([Turn(instruction, context)]), answer)
        ):
            logps[group].append(logp)
    return torch.tensor([sum(values) / len(values) for values in logps.values()])


outputs = [(row, row.turns[0].output) for row in held_out]
statements = [
    row
    for row, text in outputs
    if text == " ".join(lab.statement_of(row)) and world.LIST_PREFIX not in text
]
means = {
    "base": by_group(base, statements),
    "tuned": sum(by_group(assistant.model, statements) for assistant in tuned) / len(tuned),
}
gains = dict(zip(GROUPS, (means["tuned"] - means["base"]).tolist()))
print(f"{len(statements)} answers, {len(tuned)} seeds")
for group, base_value, tuned_value in zip(GROUPS, means["base"].tolist(), means["tuned"].tolist()):
    print(
        f"{group:<6} log p {base_value:6.2f} -> {tuned_value:6.2f}   gain {gains[group]:5.2f} nats"
    )
print()
for group, p in zip(GROUPS, means["base"].exp().tolist()):
    lab.compare(f"5: the base's p of the {group}", p)

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 4))
panels = (
    (axes[0], names, torch.tensor(before), torch.tensor(after), "one answer, token by token"),
    (
        axes[1], GROUPS, means["base"], means["tuned"],
        f"geometric mean over {len(statements)} held-out answers",
    ),
)
for ax, labels, base_values, tuned_values, title in panels:
    positions = range(len(labels))
    ax.bar([x - 0.2 for x in positions], base_values.exp(), 0.4, label="base, with the template")
    ax.bar([x + 0.2 for x in positions], tuned_values.exp(), 0.4, label="tuned")
    ax.set_xticks(positions, labels)
    ax.set(title=title, ylim=(0, 1.25))
axes[0].set_ylabel("p of the right token")
axes[0].legend(loc="upper right", ncols=2)
figure.tight_layout()
plt.show()

# %% [markdown]
# Read the gains from the largest to the smallest. For the *value* there is usually little to gain:
# the base, led as far as "The capital of France is", knows how to go on (and so short a tuning may
# even take a little away). It would not have gone there. Its doubt about the *name* is the doubt
# whether to name what was asked for, or to write another question. Lin et al. (2023, "The Unlocking
# Spell on Base LLMs") report the same kind of thing of large models: tuning moves few tokens,
# mostly those of form. In this world it is so clear by construction: no document of the corpus
# answers a question, none ends right after a statement, and stories that name one thing again and
# again taught the base to copy a name. Does that mean that a few rules could replace tuning? The
# next lesson tries it.
#
# ## What stopping is, and the most common bug
#
# A model stops because the eos becomes the likeliest next token, and for no other reason. The token
# is learned like any other. Now a habit from the field: shorter rows are filled up with the eos
# (nobody trained a special padding token), and then the loss is told to ignore all padding *by its
# id*. Every real eos disappears with the padding. The loss looks fine. This project also fills up
# with the eos, but its mask goes by position, so the real ones stay.
#
# Make the bug yourself: hide every eos.
#
# <details><summary>Hint</summary>
#
# Keep `ids` as they are. The new mask is 0 where the token is the eos and the old mask's value
# elsewhere. Make new lists; the good examples are needed again.
#
# </details>
#
# ### Exercise 5.3: hide the end (extend, ★, 5 minutes)


# %%
def hide_end(examples, end):
    """Hide every eos of examples [(ids, mask), ...]. Returns new examples in which no eos is
    supervised. The old ones stay as they are.

    end = 9: [([5, 7, 9], [0, 1, 1])] -> [([5, 7, 9], [0, 1, 0])]"""
    ### BEGIN SOLUTION
    return [(ids, [m * (token != end) for token, m in zip(ids, mask)]) for ids, mask in examples]
    ### END SOLUTION


# %%
checks.hide_end(hide_end)

# %% [markdown]
# *Predict.* Same pairs, same steps, same seeds; only the eos is not supervised. Which fraction will
# stop within 48 tokens? Be exactly right? And at least *begin* with the right answer?

# %%
for name in ("stopped by itself", "exactly right", "begins with the right answer"):
    lab.predict(f"5: end hidden, {name}", ...)

# %%
endless_examples = hide_end(examples, tokenizer.eos_id)
endless = [
    lab.tune(base, tokenizer, rows, seed, STEPS, examples=endless_examples) for seed in lab.SEEDS
]
for question in ("What is the capital of France?", "Name the opposite of long."):
    print("with the eos:   ", lab.ask(tuned[0], question))
    print("without the eos:", lab.ask(endless[0], question), "\n")


# %%
def count(assistants):
    """Return shares over all seeds with intervals: stopped, exactly right, begins right."""
    results = []
    for assistant in assistants:
        answers = [
            (row, row.turns[0].output, *answer)
            for row, answer in zip(held_out, assistant.answers(held_out, Sampling()))
        ]
        right = [
            stopped and world.check(row.task, expected, text)
            for row, expected, text, stopped in answers
        ]
        begins = [
            good or text.strip().startswith(expected)
            for good, (_, expected, text, _) in zip(right, answers)
        ]
        results.append(([stopped for *_, stopped in answers], right, begins))
    return [lab.bootstrap(table) for table in zip(*results)]


with_eos, without_eos = count(tuned), count(endless)
for i, name in enumerate(("stopped by itself", "exactly right", "begins with the right answer")):
    for label, shares in (("with the eos", with_eos[i]), ("eos hidden", without_eos[i])):
        print(
            f"{name:>29}, {label:<12} {shares[0]:6.1%}  (95%: {shares[1]:.0%} to {shares[2]:.0%})"
        )
    lab.compare(f"5: end hidden, {name}", without_eos[i][0])

# %% [markdown]
# Compare the last pair of lines with the pair before it. The answers are known; what is missing is
# the place to stop, and an answer that goes on is not exactly right: the model writes until the
# limit, or until its habits end a document for it. The loss could not warn you, because it never
# looked there. Asking the model and counting stops did.
#
# ## Open task: the training loop (★★★, 30 minutes, no check)
#
# Until now the project's `train()` went round. Below is the plainest loop on top of your
# `sft_step`: batches in order, one learning rate. Write your own, and beat both scores in the same
# number of steps. Parts to try, one at a time: shuffled batches; rows of like length together; a
# learning rate that rises and then falls to zero; gradients cut to a length of 1 (then the lines of
# `sft_step` have to move into the loop); another rate. Which of them helps in so short a run? Judge
# on *tuning* questions, with several seeds, and look at held-out ones once.


# %%
def my_loop(model, examples, steps, seed):
    """Tune the model in place. Here: batches in order at a constant rate. Yours is to be better."""
    optimizer = torch.optim.AdamW(model.parameters(), 8e-4)
    for step in range(steps):
        sft_step(model, optimizer, *collate(examples[32 * step : 32 * step + 32], tokenizer.eos_id))


my_assistant = Assistant(copy.deepcopy(base), tokenizer, "alpaca")
my_loop(my_assistant.model, examples, STEPS, seed=0)
questions = lab.subset(rows, 120, seed=1)
for name, assistant in (("my loop", my_assistant), ("the project's", tuned[0])):
    print(
        f"{name:<14} {{:.0%}} of tuning questions right ({{:.0%}} to {{:.0%}})".format(
            *lab.accuracy(assistant, questions)
        )
    )
print(
    f"{sum(row.task in world.COPY_PAIRS for row in questions)} of these {len(questions)} are about"
    " things that do not exist"
)

# %% [markdown]
# (Tuning questions are the harder ones: some are about things that do not exist, and the others are
# asked in very many ways, with typing errors, while held-out ones are asked plainly. And the plain
# loop need not be behind the project's: not every part helps in so few steps.)
#
# ## Questions to think about
#
# 1. The score in the curve rises within a few steps, and each step shows 32 pairs. What would the
#    curve look like if tuning had to teach the facts as well?
#
# <details><summary>Answer</summary>
#
# Each fact would need its own pairs, several times each, and questions about facts that stand in no
# pair would stay wrong for ever. The curve of *held-out* inputs could not rise at all.
#
# </details>
#
# 2. Somebody mends the endless model by cutting each answer after its first full stop. When does
#    this help and when not?
#
# <details><summary>Answer</summary>
#
# It repairs answers of one sentence. A story of three sentences is cut, an abbreviation ends an
# answer early, SQL ends with a semicolon. The model knows where its answer ends, if it is taught; a
# rule on the text does not.
#
# </details>
#
# ## Where this lives in the project
#
# `train_sft.py`: `train()` is the loop, `tune()` gives it the pairs and `pretrain()` the corpus.
# `data.py`: `encode()` puts the eos after the answer and supervises it, `collate()` fills rows up
# and never supervises the padding. `model.py`: `GPT.forward()`.
#
# In `out/page.html`, the page of your own run, *What tuning changed* shows the rank of every token
# of a tuned answer under the base, and *How it learned* has a slider over the steps.

# %%
first, last = (lab.bootstrap([curve[i][1] for curve in curves]) for i in (0, -1))
print(
    f"right before tuning {first[0]:.1%}, after {STEPS} steps {last[0]:.1%} ({last[1]:.0%} to"
    f" {last[2]:.0%})"
)
lab.claim(
    f"{STEPS} steps turn a base that answers nothing into one that answers most held-out questions",
    first[0] < 0.05 and last[1] > 0.5,
    "some bases need more steps; look whether the curve still rises at its end.",
)
lab.claim(
    "tuning lifts the end by far more than all else, and the name more than the value, which it"
    " moves little",
    gains["end"] > 3 + max(gains["name"], gains["is"], gains["value"])
    and gains["name"] > 0.3 + gains["value"]
    and abs(gains["value"]) < 0.6,
    "a base that is less sure of its facts gains at the value too; look at the four gains.",
)
lab.claim(
    "without the eos in the loss far fewer answers stop and hardly any is exactly right",
    without_eos[0][2] < with_eos[0][1] - 0.2 and without_eos[1][0] < 0.2 * with_eos[1][0],
    "a base whose corpus often ends after one sentence stops by habit; look at the first pair of"
    " lines.",
)
