"""Measurements and pictures of lesson 7: columns, checkers, few-shot prompts, leaks, duels."""

import random

import lab
import matplotlib.pyplot as plt

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
BASES = ("base_raw", "base_template", "best_prompt")  # columns of the untuned base
ANSWER_TOKENS = Sampling().max_new_tokens  # as in all other columns
SHORT = 0.2  # share of the tuning pairs, the shortest, that shots are drawn from
MAX_ERROR = 150  # letters of a reply that are printed

# --------------------------------------------------------------------------------------------------
# Columns and errors


def print_intervals(counts) -> None:
    """Print the interval of each (correct, n)."""
    for correct, n in counts:
        low, high = wilson(correct, n)
        print(f"{correct:>4} of {n:<5} {correct / n:6.1%}   95%: {low:5.1%} to {high:5.1%}")


def describe_columns(results: dict) -> None:
    """Print results[split, column], as the learner's `evaluate` returns them, and the finding."""
    for (split, column), result in results.items():
        low, high = result["interval"]
        print(f"{split:<17} {LABELS[column]:<24} right {result['right']:6.1%}"
              f"  (95%: {low:.0%} to {high:.0%})   stopped {result['stopped']:4.0%}")


    control, tuned = (results["unseen_tasks", name] for name in ("base_template", "tuned"))
    print()
    lab.finding(
        tuned["interval"][0] - control["interval"][1],
        tuned["interval"][1] - control["interval"][0],
        rose=f"on new kinds of question the template alone gives {control['right']:.0%}, tuning"
        f" {tuned['right']:.0%}. The gain comes from tuning.",
        fell="on new kinds of question the base with the template is ahead of the tuned model.",
        unclear="on new kinds of question the template alone explains the tuned score.",
    )


def plot_columns(results: dict) -> None:
    """Draw the tuned model's shares of right replies. The title compares them with the base's."""
    splits = list(dict.fromkeys(split for split, _ in results))
    shares = {column: [results[split, column]["right"] for split in splits] for column in LABELS}
    figure, ax = plt.subplots(figsize=(7.5, 2.4))
    for y, split in enumerate(reversed(splits)):
        result = results[split, "tuned"]
        ax.plot(result["interval"], [y, y], color="C0", lw=2)
        ax.plot(result["right"], y, "o", color="C0")
    ax.set_yticks(range(len(splits)), [name.replace("_", " ") for name in reversed(splits)])
    best = max(shares["base_raw"] + shares["base_template"])
    ax.set_title(f"Tuned: at least {min(shares['tuned']):.0%} right in each split."
                 f" Its base, with the template or without: at most {best:.0%}.", fontsize=11)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.5, len(splits) - 0.5))
    ax.set_xlabel("answered exactly right by the tuned model, with 95% interval")
    figure.tight_layout()
    plt.show()


def print_errors(results: dict, n: int = 10) -> None:
    """Print n errors, (row, reply) each, of the tuned model."""
    errors = []
    for (_, column), result in results.items():
        errors += result["errors"] if column == "tuned" else []
    print(f"{len(errors)} errors of the tuned model")
    for row, text in lab.spread(errors, n):
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


class Checkers:
    """Replies of several columns to the same questions, judged by both checkers."""

    def __init__(self, rows: list[Row], mentions):
        self.rows, self.mentions = rows, mentions
        self.values = [value_of(row) for row in rows]
        self.replies, self.strict, self.lenient = {}, {}, {}

    def add(self, column: str, texts: list[str]) -> None:
        """Judge the replies of a column."""
        self.replies[column] = texts
        self.strict[column] = strictly(self.rows, texts)
        self.lenient[column] = leniently(self.mentions, self.values, texts)

    def describe(self) -> None:
        """Print both shares of every column, and the lenient checker's rate of chance."""
        others = other_values(self.rows)
        for column, texts in self.replies.items():
            chance = leniently(self.mentions, others, texts)
            print(f"{column:<14} strict {percent(self.strict[column])}"
                  f"   lenient {percent(self.lenient[column])}"
                  f"   value of another question {percent(chance)}")
        gap = self.lead(self.lenient["base_raw"], self.strict["base_raw"])
        print()
        lab.finding(
            *gap[1:],
            rose=f"the lenient checker finds {100 * gap[0]:.0f} points more in the base's replies."
            " It mentions the value among other sentences, and does not answer.",
            fell="the lenient checker finds less in the base's replies.",
            unclear="the lenient checker finds no more in the base's replies than the strict one.",
        )

    def describe_baselines(self) -> tuple:
        """Print all columns and how far the tuned one, scored strictly, is ahead. Returns its lead
        over the base's best column (scored leniently) and over the rule, (mean, low, high) each."""
        for name in self.replies:
            print(f"{name:<14} strict {percent(self.strict[name])}"
                  f"   lenient {percent(self.lenient[name])}")
        print()
        tuned = self.strict["tuned"]
        best = max(BASES, key=lambda name: sum(self.lenient[name]))
        leads = (
            self.lead(tuned, self.lenient[best]),
            self.lead(tuned, self.strict["copy_rule"]),
        )
        for name, gap in zip((f"{best}, scored leniently", "the copying rule"), leads):
            lab.finding(
                *gap[1:],
                rose=f"the tuned model, scored strictly, is {100 * gap[0]:.0f} points ahead of"
                f" {name}.",
                fell=f"{name} is ahead of the tuned model.",
                unclear=f"the tuned model and {name} cannot be told apart.",
            )
        return leads

    @staticmethod
    def lead(flags: list, others: list) -> tuple[float, float, float]:
        """Average flag minus other flag, question by question: (mean, low, high)."""
        return lab.difference([flags], [others])

    def padded(self, column: str) -> tuple[list, list]:
        """Return a column's answers for the judge, (right, text) each, plain and with a friendly
        sentence at the end."""
        plain = list(zip(self.strict[column], self.replies[column]))
        return plain, [(right, text + " I hope that this helps you.") for right, text in plain]


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
            replies = generate(self.base, part, self.tokenizer.eos_id, sampling)
            for i, (ids, _) in zip(batch, replies):
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
            line += f"   shots: {n}, right {percent(flags)}"
            line += f" ({sum(few.kept) / len(few.kept):.1f} fit)" if n else ""
        print(line)
    return tries


def describe_shots(tries: dict, forms) -> None:
    """Print whether the best form with shots is ahead of the best one without."""
    most = max(n for _, n in tries)
    without, with_shots = (max((tries[form, n] for form in forms), key=sum) for n in (0, most))
    gain = Checkers.lead(with_shots, without)
    lab.finding(
        *gain[1:],
        rose=f"shots help this base: the best form gains {100 * gain[0]:.0f} points with them.",
        fell=f"shots harm this base: the best form loses {-100 * gain[0]:.0f} points with them.",
        unclear=f"{len(without)} questions cannot tell the best form with {most} shots from the"
        " best one without. Other forms may differ: see above.",
    )


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


def describe_leak(scores: dict) -> tuple:
    """Print what both leaks do to scores[arm, test], flags by seed. Returns how far they are ahead
    of the clean arm on the invented facts, (mean, low, high) each."""
    clean = scores["clean", "invented facts"]
    leads = []
    for arm, remark in (("leak in other words", ", and comparing prompts cannot find it"),
                        ("leak", "")):
        gap = lab.difference(scores[arm, "invented facts"], clean)
        leads.append(gap)
        lab.finding(
            *gap[1:],
            rose=f"the {arm} inflates the score by {100 * gap[0]:.0f} points{remark}.",
            fell=f"the {arm} lowers the score.",
            unclear=f"the {arm} cannot be told from none.",
        )
    return leads


def plot_leak(scores: dict, arms, tests) -> None:
    """Draw the shares of scores[arm, test], one group of bars a test."""
    figure, ax = plt.subplots(figsize=(8, 3.6))
    for i, arm in enumerate(arms):
        means, lows, highs = zip(*(lab.bootstrap(scores[arm, test]) for test in tests))
        error = [[m - low for m, low in zip(means, lows)], [h - m for m, h in zip(means, highs)]]
        x = [j + 0.27 * (i - 1) for j in range(len(tests))]
        bars = ax.bar(x, means, 0.25, yerr=error, capsize=3, label=arm)
        ax.bar_label(bars, [f"{mean:.0%}" for mean in means], padding=3)
    clean, leak = (lab.bootstrap(scores[a, "invented facts"])[0] for a in ("clean", "leak"))
    ax.set_title(f"Facts that the model cannot know: clean {clean:.0%}, with a leak {leak:.0%}")
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


def describe_duels(duels: dict[str, float], n: int) -> None:
    """Print the shares of n duels that were won, and what they show."""
    for name, share in duels.items():
        low, high = wilson(share * n, n)
        print(f"{name:<30} wins {share:6.1%}   95%: {low:.0%} to {high:.0%}")
    fixed, blind, padded = duels.values()
    print(f"\nFound: a fixed order makes the model beat itself in {fixed:.0%} of the pairs, a"
          " random"
          f" one in {blind:.0%}. Padding still wins {padded:.0%}: a random order does nothing"
          " against a bias for length.")
