"""The measuring code of lesson 11: rules of sampling, stories that are found, time, best of n."""

import math
import time

import lab
import matplotlib.pyplot as plt
import torch

import world
from data import Row, shift
from generate import Assistant, Sampling, generate

DRAWS = 2 if lab.FAST else 16
MAX_NEW = 8 if lab.FAST else Sampling().max_new_tokens  # tokens of an answer
TRIES = (1, 2, 4, 8)
TEMPERATURES = (0.0, 0.5, 1.0, 1.5, 2.0)
AT_ONCE = 64  # answers that are drawn together
LENGTHS = (5, 10, 20) if lab.FAST else (10, 40, 100)

# ---- One distribution ----------------------------------------------------------------------------


def plot_temperature(logits_at: dict, with_temperature, entropy, tokenizer) -> None:
    """Plot the eight likeliest tokens of each position at three temperatures, and the entropy."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), width_ratios=(1, 1, 1.1))
    for ax, (position, logits) in zip(axes, logits_at.items()):
        order = logits[0].argsort(descending=True)[:8]
        for i, temperature in enumerate((0.5, 1, 2)):
            p = with_temperature(logits, temperature)[0, order]
            ax.bar(torch.arange(8) + 0.27 * (i - 1), p, 0.25, label=f"T = {temperature}")
            print(f"{position:<15} T = {temperature:<4} outside the top eight {1 - p.sum():.0%}")
        words = [tokenizer.decode([i]).strip() for i in order.tolist()]
        ax.set_xticks(range(8), words, rotation=45, ha="right")
        ax.set(title=position, ylabel="probability", ylim=(0, 1.04))
    axes[0].legend()

    temperatures = [0.02 * 1.15**i for i in range(45)]
    for position, logits in logits_at.items():
        values = [entropy(with_temperature(logits, t)).item() for t in temperatures]
        axes[2].plot(temperatures, values, label=position)
    axes[2].axhline(math.log(tokenizer.vocab_size), color="gray", ls="--", label="all equal")
    axes[2].set(xscale="log", xlabel="temperature", ylabel="entropy (nats)")
    axes[2].set_title("A higher temperature: more entropy")
    axes[2].legend()
    figure.tight_layout()
    plt.show()


# ---- The trade-off -------------------------------------------------------------------------------


def rules() -> dict:
    """Name the settings that are compared."""
    settings = {f"T = {t}": Sampling(t) for t in TEMPERATURES}
    for t in (1.0, 1.5):
        settings[f"T = {t}, top-k 5"] = Sampling(t, top_k=5)
        settings[f"T = {t}, top-p 0.9"] = Sampling(t, top_p=0.9)
    return settings


def held_out(splits: dict) -> tuple[list[Row], list[Row]]:
    """Draw held-out questions with one right answer, and prompts for stories."""
    rows = [row for split in splits.values() for row in split]
    questions = lab.subset([row for row in rows if row.task not in lab.OPEN_TASKS], 48)
    stories = lab.subset([row for row in rows if row.task == "story"], 8)
    return questions, stories


def seeded(how: Sampling, seed: int) -> Sampling:
    return Sampling(how.temperature, how.top_k, how.top_p, seed=seed, max_new_tokens=MAX_NEW)


def draw_texts(assistant: Assistant, rows: list[Row], how: Sampling, seed: int) -> list[tuple]:
    """Draw one answer to each row. Returns [(text, stopped), ...]."""
    return assistant.answers(rows, seeded(how, seed))


def right_stories(row: Row) -> list[str]:
    """List the world's own stories for a prompt."""
    for case in world.table_facts():
        texts = [case.answer(i) for i in range(len(case.values))]
        if row.turns[0].output in texts:
            return texts
    raise AssertionError(row)


def measure_rules(assistant: Assistant, questions: list, stories: list, n_found) -> tuple:
    """Measure every rule. n_found(texts, right) counts the right stories that were found.

    Returns {rule: {"accuracy": interval, "right": .., "found": .., "different": ..}}, and the same
    with [[a value for each question] a seed] in place of each interval."""
    table, each = {}, {}
    print(f"{'':<20}{'accuracy':<20}{'right stories':<20}{'found of the 3':<20}different stories")
    for name, how in rules().items():
        flags = []
        for seed in lab.SEEDS:
            answers = lab.score(assistant, questions, seeded(how, seed))["answers"]
            flags.append([right for *_, right in answers])
        shares = {"right": [], "found": [], "different": []}
        for row in stories:
            right = right_stories(row)
            draws = draw_texts(assistant, [row] * DRAWS, how, seed=0)
            texts = [text.strip() for text, _ in draws]
            shares["right"].append(sum(text in right for text in texts) / DRAWS)
            shares["found"].append(n_found(texts, right) / len(right))
            shares["different"].append(len(set(texts)) / DRAWS)
        each[name] = {"accuracy": flags} | {key: [values] for key, values in shares.items()}
        table[name] = {column: lab.bootstrap(values) for column, values in each[name].items()}
        print(f"{name:<20}" + "".join(f"{lab.show_share(x):<20}" for x in table[name].values()))
    return table, each


def plot_rules(table: dict) -> None:
    """Plot the measures against the temperature, and accuracy against the stories found."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5))
    names = [f"T = {t}" for t in TEMPERATURES]
    labels = {
        "accuracy": "questions: accuracy",
        "right": "stories: right",
        "found": "stories: found of the three",
        "different": "stories: different",
    }
    for column, label in labels.items():
        mean, low, high = zip(*(table[name][column] for name in names))
        axes[0].plot(TEMPERATURES, mean, "o-", label=label)
        axes[0].fill_between(TEMPERATURES, low, high, alpha=0.15)
    best = max(TEMPERATURES, key=lambda t: table[f"T = {t}"]["found"][0])
    axes[0].set(xlabel="temperature", ylabel="share (95% interval)", ylim=(-0.03, 1.03))
    axes[0].set_title(f"Most of the three stories are found at T = {best}")
    axes[0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2, fontsize=9)

    groups = {"": ("o", (-8, -14)), "top-k 5": ("s", (7, -5)), "top-p 0.9": ("^", (7, -3))}
    for cut, (marker, offset) in groups.items():
        names = [name for name in table if name.partition(", ")[2] == cut]
        x = [table[name]["found"][0] for name in names]
        y = [table[name]["accuracy"][0] for name in names]
        axes[1].plot(x, y, marker, ms=8, label=cut or "temperature alone")
        for name, *at in zip(names, x, y):
            axes[1].annotate(name[4:7], at, offset, textcoords="offset points")
    axes[1].set(xlabel="right stories found", ylabel="accuracy on questions")
    axes[1].set(xlim=(-0.05, 1.1), ylim=(-0.1, 1.1))
    axes[1].set_title("Both at once (the number is T): up and right is better")
    axes[1].legend(loc="center left", fontsize=9)
    figure.tight_layout()
    plt.show()


def find_change(each: dict, new: str, old: str, column: str, subject: str) -> None:
    """Say whether two rules differ in a column, by the interval of the difference."""
    lab.finding(
        *lab.difference(each[new][column], each[old][column])[1:],
        f"{subject}: {new} has more than {old}.",
        f"{subject}: {new} has less than {old}.",
        f"{subject}: no difference between {new} and {old} that we can measure.",
    )


def show_garbled(assistant: Assistant, stories: list, how: Sampling, n: int = 10) -> None:
    """Print n stories that aren't the world's own."""
    shown = 0
    for seed in range(20):
        for row, (text, _) in zip(stories, draw_texts(assistant, stories, how, seed)):
            if text.strip() not in right_stories(row) and shown < n:
                print(text.strip())
                shown += 1


# ---- The cache -----------------------------------------------------------------------------------


@torch.inference_mode()
def largest_change(model, ids: torch.Tensor) -> float:
    """Compare the last layer's queries, keys and values of ids[:, :-1] with those of ids."""
    seen = []
    attention = model.h[-1].attn.c_attn
    hook = attention.register_forward_hook(lambda module, args, qkv: seen.append(qkv))
    model(ids[:, :-1]), model(ids)
    hook.remove()
    shorter, longer = seen  # (1, T - 1, 3 C) and (1, T, 3 C)
    return (longer[:, :-1] - shorter).abs().max().item()


@torch.inference_mode()
def decode_plainly(model, ids: torch.Tensor, n: int) -> tuple:
    """Continue greedily without a cache. Returns tokens (B, n) and logits (B, n, V)."""
    scores, n_prompt = [], ids.shape[1]
    for _ in range(n):
        scores.append(model(ids, last_only=True))  # (B, V)
        ids = torch.cat((ids, scores[-1].argmax(-1)[:, None]), 1)
    return ids[:, n_prompt:], torch.stack(scores, 1)


def cpu_seconds(decode, model, prompts: torch.Tensor, n: int) -> float:
    """Measure the shortest of three runs, in seconds of CPU time."""
    times = []
    for _ in range(3):
        start = time.process_time()
        decode(model, prompts, n)
        times.append(time.process_time() - start)
    return min(times)


def time_cache(model, prompts: torch.Tensor, decode) -> list[float]:
    """Time decoding with and without a cache. Returns how many times faster the cache is."""
    n_prompt = prompts.shape[1]
    seconds = {"without a cache": [], "with it": []}
    for n in LENGTHS:
        seconds["without a cache"].append(cpu_seconds(decode_plainly, model, prompts, n))
        seconds["with it"].append(cpu_seconds(decode, model, prompts, n))
    gains = [slow / fast for slow, fast in zip(*seconds.values())]
    for n, gain in zip(LENGTHS, gains):
        plain = n * n_prompt + n * (n - 1) // 2
        print(f"{n:>4} tokens: {plain:>5} and {n_prompt + n - 1:>4} positions a row,"
              f" {gain:.1f} times faster")  # fmt: skip

    figure, ax = plt.subplots(figsize=(6, 3.2))
    for name, values in seconds.items():
        ax.plot(LENGTHS, values, "o-", label=name)
    ax.set(xlabel="new tokens", ylabel="CPU seconds, 8 rows", ylim=(0, None))
    ax.set_title(f"{gains[-1]:.1f} times faster at {LENGTHS[-1]} tokens")
    ax.legend()
    plt.show()
    return gains


# ---- Best of n -----------------------------------------------------------------------------------


class Candidates:
    """Draws of answers to questions, which are numbers in a list, with two rewards for them."""

    def __init__(self, assistant: Assistant, questions: list[Row]):
        self.assistant, self.questions = assistant, questions
        self.prompts = [assistant.prompt(row.turns) for row in questions]
        self.numbers = range(len(questions))
        self.known = {}

    def draw(self, seed: int, temperature: float = 1.0, n: int = max(TRIES)) -> list[list[tuple]]:
        """Draw n answers, tuples of ids, to each question."""
        prompts = [prompt for prompt in self.prompts for _ in range(n)]
        eos, answers = self.assistant.tokenizer.eos_id, []
        for start in range(0, len(prompts), AT_ONCE):
            how = Sampling(temperature, seed=1000 * seed + start, max_new_tokens=40)
            part = generate(self.assistant.model, prompts[start : start + AT_ONCE], eos, how)
            answers += [tuple(ids) for ids, _ in part]
        return [answers[i : i + n] for i in range(0, len(answers), n)]

    @torch.inference_mode()
    def log_probability(self, i: int, answer: tuple) -> float:
        """Compute log p of an answer with its eos, given question i."""
        if (i, answer) not in self.known:
            ids = [*answer, self.assistant.tokenizer.eos_id]
            mask = [0] * len(self.prompts[i]) + [1] * len(ids)
            inputs, targets = shift(self.prompts[i] + ids, mask)
            loss = self.assistant.model(torch.tensor([inputs]), torch.tensor([targets]))
            self.known[i, answer] = -loss.item()
        return self.known[i, answer]

    def is_right(self, i: int, answer: tuple) -> float:
        """Check an answer: 1.0 or 0.0."""
        row = self.questions[i]
        text = self.assistant.tokenizer.decode(answer)
        return float(world.check(row.task, row.turns[0].output, text))


def measure_best_of(candidates: Candidates, best_of) -> dict:
    """Choose one of n draws in three ways, and answer greedily.

    Returns {(way, n): [[right? a question] a seed]}, with ("greedy", 1)."""
    numbers = candidates.numbers
    ways = {
        "the first draw": lambda draws: [answers[0] for answers in draws],
        "the most probable": lambda draws: best_of(
            numbers, draws, candidates.log_probability, -math.inf
        ),
        "the checker's": lambda draws: best_of(numbers, draws, candidates.is_right, 0),
    }
    pool = [candidates.draw(seed) for seed in lab.SEEDS]
    flags = {}
    for name, choose in ways.items():
        for n in TRIES:
            flags[name, n] = []
            for draws in pool:
                choice = choose([answers[:n] for answers in draws])
                right = [a is not None and candidates.is_right(i, a) for i, a in enumerate(choice)]
                flags[name, n].append(right)
        shown = [f"n={n}: {lab.show_share(lab.bootstrap(flags[name, n]))}" for n in TRIES]
        print(f"{name:<18}", "   ".join(shown))
    greedy = candidates.draw(0, temperature=0.0, n=1)
    right = [candidates.is_right(i, answers[0]) for i, answers in enumerate(greedy)]
    flags["greedy", 1] = [right for _ in lab.SEEDS]  # no chance, so each seed answers the same
    print(f"{'greedy':<18} {lab.show_share(lab.bootstrap([right]))}")
    return flags


def plot_best_of(flags: dict) -> None:
    """Plot the accuracy of the best of n."""
    figure, ax = plt.subplots(figsize=(6.5, 3.6))
    shares = {key: lab.bootstrap(table) for key, table in flags.items()}
    greedy = shares.pop(("greedy", 1))
    names = list(dict.fromkeys(name for name, _ in shares))
    for offset, name in zip((-0.04, 0, 0.04), names):
        mean, low, high = zip(*(shares[name, n] for n in TRIES))
        below = [max(0, m - a) for m, a in zip(mean, low)]
        above = [max(0, b - m) for m, b in zip(mean, high)]
        at = [n * 2**offset for n in TRIES]
        ax.errorbar(at, mean, (below, above), fmt="o-", capsize=3, label=name)
    ax.axhline(greedy[0], color="gray", ls="--", label="greedy, one answer")
    ax.set_xscale("log", base=2)
    ax.set_xticks(TRIES, TRIES)
    ax.set(xlabel="n answers drawn at T = 1", ylabel="accuracy (95% interval)", ylim=(0, 1.05))
    ax.set_title(f"Of {max(TRIES)} draws: {shares[names[1], max(TRIES)][0]:.0%} by the model, "
                 f"{shares[names[2], max(TRIES)][0]:.0%} by the checker")  # fmt: skip
    ax.legend(fontsize=9, loc="lower center", ncols=2)
    plt.show()
