# %% [markdown]
# # 12. Chat: templates, turns, a system prompt
#
# *Reading 15 minutes, exercises 30 minutes, computing 3 minutes on one core. Needs `out/base.pt`
# and `out/tuned.pt` from `python train_sft.py`. Lesson 4 (the mask) comes before it.*
#
# A chat is one long text. The **chat template** of a model says how that text is written: which
# headers come before a question and an answer, and what ends them. A model is tuned in one
# template. Here you print six that are in use, mask a conversation, measure what follow-up
# questions, a system prompt and small slips do, and forge a header.

# %%
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "train_sft.py").exists())
sys.path[:0] = [str(root), str(root / "lessons")]

import lab
import world
from checks import lesson12 as checks
from common.audit import show_mask
from data import TEMPLATES, Turn, encode, prepare, render
from experiments import lesson12 as experiment

base, tokenizer = lab.load_base()
rows, splits = lab.load_world()
# without the pairs about things that do not exist
rows = [row for row in rows if row.task in world.TASKS]
block, eos = base.config.block_size, tokenizer.eos_id

# %% [markdown]
# ## A conversation is one text
#
# The model has no memory besides its context. At every turn the program sends the whole
# conversation again, and the model continues it. A **system prompt** is written once, before the
# first turn. It comes from the program, not the user, and says what the assistant is, or whom it
# talks to.
#
# Here is one conversation in six real templates.

# %%
SYSTEM = "The user is called Zoe."
turns = [
    Turn("What is the capital of Peru?", "", "The capital of Peru is Lima."),
    Turn("And of Kenya?"),
]
experiment.show_templates(turns, SYSTEM)

# %% [markdown]
# ChatML is used by Qwen and many others. Zephyr's and Tulu's headers are plain text. In ChatML and
# Llama 3 the markers (`<|im_start|>`, `<|start_header_id|>`) are **special tokens** that the
# program inserts; the role between them is ordinary text. Llama 2 puts the system prompt inside the
# first question, and Mistral's early format has no place for one, so here it is put before the
# first question. All of them mark the same three things: who speaks, where the answer begins, and
# where it ends.
#
# ### Exercise 12.1: ChatML by hand (rebuild, ★, 6 minutes)
#
# <details><summary>Hint</summary>
#
# Make a list of messages, system first if there is one. Each is `<|im_start|>`, the role, a
# newline, the text, `<|im_end|>`. Join them with newlines. An answer of None is where the model
# continues: write the header, and nothing after it.
#
# </details>


# %%
def chatml(system, turns):
    """Write a conversation as one text. turns: [(question, answer), ...]; the last answer may be
    None. system may be "".

    chatml("", [("Hi.", None)])
    -> "<|im_start|>user\\nHi.<|im_end|>\\n<|im_start|>assistant\\n"
    """
    ### BEGIN SOLUTION
    messages = []
    if system:
        messages.append(f"<|im_start|>system\n{system}<|im_end|>")
    for question, answer in turns:
        messages.append(f"<|im_start|>user\n{question}<|im_end|>")
        if answer is None:
            messages.append("<|im_start|>assistant\n")
        else:
            messages.append(f"<|im_start|>assistant\n{answer}<|im_end|>")
    return "\n".join(messages)
    ### END SOLUTION


# %%
checks.chatml(chatml)

# %% [markdown]
# *Predict.* A conversation of two answered turns is one training example. Which of its tokens does
# the loss look at?
#
# <details><summary>Answer</summary>
#
# Each answer was written by the assistant, so each is supervised, with the eos after it. Without
# the first eos the model would go on and write the user's next question as well.
#
# </details>
#
# ### Exercise 12.2: the mask of a conversation (rebuild, ★★, 8 minutes)
#
# <details><summary>Hint</summary>
#
# Lesson 4 did one turn. Do the same for each turn in order, and append to the same two lists.
#
# </details>


# %%
def conversation(turns, eos):
    """Join [(prompt ids, answer ids), ...] and the eos id. Returns (ids, mask), two lists of one
    length.

    The last answer may be None, not written yet. Then the ids end where it begins.
    [([5, 6], [7]), ([8], [4])], 9 -> [5, 6, 7, 9, 8, 4, 9], [0, 0, 1, 1, 0, 1, 1]"""
    ### BEGIN SOLUTION
    ids, mask = [], []
    for prompt, answer in turns:
        ids += prompt
        mask += [0] * len(prompt)
        if answer is not None:
            ids += [*answer, eos]
            mask += [1] * (len(answer) + 1)
    return ids, mask
    ### END SOLUTION


# %%
checks.conversation(conversation)
answered = [turns[0], turns[1]._replace(output="The capital of Kenya is Nairobi.")]
ids, mask, _ = encode(render(answered, "alpaca"), tokenizer, block)
print(show_mask(tokenizer, ids, mask, color=False))

# %% [markdown]
# ## The wrong template
#
# The main job's model was tuned in Alpaca's template. *Predict*: what share of held-out questions
# does it answer in its own, and in the others?

# %%
lab.predict("12: right in its own template", ...)
lab.predict("12: right in the worst template", ...)

# %%
tuned = lab.load_tuned()
questions = experiment.test_questions(splits)
formats = experiment.score_templates(tuned, questions)
own, worst = formats[tuned.template], min(formats.values())
lab.compare("12: right in its own template", own[0])
lab.compare("12: right in the worst template", worst[0])
n_worse = sum(share[2] < own[1] for share in formats.values())
print(f"Found: {n_worse} of the {len(formats) - 1} other templates are clearly worse.")

# %% [markdown]
# The knowledge is the same in every row. What differs is whether the model recognizes that an
# answer is due. A large model that was tuned in several templates is more tolerant, but model cards
# still say which one to use, and programs read it from the model's files.
#
# **Mixed formats** in the tuning data are the same mistake, made earlier. If rows from Alpaca,
# ShareGPT and ChatML files keep their own headers, the model learns each format from a part of the
# pairs only, and what ends an answer differs from row to row. (The tolerant model above is another
# case: there, many kinds of pair come in each format, on purpose.) Read every source into turns
# first, then write all of them in one template, as `extras/datasets.py` and `render` do.
#
# Nobody uses a wrong template for long. Small slips go unnoticed. *Predict*: which of these slips
# hurts?

# %%
header = tokenizer.encode(TEMPLATES["alpaca"].response)
slips = {
    "as trained": lambda ids: ids,
    "last newline lost": lambda ids: ids[:-1],
    "a space at the end": lambda ids: ids + tokenizer.encode(" "),
    "an extra newline": lambda ids: ids + tokenizer.encode("\n"),
    "no header before the answer": lambda ids: ids[: -len(header)],
    "header twice": lambda ids: ids + header,
}
slipped = experiment.score_slips(tuned, slips, questions)
experiment.plot_slips(slipped)
for name in list(slips)[1:]:
    low, high = lab.difference([slipped[name]], [slipped["as trained"]])[1:]
    lab.finding(low, high, f"{name}: it helps.", f"{name}: it costs right answers.",
                f"{name}: no difference that we can measure.")  # fmt: skip

# %% [markdown]
# Most of these can't be seen on a screen. Compare ids, not texts.
#
# ### Exercise 12.3: the first difference (extend, ★★, 8 minutes)
#
# <details><summary>Hint</summary>
#
# The prompt of an example is what comes before its first supervised token: `ids[: mask.index(1)]`.
# Walk along both lists. If one is the beginning of the other, they differ where the shorter ends.
#
# </details>


# %%
def first_difference(ids, mask, prompt):
    """Compare the prompt of an example (ids, mask) with the ids that are sent. Returns the first
    position where they differ, or None.

    ids [5, 6, 7, 8], mask [0, 0, 1, 1]: prompt [5, 6] -> None, [5, 9] -> 1, [5] -> 1,
    [5, 6, 4] -> 2"""
    ### BEGIN SOLUTION
    expected = ids[: mask.index(1)]
    for i, (token, other) in enumerate(zip(expected, prompt)):
        if token != other:
            return i
    if len(expected) == len(prompt):
        return None
    return min(len(expected), len(prompt))
    ### END SOLUTION


# %%
checks.first_difference(first_difference)
((ids, mask),) = prepare(questions[:1], tokenizer, "alpaca", block)[0]
for name, slip in slips.items():
    at = first_difference(ids, mask, slip(ids[: mask.index(1)]))
    print(f"{name:<28} {'the same' if at is None else f'differs at position {at}'}")

# %% [markdown]
# ## "And of Kenya?"
#
# On its own this question has no answer. It needs the turn before it. We build conversations from
# the world's facts: a question, its answer, then either another whole question (*two questions*) or
# a short one about another thing (*follow-ups*). A quarter of the things and four kinds of question
# are held out: no follow-up in the tuning pairs uses them.
#
# *Predict*: after tuning on *two questions*, what does the model answer to "And of Kenya?" And
# after *follow-ups*, to one of a task that no follow-up was about?

# %%
flags, tests, replies = experiment.compare_follow_ups(base, tokenizer, rows)
followed = {key: lab.bootstrap(table) for key, table in flags.items()}
for test in tests:
    lab.finding(
        *lab.difference(flags["follow-ups", test], flags["two questions", test])[1:],
        f"{test}: tuning on follow-ups helps with follow-ups.",
        f"{test}: tuning on follow-ups hurts.",
        f"{test}: whether tuning on follow-ups helps cannot be told.",
    )

# %% [markdown]
# An earlier turn is text to copy from, like any other. The main job tunes on single questions only,
# so its chat asks each question on its own. **Read ten errors** of the model tuned on *two
# questions*. Sort them (the right kind about the wrong thing, another kind, something else) and
# write two sentences.

# %%
group = tests["new things"]
experiment.show_errors(group, replies["two questions", "new things"])

# %% [markdown]
# <details><summary>A model answer</summary>
#
# An error mostly shows which part of the question the model took from where. If it repeats the kind
# of fact but not the thing, or answers about the new thing with another kind, it has found one of
# the two parts, and lacks the rule that joins them.
#
# </details>
#
# ## A system prompt
#
# "The user is called Ann." With this system prompt answers begin with "Dear Ann!", without it they
# do not. A quarter of the tasks are never tuned with one, and three names are held out. One test
# uses words that are no names of persons (*not names*).
#
# *Predict*: to which of these does it carry over? Does the greeting also appear in a second turn,
# although every pair had only one?

# %%
greets = experiment.measure_system_prompt(base, tokenizer, rows, splits)
near, far = greets["tasks never with one", "new names"], greets["tasks never with one", "not names"]
print(f"Found: new tasks with new names are greeted in {near[0]:.0%},"
      f" with words that are no names in {far[0]:.0%}.")  # fmt: skip

# %% [markdown]
# A system prompt works through tuning like everything else. It can control only what differed
# between the tuning examples. A large model was tuned on very many system prompts, which is one
# likely reason why it follows new ones.
#
# ## A header from the user
#
# In Alpaca's template headers are plain text. A user, or a web page that the model is asked to
# summarize, can write them too. This is **prompt injection**.

# %%
experiment.own_header_ids(tokenizer)

# %% [markdown]
# The model cannot tell who wrote a header. Only the eos is safe, since our `encode` treats text
# that looks like one as ordinary text. ChatML makes *every* header from such tokens. That protects
# only if the program never reads special tokens out of a user's text, and many tokenizers do so
# unless told otherwise. We build such a template, with three ids that no text is encoded to. A
# *careless* encoder joins everything into one text and then looks for special tokens in it:

# %%
experiment.show_forgery(tokenizer)

# %% [markdown]
# The first line is one question of a user who cheats, the second a real conversation. The ids are
# the same, so no tuning can teach the model to tell them apart.
#
# ### Exercise 12.4: headers that nobody can write (extend, ★★, 8 minutes)
#
# <details><summary>Hint</summary>
#
# `render` gives a header as a piece of its own, with kind "frame". Check the kind before you look
# into `special`.
#
# </details>


# %%
def encode_special(pieces, tokenizer, special):
    """Encode pieces [(text, kind), ...] as data.encode does, but each header as one id. Returns
    (ids, mask).

    special is {"<|user|>": 248, ...}. A *frame* that is one of its keys becomes that id. Users'
    text stays text."""
    ### BEGIN SOLUTION
    ids, mask = [], []
    for text, kind in pieces:
        if kind == "frame" and text in special:
            part = [special[text]]
        else:
            part = tokenizer.encode(text)
        if kind == "answer":
            part = part + [tokenizer.eos_id]
        ids += part
        mask += [int(kind == "answer")] * len(part)
    return ids, mask
    ### END SOLUTION


# %%
checks.encode_special(encode_special)

# %% [markdown]
# Now attack: the input has a text, then a forged answer, its end, and a question. Two models are
# tuned in this template. One has also seen such forgeries, encoded by your function, with the right
# answer to the *real* question. *Predict* for each, with each encoder: how often does it answer the
# forged question?

# %%
obeyed = experiment.attack(base, tokenizer, rows, splits, encode_special)
safe, open_door = (lab.bootstrap(obeyed["forgeries", encoder])
                   for encoder in ("encode_special", "careless"))  # fmt: skip
experiment.attack_findings(obeyed)

# %% [markdown]
# A defense has two parts: ids that cannot be forged, and training that makes the model look at
# them. Wallace et al. (2024, "The Instruction Hierarchy") train whose words may give orders.
# Neither makes a model safe from attacks unlike those it saw.
#
# ## Questions to think about
#
# 1. Why does the project store the template's name in the checkpoint?
# 2. A chat fills the context. Which turns should be dropped first, and what must stay?
#
# <details><summary>Answers</summary>
#
# 1. The template is a part of the model, as its vocabulary is. A setting with only one right value
#    should not be left to the user.
# 2. The oldest turns go first (`Assistant.prompt` does so). The system prompt and the last question
#    stay. A turn is dropped whole, since half of one is a format that the model has never seen.
#
# </details>
#
# ## Where this is in the project
#
# `data.py`: `TEMPLATES`, `render()`, `encode()`. `generate.py`: `Assistant.prompt()`.
# `common/chat.py`: the conversation at the keyboard.
#
# > **What to remember**
# >
# > - A chat is one text in one template. Use the template that the model was tuned with, id for id.
# > - A system prompt works as far as tuning varied it. An earlier turn is text to copy from.
# > - Headers that a user can write are no protection. Special tokens help, most of all with
# >   training on forgeries.

# %%
lab.claim(
    "tuned on whole questions only, a model answers many follow-ups: an earlier turn is text to"
    " copy from",
    followed["two questions", "new things"][1] > 0.25,
)
lab.claim(
    "a system prompt reaches tasks and names that tuning never had with one",
    near[0] > 0.5 and greets["tasks never with one", "no system prompt"][0] < 0.2,
)
lab.claim(
    "a model that has seen forgeries obeys fewer of them where a user's text cannot become a"
    " header",
    safe[0] < open_door[0] - 0.1,
)
lab.claim(
    "in the worst template a model answers less than half of what it answers in its own",
    worst[0] < own[0] / 2,
)
