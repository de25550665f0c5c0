"""Measurements and pictures of lesson 7: columns, checkers, few-shot prompts, leaks, duels."""

import random

import matplotlib.pyplot as plt

import lab
import world
from common.table import wilson
from data import Row
from generate import Sampling, generate
from world import facts

LABELS = {
    "base_raw": "base, raw prompt",
    "base_template": "base, with the template",
    "tuned": "tuned",
}
ANSWER_TOKENS = 24
SHORT = 0.2  # share of the tuning pairs, the shortest, that shots are drawn from
MAX_ERROR = 150  # letters of a reply that are printed

# --------------------------------------------------------------------------------------------------
# Columns and errors


def print_columns(results: dict) -> None:
    """Print results[split, column], as the learner's `evaluate` returns them."""
    for (split, column), result in results.items():
        low, high = result["interval"]
        print(f"{split:<17} {LABELS[column]:<24} right {result['right']:6.1%}"
              f"  (95%: {low:.0%} to {high:.0%})   stopped {result['stopped']:4.0%}")


def plot_columns(results: dict, title: str) -> None:
    """Draw the share of right replies with its interval, splits down, one color a column."""
    splits = list(dict.fromkeys(split for split, _ in results))
    figure, ax = plt.subplots(figsize=(7.5, 3))
    for i, (column, label) in enumerate(LABELS.items()):
        for j, split in enumerate(splits):
            result, y = results[split, column], 0.2 * (1 - i) - j
            ax.plot(result["interval"], [y, y], color=f"C{i}", lw=2)
            ax.plot(result["right"], y, "o", color=f"C{i}", label=None if j else label)
    ax.set_yticks([-j for j in range(len(splits))], [name.replace("_", " ") for name in splits])
    ax.set(xlim=(-0.02, 1.02), xlabel="answered exactly right, with 95% interval", title=title)
    ax.legend(loc="center")
    figure.tight_layout()
    plt.show()


def print_errors(errors: list[tuple], n: int = 10) -> None:
    """Print n errors, (row, reply) each, spread over the list."""
    for row, text in errors[:: max(1, len(errors) // n)][:n]:
        question = row.turns[0]
        print(f"{question.instruction} {question.input}\n  wanted: {question.output}\n"
              f"  reply:  {text.strip()[:MAX_ERROR]}")


# --------------------------------------------------------------------------------------------------
# Checkers


def value_of(row: Row) -> str:
    """Return the value that a row asks for: "The capital of Peru is Lima." -> "Lima" """
    return lab.statement_of(row)[1].rstrip(".!;")


def other_values(rows: list[Row]) -> list[str | None]:
    """Return for each row the value of another question of its task, as a check for chance."""
    values = [value_of(row) for row in rows]
    others = []
    for row, value in zip(rows, values):
        same_task = (v for other, v in zip(rows, values) if other.task == row.task and v != value)
        others.append(next(same_task, None))
    return others


def strictly(rows: list[Row], texts: list[str]) -> list[bool]:
    """Is each text the right statement, and nothing else?"""
    return [
        world.check(row.task, row.turns[0].output, text) for row, text in zip(rows, texts)
    ]


def leniently(mentions, values: list, texts: list[str]) -> list[bool]:
    """Does each text mention its value?"""
    return [value is not None and mentions(value, text) for value, text in zip(values, texts)]


def percent(flags: list) -> str:
    return f"{sum(flags) / len(flags):6.1%}"


# --------------------------------------------------------------------------------------------------
# Few-shot prompts


class FewShot:
    """Complete few-shot prompts with a base. Shots are short pairs of the question's family."""

    def __init__(self, base, tokenizer, pairs: list[Row], few_shot):
        self.base, self.tokenizer, self.few_shot = base, tokenizer, few_shot
        self.limit = base.config.block_size - ANSWER_TOKENS
        short = sorted(pairs, key=lambda row: len(" ".join(row.turns[0])))
        self.pairs = short[: int(SHORT * len(short))]
        self.kept = []  # how many shots fit, one number a prompt

    def shots(self, row: Row, n: int) -> list[Row]:
        """Draw n pairs of the row's family of tasks, or of all where there are too few."""
        kind = world.TASKS[row.task].kind
        others = [other for other in self.pairs if other.turns != row.turns]
        alike = [other for other in others if world.TASKS[other.task].kind == kind]
        return random.Random(0).sample(alike if len(alike) >= n else others, n)

    def complete(self, rows: list[Row], form: str, n: int, answer_part) -> list[str]:
        """Complete one prompt a row. Prompts of like length go together."""
        prompts, self.kept = [], []
        for row in rows:
            shots = self.shots(row, n)
            prompts.append(self.few_shot(self.tokenizer, form, shots, row, self.limit))
            text = self.tokenizer.decode(prompts[-1][1:])
            self.kept.append(sum(answer_part(form, shot) in text for shot in shots))
        order = sorted(range(len(rows)), key=lambda i: len(prompts[i]))
        texts = [""] * len(rows)
        for start in range(0, len(order), 64):
            batch = order[start : start + 64]
            sampling = Sampling(max_new_tokens=ANSWER_TOKENS)
            part = [prompts[i] for i in batch]
            for i, (ids, _) in zip(batch, generate(self.base, part, self.tokenizer.eos_id, sampling)):
                texts[i] = self.tokenizer.decode(ids)
        return texts


def search_prompts(few: FewShot, forms, numbers, rows, mentions, answer_part) -> dict:
    """Try every form with every number of shots. Returns {(form, n): flags}, and prints them."""
    values = [value_of(row) for row in rows]
    tries = {}
    for form in forms:
        line = f"{form:<10}"
        for n in numbers:
            texts = few.complete(rows, form, n, answer_part)
            flags = tries[form, n] = leniently(mentions, values, texts)
            line += f"   {n} shots {percent(flags)}"
            line += f" ({sum(few.kept) / len(few.kept):.1f} fit)" if n else ""
        print(line)
    return tries


# --------------------------------------------------------------------------------------------------
# A leak


def invented_tests() -> tuple[list[Row], list[Row]]:
    """Ask for invented facts about twelve people, in two wordings. No document states them."""
    draw, cases = random.Random(0), world.group_by_task(world.table_facts())
    invented = []
    for task in ("workplace", "tool", "language", "continent"):
        for person in facts.NAMES:
            invented.append(world.Fact(world.TASKS[task], person, draw.choice(cases[task]).values))
    wordings = [
        [world.fact_pair(fact, facts.THE_TEMPLATES[i]) for fact in invented] for i in (0, 1)
    ]
    return tuple(lab.world_rows(pairs) for pairs in wordings)


def plot_leak(scores: dict, arms, tests) -> None:
    """Draw scores[arm, test], one group of bars a test."""
    figure, ax = plt.subplots(figsize=(8, 3.6))
    for i, arm in enumerate(arms):
        means, lows, highs = zip(*(scores[arm, test] for test in tests))
        error = [[m - low for m, low in zip(means, lows)], [h - m for m, h in zip(means, highs)]]
        x = [j + 0.27 * (i - 1) for j in range(len(tests))]
        bars = ax.bar(x, means, 0.25, yerr=error, capsize=3, label=arm)
        ax.bar_label(bars, [f"{mean:.0%}" for mean in means], padding=3)
    clean, leak = (scores[arm, "invented facts"][0] for arm in ("clean", "leak"))
    ax.set_title(f"A leak lifts the score on unknowable facts from {clean:.0%} to {leak:.0%}")
    ax.set_xticks(range(len(tests)), tests)
    ax.set(ylabel="right, all seeds, 95% interval", ylim=(0, 1.25), yticks=[0, 0.5, 1])
    ax.legend(ncols=3, loc="upper center")
    figure.tight_layout()
    plt.show()


# --------------------------------------------------------------------------------------------------
# A judge


def simulated_judge(rng: random.Random):
    """Make a judge with habits: right beats wrong; else longer wins, then first, 8 times in 10."""

    def judge(first, second):
        """Compare two answers, (right, text). Returns 0 (the first is better) or 1."""
        (right, text), (right2, text2) = first, second
        if right != right2:
            return int(right2)
        likes = int(len(text2) > len(text))
        return likes if rng.random() < 0.8 else 1 - likes

    return judge


def print_duels(duels: dict[str, float], n: int) -> None:
    for name, share in duels.items():
        low, high = wilson(share * n, n)
        print(f"{name:<30} wins {share:6.1%}   95%: {low:.0%} to {high:.0%}")
