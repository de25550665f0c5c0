"""Measurements and pictures of lesson 1: a model learns to continue, and what it knows."""

import lab
import matplotlib.pyplot as plt
import torch
from checks.lesson01 import begins_with

import world
from common.muon import muon_and_adamw
from common.table import wilson
from data import Row, Turn, corpus_batch
from generate import Assistant, Sampling
from model import GPT, GPTConfig
from train_sft import adamw, train

BATCH, WINDOW = 16, 64
SHOWS = 8  # times that a small model writes while it learns
WAYS = ("1. statement", "2. question, strict", "2. question, anywhere", "3. question, statement")


def small_model(tokenizer) -> GPT:
    """Make a new model, smaller than the base, with random weights."""
    torch.manual_seed(0)
    return GPT(GPTConfig(tokenizer.vocab_size, n_layer=2, n_head=2, n_embd=64))


def read_and_show(model, tokenizer, stream, steps: int) -> list[float]:
    """Train on the stream, and print what the model writes on the way. Returns the losses."""
    losses = []
    assistant = Assistant(model, tokenizer, None)

    def show(step):
        sampling = Sampling(temperature=1, max_new_tokens=18, seed=3)
        ((text, _),) = assistant.answers([Row((Turn("The"),))], sampling)
        print(f"step {step:>3}: The{text!r:.90}")

    def on_step(done, steps, loss, tokens):
        losses.append(loss)
        if done % (steps // SHOWS) == 0:
            show(done)

    show(0)
    batch_at = lambda step: corpus_batch(stream, step, BATCH, WINDOW)  # noqa: E731
    train(model, batch_at, steps, muon_and_adamw(model, 3e-3, adamw), on_step=on_step)
    return losses


def plot_losses(losses: list[float], vocab_size: int) -> None:
    """Draw the loss over the steps, beside that of a model that knows nothing."""
    know_nothing = torch.tensor(vocab_size).log().item()
    plt.figure(figsize=(7, 3))
    plt.plot(losses)
    plt.axhline(know_nothing, ls="--", color="gray", label="log V: every token equally likely")
    plt.title(f"Reading lowers the loss from {losses[0]:.1f} to {losses[-1]:.1f} nats a token")
    plt.xlabel("step")
    plt.ylabel("loss (nats a token)")
    plt.ylim(bottom=0)
    plt.legend()
    plt.tight_layout()
    plt.show()


def likeliest(model, tokenizer, text: str, n: int = 5) -> tuple[list[str], list[float]]:
    """Return the n likeliest next tokens, and their probabilities."""
    with torch.inference_mode():
        logits = model(torch.tensor([[tokenizer.eos_id] + tokenizer.encode(text)]))  # (1, T, V)
    p, best = logits[0, -1].softmax(-1).topk(n)
    return [repr(tokenizer.decode([i])) for i in best.tolist()], p.tolist()


def plot_next_tokens(model, tokenizer, prompts: list[str]) -> None:
    """Draw the likeliest next tokens after each prompt."""
    figure, axes = plt.subplots(1, len(prompts), figsize=(11, 2.8))
    for ax, text in zip(axes, prompts):
        words, p = likeliest(model, tokenizer, text)
        ax.barh(words[::-1], p[::-1])
        ax.set(title=text.replace("? ", "?\n") + f" ...\nfirst choice: {words[0]}")
        ax.set(xlabel="probability of the next token", xlim=(0, 1))
    figure.tight_layout()
    plt.show()


def table_facts() -> list:
    """List all facts of the tables that are stated with "is" and have one right value."""
    cases = world.table_facts()
    facts = [case for case in cases if len(case.values) == 1 and not case.task.prefix]
    return lab.subset(facts, len(facts))


def ask_facts(assistant, facts: list) -> dict[str, list[bool]]:
    """Ask for every fact in three ways. Returns {way: right or not of each fact}."""
    questions = [f"What is {fact.noun}?" for fact in facts]
    starts = [f"{world.upper_first(fact.noun)} is" for fact in facts]
    led = [f"{question} {start}" for question, start in zip(questions, starts)]

    statements = continuations(assistant, starts, 8)
    answers = continuations(assistant, questions, 48)
    after_both = continuations(assistant, led, 8)
    values = [fact.values[0] for fact in facts]
    return dict(zip(WAYS, (
        [begins_with(text, value) for text, value in zip(statements, values)],
        [text.strip() == fact.answer() for text, fact in zip(answers, facts)],
        [fact.answer().rstrip(".") in text for text, fact in zip(answers, facts)],
        [begins_with(text, value) for text, value in zip(after_both, values)],
    )))


def continuations(assistant, prompts: list[str], max_new: int) -> list[str]:
    """Continue plain texts by at most so many tokens."""
    rows = [Row((Turn(prompt),)) for prompt in prompts]
    return [text for text, _ in assistant.answers(rows, Sampling(max_new_tokens=max_new))]


def describe_ways(right: dict[str, list[bool]]) -> list[float]:
    """Print how many facts came out right in each way, with the 95% interval. Returns the shares.
    """
    shares = []
    for way, flags in right.items():
        low, high = wilson(sum(flags), len(flags))
        shares.append(sum(flags) / len(flags))
        print(f"{way:<24} {sum(flags):>3} of {len(flags)}  {shares[-1]:6.1%}"
              f"  (95%: {low:.0%} to {high:.0%})")
    statement, _, anywhere, both = shares
    print(f"\nFound: the base completes {statement:.0%} of the facts and answers {anywhere:.0%} of"
          " the questions, even if a right statement may be anywhere. Led to the statement after"
          f" the question, it completes {both:.0%}.")
    return shares


def print_missed(assistant, facts: list, right: dict[str, list[bool]], n: int = 10) -> None:
    """Print some facts that the base does not complete, and how it goes on instead."""
    missed = [fact for fact, good in zip(facts, right["1. statement"]) if not good]
    print(f"{len(missed)} of {len(facts)} facts are not completed")
    some = lab.spread(missed, n)
    starts = [f"{world.upper_first(fact.noun)} is" for fact in some]
    for start, text in zip(starts, continuations(assistant, starts, 8)):
        print(f"{start} | {text.strip()!r}")
