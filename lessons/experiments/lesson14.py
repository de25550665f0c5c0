"""The measuring code of lesson 14: stories, pairs of answers, two ways to tune on them."""

import copy
import random

import lab
import matplotlib.pyplot as plt
import torch

import world
from data import Row, Turn, collate
from generate import Assistant, Sampling
from train_sft import adamw

STEPS = 6 if lab.FAST else 30
PAIRS = 8  # of a step
N_LAST = 5  # steps that are averaged at the end
NAMES = ("right", "right and shortest", "other questions right")
TIMES = 4  # times that each training prompt is used for pairs
WRITE = Sampling(temperature=1.0, max_new_tokens=40)


# ---- Stories -------------------------------------------------------------------------------------


def story_cases(n: int = 64) -> tuple[list, list]:
    """Draw n pairs of a hero and a place. Returns (cases to train on, cases to test on)."""
    cases = [case for case in world.table_facts() if case.task.name == "story"]
    random.Random(0).shuffle(cases)
    cases = lab.subset(cases, n)
    return cases[::2], cases[1::2]


def story_rows(cases: list, seed: int) -> list[Row]:
    """Ask for each story in a way that is drawn."""
    rng = random.Random(seed)
    rows = []
    for case in cases:
        way = rng.choice(world.generic_templates(case.task))
        turn = Turn(world.make_question(way, case), "", case.answer())
        rows.append(Row((turn,), "story"))
    return rows


def write_stories(assistant: Assistant, rows: list[Row], seed: int) -> list[str]:
    """Sample one story for each row, at temperature 1."""
    sampling = Sampling(WRITE.temperature, seed=seed, max_new_tokens=WRITE.max_new_tokens)
    return [text for text, _ in assistant.answers(rows, sampling)]


def is_right(row: Row, text: str) -> bool:
    """Is this one of the world's own stories?"""
    return world.check(row.task, row.turns[0].output, text)


def collect_pairs(assistant: Assistant, cases: list, prefer, seed: int) -> list[tuple]:
    """Compare two of the world's right stories, and two of the model's own, for each case.

    Returns [(row, chosen, rejected), ...] of those that `prefer` has a preference for."""
    rng = random.Random(seed)
    pairs = []
    for time in range(TIMES):
        rows = story_rows(cases, TIMES * seed + time)
        right = [rng.sample([case.answer(i) for i in range(3)], 2) for case in cases]
        draws = [
            write_stories(assistant, rows, 100 * seed + 2 * time + first) for first in (0, 1)
        ]
        for row, answers in [*zip(rows, right), *zip(rows, zip(*draws))]:
            preference = prefer(row, *answers)
            if preference:
                pairs.append((row, *preference))
    return pairs


def both_right(pairs: list[tuple]) -> list[tuple]:
    """Keep the pairs in which the rejected story is right, too."""
    return [(row, chosen, rejected) for row, chosen, rejected in pairs if is_right(row, rejected)]


# ---- Two ways to tune ----------------------------------------------------------------------------


def batch(assistant: Assistant, rows: list[Row], answers: list[str]) -> tuple:
    """Tokenize an answer to each row. Returns inputs and targets, (B, T) each."""
    tokenizer = assistant.tokenizer
    examples = []
    for row, text in zip(rows, answers):
        prompt = assistant.prompt(row.turns)
        answer = tokenizer.encode(text) + [tokenizer.eos_id]
        examples.append((prompt + answer, [0] * len(prompt) + [1] * len(answer)))
    return collate(examples, tokenizer.eos_id)


def dpo(start, pairs, logps, dpo_step, loss_of, rate=2e-5, seed=0) -> tuple:
    """Tune a copy of `start` with DPO. logps(model, rows, answers) and dpo_step are the lesson's.

    Returns an Assistant and [(change of log p(chosen), change of log p(rejected)), ...]."""
    model, rng = copy.deepcopy(start.model), random.Random(seed)
    optimizer = adamw(model.parameters(), rate)
    history = []
    for _ in range(STEPS):
        rows, chosen, rejected = zip(*rng.choices(pairs, k=PAIRS))
        with torch.no_grad():
            before = logps(start.model, rows * 2, chosen + rejected)  # (2B,)

        def logps_of(model, rows=rows, answers=chosen + rejected):
            return logps(model, rows * 2, answers)

        history.append(dpo_step(model, optimizer, logps_of, before, loss_of))
    return Assistant(model.eval(), start.tokenizer, start.template), history


def sft(start, pairs, logps, rate=1e-4, seed=0) -> Assistant:
    """Tune a copy of `start` on as many answers, all of them chosen, with the loss of lesson 5."""
    model, rng = copy.deepcopy(start.model), random.Random(seed)
    optimizer = adamw(model.parameters(), rate)
    for _ in range(STEPS):
        rows, chosen, _ = zip(*rng.choices(pairs, k=2 * PAIRS))
        n_tokens = sum(len(start.tokenizer.encode(text)) + 1 for text in chosen)
        loss = -logps(model, rows, chosen).sum() / n_tokens
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return Assistant(model.eval(), start.tokenizer, start.template)


def dpo_all(start, pairs, logps, dpo_step, loss_of, rate) -> tuple[list, list]:
    """Tune with DPO once a seed. Returns the Assistants and their histories."""
    runs = []
    for seed in lab.SEEDS:
        runs.append(dpo(start, pairs[seed], logps, dpo_step, loss_of, rate, seed))
    return [assistant for assistant, _ in runs], [history for _, history in runs]


def sft_all(start, pairs, logps) -> list[Assistant]:
    """Tune with SFT once a seed."""
    return [sft(start, pairs[seed], logps, seed=seed) for seed in lab.SEEDS]


# ---- Measuring -----------------------------------------------------------------------------------


def replies_of(assistants: dict, cases: list) -> dict:
    """Let each arm's models, {arm: [a model a seed]}, write the test stories twice.

    Returns {arm: [[(row, reply), ...] a seed]}."""
    replies = {}
    for arm, models in assistants.items():
        replies[arm] = []
        for model in models:
            answers = []
            for draw in (0, 1):
                rows = story_rows(cases, 50 + draw)
                answers += zip(rows, write_stories(model, rows, 100 + draw))
            replies[arm].append(answers)
    return replies


def flags(test, replies: dict) -> dict:
    """Apply test(row, reply) to {arm: [[(row, reply), ...] a seed]}."""
    results = {}
    for arm, of_seeds in replies.items():
        results[arm] = [[test(row, text) for row, text in answers] for answers in of_seeds]
    return results


def other_answers(assistants: dict, rows: list[Row]) -> dict:
    """Ask questions that aren't about stories. Returns {arm: [[right? a row] a seed]}."""
    rows = lab.subset([row for row in rows if row.task != "story"], 120)
    results = {}
    for arm, models in assistants.items():
        known = {}  # the start is the same model for every seed
        for model in models:
            if id(model) not in known:
                known[id(model)] = lab.correct_flags(model, rows)
        results[arm] = [known[id(model)] for model in models]
    return results


def report(*tables: dict) -> dict:
    """Print and plot the shares of each arm in {arm: flags}, right, shortest, others."""
    shares = {}
    print(f"{'':<14} {NAMES[0]:<22} {NAMES[1]:<22} {NAMES[2]}")
    for arm in tables[0]:
        shares[arm] = [lab.bootstrap(table[arm]) for table in tables]
        print(f"{arm:<14}", *[f"{lab.show_share(share):<22}" for share in shares[arm]])
    plot_arms(shares, NAMES)
    return shares


def report_duel(replies: dict, new: str, old: str, prefer) -> None:
    """Print the outcome of a duel between two arms."""
    wins, ties, losses = duel(replies[new], replies[old], prefer)
    print(f"{new} against {old}: {wins} wins, {ties} ties, {losses} losses")


def report_winner(new: str, old: str, table: dict, subject: str) -> None:
    """Say which of two arms has the larger share, by the interval of the difference."""
    low, high = lab.difference(table[new], table[old])[1:]
    new, old = new.removeprefix("after "), old.removeprefix("after ")
    lab.finding(
        low, high,
        f"{new} wins against {old} at {subject}.",
        f"{old} wins against {new} at {subject}.",
        f"neither {new} nor {old} wins at {subject}.",
    )


def report_gains(right: dict, short: dict, others: dict) -> float:
    """Say what DPO changed. Returns the lower end of the difference in the preferred form."""
    low, high = lab.difference(short["after DPO"], short["tuned"])[1:]
    lab.finding(
        low, high,
        "after DPO the preferred form comes more often than before.",
        "after DPO the preferred form comes less often than before.",
        "no measurable change in how often the preferred form comes.",
    )
    lab.finding(
        *lab.difference(right["after DPO"], right["tuned"])[1:],
        "after DPO more stories are right.",
        "after DPO fewer stories are right.",
        "no measurable change in right stories.",
    )
    lab.finding(
        *lab.difference(others["after DPO"], others["tuned"])[1:],
        "DPO on stories helped with other questions.",
        "DPO on stories cost right answers to other questions.",
        "no measurable change in right answers to other questions.",
    )
    return low


def report_moves(histories: list) -> list[tuple]:
    """Say in how many seeds the rejected answers lost more, and the chosen ones lost too.

    Returns for each seed the changes of log p, of chosen and of rejected answers, in the last
    steps."""
    ends = []
    for history in histories:
        last = history[-N_LAST:]
        ends.append(tuple(sum(changes) / len(last) for changes in zip(*last)))
    gaps = sum(rejected < chosen for chosen, rejected in ends)
    losses = sum(chosen < 0 for chosen, _ in ends)
    print(f"Found: in {gaps} of {len(ends)} seeds a gap opened in favor of the chosen answers.")
    if losses:
        print(f"Found: in {losses} of {len(ends)} seeds even the chosen answers became less"
              " probable.")  # fmt: skip
    else:
        print("Found: the chosen answers did not become less probable in any seed.")
    return ends


def show_worst(answers: list, is_shortest, n: int = 10) -> None:
    """Print n stories, those first that the reader would not choose."""
    for row, text in sorted(answers, key=lambda answer: is_shortest(*answer))[:n]:
        kind = "right" if is_right(row, text) else "wrong"
        kind = "shortest" if is_shortest(row, text) else kind
        print(f"{kind:<9} {text}")


def measure_settings(assistants: dict, start: Assistant, cases: list, logps) -> dict:
    """Print the distance from the start and the share of right stories for each setting.

    Returns {setting: {"distance": nats, "right": flags}}."""
    right = flags(is_right, replies_of(assistants, cases))
    results = {}
    for name, models in assistants.items():
        distances = [distance(model, start, cases, logps) for model in models]
        results[name] = {"distance": sum(distances) / len(models), "right": right[name]}
        share = lab.show_share(lab.bootstrap(right[name]))
        print(f"{name:<18} distance {results[name]['distance']:5.2f}   right {share}")
    return results


def duel(new: list, old: list, prefer) -> tuple[int, int, int]:
    """Let the reader compare two arms' replies. Returns the new arm's (wins, ties, losses)."""
    counts = {"wins": 0, "ties": 0, "losses": 0}
    for new_answers, old_answers in zip(new, old):
        for (row, a), (_, b) in zip(new_answers, old_answers):
            preference = prefer(row, a, b)
            outcome = "wins" if preference and preference[0] == a else "losses"
            counts[outcome if preference else "ties"] += 1
    return tuple(counts.values())


@torch.inference_mode()
def distance(assistant: Assistant, start: Assistant, cases: list, logps) -> float:
    """Estimate the KL divergence from the start: the mean of log p - log p_ref, in nats an answer,
    over stories that the assistant writes."""
    rows = story_rows(cases, 7) * 2
    texts = write_stories(assistant, rows, 8)
    change = logps(assistant.model, rows, texts) - logps(start.model, rows, texts)
    return change.mean().item()


# ---- Pictures ------------------------------------------------------------------------------------


def plot_moves(histories: list) -> None:
    """Plot the change of log p of chosen and rejected answers at every step, a line a seed."""
    figure, ax = plt.subplots(figsize=(7, 3))
    for i, (name, color) in enumerate((("chosen", "tab:green"), ("rejected", "tab:red"))):
        for seed, history in enumerate(histories):
            label = f"{name} answers" if seed == 0 else None
            changes = [change[i] for change in history]
            ax.plot(changes, color=color, label=label, alpha=0.7)
    ax.axhline(0, color="black", linewidth=0.5)
    ax.set(xlabel="DPO step", ylabel="change of log p (nats)")
    ax.set_title("DPO opens a gap between chosen and rejected answers")
    ax.legend()
    plt.show()


def plot_arms(shares: dict, names: tuple) -> None:
    """Plot {arm: [(share, low, high), ...]} as bars with intervals, one group a name."""
    figure, ax = plt.subplots(figsize=(8, 3.2))
    width = 0.8 / len(shares)
    for i, (arm, intervals) in enumerate(shares.items()):
        means, lows, highs = zip(*intervals)
        below = [max(0, mean - low) for mean, low in zip(means, lows)]
        above = [max(0, high - mean) for mean, high in zip(means, highs)]
        at = [x + (i - (len(shares) - 1) / 2) * width for x in range(len(names))]
        ax.bar(at, means, 0.9 * width, yerr=(below, above), capsize=3, label=arm)
    best = max(shares, key=lambda arm: shares[arm][1][0])
    ax.set_xticks(range(len(names)), names)
    ax.set(ylim=(0, 1.05), ylabel="share (95% interval)")
    ax.set_title(f"Most often right and shortest: {best}")
    ax.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    plt.tight_layout()
    plt.show()
