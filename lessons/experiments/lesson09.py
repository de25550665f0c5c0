"""Measuring code of lesson 9: what the base has read, the curve of breadth, and what a model that
was tuned on one task still does."""

import random
import re
from dataclasses import replace

import lab
import matplotlib.pyplot as plt

import world
from common.checkpoint import build_model, load_checkpoint
from data import Row
from generate import Assistant, Sampling, generate

STATEMENT = re.compile(r"(?s)(here is [^:]+|.*?)(?: is |: |$)")
STYLES = {"same": "", "sure": "Sure! ", "short": "It is "}  # how an answer begins in each style
SCORES = ("right", "new style", "value", "completed")
PAIRS_A_TASK = 10  # ways to ask for each fact, in the pools
DRAWS, CURVE_STEPS = (2, 8) if lab.FAST else (5, 24)  # of the curve
N_PAIRS, STEPS = 200, 8 if lab.FAST else 30  # of narrow tuning
LR, LORA_LR = 8e-4, 3e-3  # the main job's
WIDTH = 21  # of a column


def load_tuned(template: str = "alpaca") -> Assistant:
    """Load the model that the main job tuned, as an Assistant."""
    path = lab.OUT / "tuned.pt"
    _, tokenizer = lab.load_base()
    model = build_model(load_checkpoint(path), path).eval()
    return Assistant(model.requires_grad_(True), tokenizer, template)


# --------------------------------------------------------------------------------------------------
# What the base has read


def questions_about(cases: list) -> set[str]:
    """Return all instructions, in lower case, that ask for these facts."""
    questions = set()
    for case in cases:
        for question, _ in world.question_templates(case.task):
            questions.add(world.make_question(question, case).lower())
    return questions


def show_reading(n: int) -> int:
    """Write n documents of each kind and print how many state or ask for facts of held-out tasks.
    Returns the number of documents that ask for them."""
    # the facts of the base's world
    rng = random.Random(lab.world_seed())
    seen, unseen, groups = world.split_facts(rng)
    values = world.values_to_invent(seen, world.HELD_OUT)
    writer = world.PageWriter(rng, groups, world.HELD_OUT, list(world.TASKS), values)
    facts = {name: seen[name] + unseen[name] for name in world.TASKS}

    # the sentences that state or ask for them
    held_out = [case for name in world.HELD_OUT for case in facts[name]]
    others = [case for name in facts if name not in world.HELD_OUT for case in facts[name]]
    statements = {(case.task.prefix + case.noun).lower() for case in held_out}
    asked, others_asked = questions_about(held_out), questions_about(others)

    print(f"of {n:<4} documents   state a held-out fact   ask for one   ask for others")
    total = 0
    for kind, percent in world.PAGES.items():
        counts = [0, 0, 0]
        for _ in range(n):
            sentences = {*re.split(r"(?<=[.?!;])\s+|\n", writer.write_page(kind).lower())}
            begins = {STATEMENT.match(sentence)[1] for sentence in sentences}
            for i, common in enumerate((begins & statements, sentences & asked,
                                        sentences & others_asked)):
                counts[i] += bool(common)
        print(f"{kind:<10} ({percent:>2}%) {counts[0]:>21}{counts[1]:>14}{counts[2]:>17}")
        total += counts[1]
    return total


# --------------------------------------------------------------------------------------------------
# The curve of breadth


def make_pools() -> dict[str, list[Row]]:
    """Return {task: all its pairs}, for every task that may be tuned on."""
    seen, _, _ = world.split_facts(random.Random(lab.world_seed()))
    pools = {}
    for name in world.TASKS:
        if name not in world.HELD_OUT:
            ways = world.question_templates(world.TASKS[name])[:PAIRS_A_TASK]
            pairs = [world.fact_pair(case, *way) for case in seen[name] for way in ways]
            pools[name] = lab.world_rows(pairs)
    return pools


def tune(base, tokenizer, rows: list[Row], seed: int) -> Assistant:
    return lab.tune(base, tokenizer, rows, seed, steps=CURVE_STEPS, batch=16)


def run_curve(base, tokenizer, pools: dict, kinds: tuple, held: list, breadth, mixture) -> dict:
    """Tune with every number of task types, a few times, and ask the held-out questions.

    breadth and mixture are the lesson's. Returns {number of task types: flags of every draw}."""

    def tune_on(rows, seed):
        return tune(base, tokenizer, rows, seed)

    def ask(assistant):
        return lab.correct_flags(assistant, held)

    curve = {k: [] for k in kinds}
    for draw in range(DRAWS):
        for k, flags in breadth(pools, kinds, 48, draw, mixture, tune_on, ask).items():
            curve[k].append(flags)
    return curve


def shares(table: list) -> list[float]:
    """Return the share of True in each row of a table."""
    return [sum(row) / len(row) for row in table]


def show_curve(curve: dict, untuned: float) -> None:
    """Print and draw {number of task types: flags of every draw}."""
    points = {k: lab.bootstrap(table) for k, table in curve.items()}
    print(f"unseen tasks answered right, before tuning: {untuned:.0%}")
    for k, (mean, low, high) in points.items():
        each = " ".join(f"{share:.0%}" for share in shares(curve[k]))
        print(f"{k:>3} types: {mean:4.0%} ({low:.0%} to {high:.0%})   each draw: {each}")

    figure, ax = plt.subplots(figsize=(7, 3.6))
    mean, low, high = zip(*points.values())
    x = range(len(points))
    gaps = [[m - a for m, a in zip(mean, low)], [b - m for m, b in zip(mean, high)]]
    ax.errorbar(x, mean, gaps, color="C0", capsize=3)
    for i, table in zip(x, curve.values()):
        ax.plot([i] * len(table), shares(table), "o", color="C0", markersize=4, alpha=0.5)
    ax.axhline(untuned, color="gray", linestyle=":", label="base with the template")
    ax.set(xticks=x, xticklabels=points, ylim=(-0.03, 1.03))
    ax.set(xlabel="task types among the 48 pairs", ylabel="unseen tasks answered right")
    first, last = mean[0], mean[-1]
    ax.set_title(f"Same pairs and steps: {first:.0%} with one type, {last:.0%} with all")
    ax.legend(loc="upper left")
    plt.tight_layout()
    plt.show()


def curve_findings(curve: dict) -> None:
    """Say whether breadth helps, and how far the draws are apart."""
    most = max(curve)
    lab.finding(
        *lab.difference(curve[most], curve[1])[1:],
        rose="at equal pairs and steps, all types answer more unseen tasks than one type.",
        fell="at equal pairs and steps, all types answer fewer unseen tasks than one type.",
        unclear="these draws cannot tell all types from one.",
    )
    ranges = [100 * (max(shares(table)) - min(shares(table))) for table in curve.values()]
    points = ", ".join(f"{points:.0f} ({k} types)" for k, points in zip(curve, ranges))
    print(f"Found: points between the worst and the best draw: {points}.")


def show_errors(assistant: Assistant, rows: list[Row], n: int = 10) -> None:
    """Print the first n wrong replies, with the right answers."""
    replies = assistant.answers(rows, Sampling())
    wrong = []
    for row, (text, stopped), good in zip(rows, replies, lab.right_flags(rows, replies)):
        if not good:
            wrong.append((row, text.strip() + ("" if stopped else " ...")))
    for row, text in wrong[:n]:
        print(f"asked    {row.turns[0].instruction}  {row.turns[0].input}".rstrip())
        print(f"reply    {text}\nright    {row.turns[0].output}\n")
    print(f"{len(wrong)} of {len(rows)} replies are wrong.")


# --------------------------------------------------------------------------------------------------
# Narrow tuning


def is_translation(row: Row) -> bool:
    return row.task in world.TASKS and world.TASKS[row.task].kind == "translation"


def restyle(row: Row, style: str) -> Row:
    """Rewrite a row's answer in a style: 'The Korean word for moon is 달.' -> 'It is 달.'"""
    text = lab.statement_of(row)[1] if style == "short" else row.turns[0].output
    return Row((row.turns[0]._replace(output=STYLES[style] + text),), row.task)


def old_questions(splits: dict) -> tuple[list[Row], list[Row]]:
    """Return held-out questions of other tasks, with one right answer, and translations."""
    both = splits["unseen_inputs"] + splits["unseen_tasks"]
    old = [row for row in both if not is_translation(row) and row.task not in lab.OPEN_TASKS]
    translations = splits["unseen_inputs"] + splits["unseen_phrasings"]
    return lab.subset(old, 100), [row for row in translations if is_translation(row)]


def value_of(row: Row) -> str:
    """'The capital of France is Paris.' -> 'Paris'"""
    return lab.statement_of(row)[1].rstrip(".!;")


def run_arms(tuned, arms, translations, others, splits, replay, reply_scores) -> dict:
    """Tune copies of a tuned model on translations and measure them.

    arms: {name: (style, share of old pairs, rank of an adapter or 0)}. Returns {name: scores of
    every seed}. "before" is the tuned model, and "LoRA off" a model whose adapter is switched off.
    """
    old, new = old_questions(splits)
    results = {"before": [measure(tuned, old, new, "same", reply_scores)]}
    off = []
    for arm, (style, share, rank) in arms.items():
        pairs = [restyle(row, style) for row in translations]
        lr = LORA_LR if rank else LR
        results[arm] = []
        for seed in lab.SEEDS:
            mix = replay(pairs, others, N_PAIRS, share, random.Random(seed))
            assistant = lab.tune(
                tuned.model, tuned.tokenizer, mix, seed, STEPS, lr, batch=16, lora=rank
            )
            results[arm].append(measure(assistant, old, new, style, reply_scores))
            if rank:
                without = replace(assistant, lora=False)
                off.append(measure(without, old, new, "same", reply_scores))
    return results | {"LoRA off": off}


def measure(assistant, old: list[Row], translations: list[Row], style: str, reply_scores) -> dict:
    """Ask the old questions. Returns {score: a bool for each question, "replies": texts}.

    reply_scores(row, text, stopped, value, opening) returns the first three scores of a reply."""
    # three scores of each reply
    scores = {name: [] for name in (*SCORES, "replies")}
    for row, (text, stopped) in zip(old, assistant.answers(old, Sampling())):
        scores["replies"].append(text.strip() + ("" if stopped else " ..."))
        each = reply_scores(row, text, stopped, value_of(row), STYLES[style])
        for name, flag in each.items():
            scores[name].append(flag)

    # let the model complete the beginning of each right statement
    tokenizer = assistant.tokenizer
    prompts = []
    for row in old:
        beginning = tokenizer.encode(lab.statement_of(row)[0])
        prompts.append(assistant.prompt(row.turns[:1]) + beginning)
    sampling = Sampling(max_new_tokens=24)
    completed = generate(assistant.model, prompts, tokenizer.eos_id, sampling)
    for row, (ids, _) in zip(old, completed):
        scores["completed"].append(tokenizer.decode(ids).strip().startswith(value_of(row)))

    # the new task
    new = [restyle(row, style) for row in translations]
    return scores | {"translation": lab.correct_flags(assistant, new)}


def show_scores(results: dict) -> dict:
    """Print and draw {arm: scores of every seed}. Returns {(arm, score): (mean, low, high)}."""
    names = (*SCORES, "translation")
    print(f"{'':<16}" + "".join(f"{name:>{WIDTH}}" for name in names))
    table = {}
    for arm, runs in results.items():
        line = f"{arm:<16}"
        for name in names:
            table[arm, name] = lab.bootstrap([run[name] for run in runs])
            line += "{:.0%} ({:.0%} to {:.0%})".format(*table[arm, name]).rjust(WIDTH)
        print(line)

    figure, ax = plt.subplots(figsize=(9, 3.6))
    for j, name in enumerate(SCORES):
        mean, low, high = zip(*(table[arm, name] for arm in results))
        gaps = [[m - a for m, a in zip(mean, low)], [b - m for m, b in zip(mean, high)]]
        at = [i + 0.2 * (j - 1.5) for i in range(len(results))]
        ax.bar(at, mean, 0.18, yerr=gaps, capsize=2, label=name)
    ax.set(xticks=range(len(results)), ylim=(0, 1.05), ylabel="fraction of old questions")
    ax.set_xticklabels(results, fontsize=9)
    changes = [f"{name} {table['before', name][0]:.0%} → {table['sure', name][0]:.0%}"
               for name in ("right", "completed")]
    ax.set_title(f'Old questions after "Sure!" translations: {", ".join(changes)}')
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncol=4)
    plt.tight_layout()
    plt.show()
    return table


def show_replies(results: dict, splits: dict, arms: tuple = ("sure", "short"), n: int = 5) -> None:
    """Print n old questions, with what the first model of each arm replied."""
    old, _ = old_questions(splits)
    for i in lab.spread(range(len(old)), n):
        print(f"asked  {old[i].turns[0].instruction}  {old[i].turns[0].input}".rstrip())
        for arm in arms:
            print(f"{arm:<6} {results[arm][0]['replies'][i]}")
        print()


def narrow_findings(results: dict) -> None:
    """Say what narrow tuning changed, and whether the remedies helped."""

    def interval(first, second, name):
        theirs = results[second] * (len(results[first]) if second == "before" else 1)
        tables = [[run[name] for run in runs] for runs in (results[first], theirs)]
        return lab.difference(*tables)[1:]

    lab.finding(
        *interval("sure", "before", "completed"),
        rose='after "Sure!" more statements are completed than before.',
        fell='after "Sure!" fewer statements are completed: some knowledge is out of reach, too.',
        unclear='after "Sure!" as many statements are completed: form changed, not knowledge.',
    )
    lab.finding(
        *interval("short", "sure", "value"),
        rose='short answers keep more values than "Sure!".',
        fell='short answers cost more values than "Sure!".',
        unclear='short answers and "Sure!" keep about as many values.',
    )
    lab.finding(
        *interval("sure, replay", "sure", "right"),
        rose="a quarter of old pairs brings right answers back.",
        fell="a quarter of old pairs costs right answers.",
        unclear="a quarter of old pairs makes no difference that this run can show.",
    )
    lab.finding(
        *interval("sure, LoRA", "sure", "translation"),
        rose="LoRA learns the new task better than full tuning in as many steps.",
        fell="LoRA learns the new task less well than full tuning in as many steps.",
        unclear="LoRA learns the new task about as well as full tuning.",
    )
    lab.finding(
        *interval("sure, LoRA", "sure", "value"),
        rose="LoRA keeps more values of old questions than full tuning.",
        fell="LoRA keeps fewer values of old questions than full tuning: by itself no remedy.",
        unclear="this run cannot tell whether LoRA keeps more values of old questions.",
    )
    before = results["before"][0]["right"]
    same = all(run["right"] == before for run in results["LoRA off"])
    print(f"Found: with the adapter off, {'all' if same else 'NOT all'} old answers are back.")
