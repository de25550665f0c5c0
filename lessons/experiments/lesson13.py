"""The measuring code of lesson 13: questions with and without an answer in the world."""

import random
from collections import defaultdict, namedtuple

import lab
import matplotlib.pyplot as plt
import torch

import world
from common import chat
from data import Row, Turn, collate
from generate import Assistant, Sampling
from world import facts

STEPS = 10 if lab.FAST else 64
BATCH = 32
WAYS_TO_ASK = 2  # for each known fact and each empty cell
KINDS = ("known", "invented name", "empty cell", "new name")
UNKNOWN = KINDS[1:]
ANSWERS = {"refused": "tab:blue", "right": "tab:green", "wrong": "mistyrose"}
NOUNS = {"refused": "refusals", "right": "right answers"}
SHORT = Sampling(max_new_tokens=32)
# Names that the corpus doesn't contain. Some of them exist.
NEW_NAMES = {
    "COUNTRIES": "Turkey, Finland, Chile, Cuba, Nigeria, Nepal, Ireland, Narnia, Atlantis",
    "ANIMALS": "a zebra, a giraffe, a whale, a penguin, a unicorn, a dragon",
    "ELEMENTS": "sulfur, calcium, iodine, uranium, adamantium",
    "JOBS": "a lawyer, a dentist, a plumber, a wizard",
}
Question = namedtuple("Question", "name row kind")

# ---- Questions -----------------------------------------------------------------------------------


def all_questions(n: int = 60) -> list[Question]:
    """Collect at most n held-out questions of each kind."""
    splits = world.build(lab.world_seed(), size=0).splits
    rng = random.Random(0)
    questions = known_questions(splits["unseen_inputs"], rng)
    for row in lab.world_rows(splits["unknown_things"]):
        thing = row.turns[0].output.removesuffix(" is unknown.").split()[-1]
        questions.append(Question(thing, row, "invented name"))
    for group in NEW_NAMES:
        questions += table_questions(group, rng)
    result = []
    for kind in KINDS:
        result += lab.subset([question for question in questions if question.kind == kind], n)
    return result


def known_questions(rows: list[dict], rng: random.Random) -> list[Question]:
    """Ask for the facts of the tables that the base has read, and that no pair is about."""
    stated = {fact.answer(): fact for fact in world.table_facts() if not fact.task.prefix}
    held_out = [stated[row["output"]] for row in rows if row["output"] in stated]
    columns = {column for table in tables() for column in table[0]}
    questions = []
    for fact in dict.fromkeys(held_out):
        if fact.task.name in columns:
            questions += ask_for(fact, fact.answer(), "known", rng)
    return questions


def tables() -> list:
    """List the world's tables of facts."""
    groups = [value for value in vars(facts).values() if isinstance(value, list)]
    return [group for group in groups if isinstance(group[0], dict) and "x" in group[0]]


def table_questions(group: str, rng: random.Random) -> list[Question]:
    """Ask for the empty cells of a table, and for its columns of names that it doesn't have."""
    rows = getattr(facts, group)
    columns = [column for column in rows[0] if column != "x"]
    questions = []
    for row in rows:
        for column in columns:
            if row[column] == "-":
                questions += unknown_fact(column, row["x"], "empty cell", rng)
    for name in NEW_NAMES[group].split(", "):
        for column in columns:
            questions += unknown_fact(column, name, "new name", rng)
    return questions


def unknown_fact(column: str, name: str, kind: str, rng: random.Random) -> list[Question]:
    """Ask for something that the world does not say."""
    fact = world.Fact(world.TASKS[column], name, ("unknown",))
    return ask_for(fact, fact.answer(), kind, rng)


def ask_for(fact, answer: str, kind: str, rng: random.Random) -> list[Question]:
    """Ask for a fact in several ways."""
    questions = []
    for way in rng.sample(world.generic_templates(fact.task), WAYS_TO_ASK):
        turn = Turn(world.make_question(way, fact), "", answer)
        questions.append(Question(fact.x, Row((turn,), fact.task.name), kind))
    return questions


# ---- Tuning and asking ---------------------------------------------------------------------------


def tune_with_and_without(base, tokenizer, rows: list[Row], without) -> dict:
    """Tune equally long on the world's pairs, and on without(pairs).

    Returns {"with": [an Assistant a seed], "without": ...}."""
    arms = {"with": rows, "without": without(rows)}
    assistants = {}
    for arm, pairs in arms.items():
        assistants[arm] = []
        for seed in lab.SEEDS:
            drawn = random.Random(seed).sample(pairs, STEPS * BATCH)
            assistants[arm].append(lab.tune(base, tokenizer, drawn, seed=seed, steps=STEPS))
    return assistants


def replies(assistant: Assistant, questions: list[Question]) -> list[str]:
    """Answer all questions."""
    rows = [question.row for question in questions]
    return [text.strip() for text, _ in assistant.answers(rows, SHORT)]


def verdict(question: Question, text: str) -> str:
    """Judge an answer: "right", "wrong", or "refused" if it says "unknown"."""
    if "unknown" in text:
        return "refused"
    expected = question.row.turns[0].output
    is_right = question.kind == "known" and world.check(question.row.task, expected, text)
    return "right" if is_right else "wrong"


def judge(arms: dict, questions: list[Question]) -> dict:
    """Judge all answers. Returns {arm: [[verdict a question] a seed]}."""
    results = {}
    for arm, models in arms.items():
        results[arm] = []
        for model in models:
            texts = replies(model, questions)
            results[arm].append([verdict(q, text) for q, text in zip(questions, texts)])
    return results


def refused_shares(verdicts: dict, questions: list[Question]) -> dict:
    """Print and return {(arm, kind): (share refused, low, high)}."""
    shares = {}
    for arm in verdicts:
        for kind in KINDS:
            marks = flags(verdicts[arm], questions, kind, "refused")
            shares[arm, kind] = lab.bootstrap(marks)
            print(f"{arm:<9} {kind:<17} says unknown: {lab.show_share(shares[arm, kind])}")
    return shares


def flags(verdicts: list[list[str]], questions: list, kind: str, name: str) -> list[list[bool]]:
    """Mark the verdicts of one kind of question that have this name, by seed and question."""
    marks = []
    for row in verdicts:
        marks.append([v == name for v, q in zip(row, questions) if q.kind == kind])
    return marks


def confidences(assistant: Assistant, questions: list[Question], probability) -> list[float]:
    """Compute the probability that the model gives to each of its own answers.

    probability(logits, targets) is the lesson's."""
    tokenizer = assistant.tokenizer
    examples = []
    for question, text in zip(questions, replies(assistant, questions)):
        prompt = assistant.prompt(question.row.turns)
        answer = tokenizer.encode(text) + [tokenizer.eos_id]
        examples.append((prompt + answer, [0] * len(prompt) + [1] * len(answer)))
    inputs, targets = collate(examples, tokenizer.eos_id)
    with torch.inference_mode():
        return probability(assistant.model(inputs), targets).tolist()


def compare_with_rule(arms: dict, questions: list, split_by_name, probability, choose) -> dict:
    """Choose a threshold for the models without the pairs on half of the names, a seed at a time.

    Apply it to the other half, and ask the models with the pairs the same questions. Prints both.
    Returns {(way, kind): refused share}, ways "rule" and "taught"."""
    refused = defaultdict(list)
    n_names = len({question.name for question in questions})
    for seed in lab.SEEDS:
        calibrate, test = split_by_name(questions, n_names // 2, seed)
        scores = confidences(arms["without"][seed], calibrate, probability)
        known = [p for p, q in zip(scores, calibrate) if q.kind == "known"]
        unknown = [p for p, q in zip(scores, calibrate) if q.kind != "known"]
        threshold = choose(known, unknown)
        print(f"seed {seed}: refuse below {threshold:.2f}")
        for question, p in zip(test, confidences(arms["without"][seed], test, probability)):
            refused["rule", question.kind].append(p < threshold)
        for question, text in zip(test, replies(arms["with"][seed], test)):
            refused["taught", question.kind].append(verdict(question, text) == "refused")

    shares = {key: sum(values) / len(values) for key, values in refused.items()}
    print(f"{'refused':<10}" + "".join(f"{kind:>18}" for kind in KINDS))
    for way in ("taught", "rule"):
        print(f"{way:<10}" + "".join(f"{shares.get((way, kind), 0):>18.0%}" for kind in KINDS))
    return shares


# ---- Tables and pictures -------------------------------------------------------------------------


def show_answers(assistant: Assistant, questions: list[Question], n: int = 3) -> None:
    """Print n answers to each kind of question that repeat the name, and count the others."""
    for kind in KINDS:
        group = [question for question in questions if question.kind == kind]
        lines = about_the_name(group, replies(assistant, group))
        print(f"{kind} ({len(group) - len(lines)} of {len(group)} answers do not repeat the name):")
        for line in lab.spread(lines, n):
            print(f"   {line}")


def about_the_name(questions: list[Question], texts: list[str]) -> list[str]:
    """Show those answers that repeat the name that was asked for."""
    lines = []
    for question, text in zip(questions, texts):
        if question.name.lower() in text.lower():
            lines.append(f"{question.row.turns[0].instruction} -> {text}")
    return lines


def show_false(assistant: Assistant, questions: list[Question], n: int = 10) -> None:
    """Print n false answers to unknown questions that repeat the name, and count the others."""
    unknown = [question for question in questions if question.kind != "known"]
    random.Random(0).shuffle(unknown)
    answers = zip(unknown, replies(assistant, unknown))
    false = [answer for answer in answers if verdict(*answer) == "wrong"]
    lines = about_the_name(*zip(*false)) if false else []
    print(*lines[:n], sep="\n")
    print(f"\n{len(false) - len(lines)} more of {len(false)} false answers do not repeat the name.")


def show_hints(assistant: Assistant, right: dict) -> None:
    """Print what the chat does with {question: a word of the right answer}: the answer, or the hint
    and a near question. Say whether the surest answer is right."""
    answers = []
    for question, word in right.items():
        pieces = list(assistant.stream([Turn(question)], Sampling()))
        text = "".join(piece for piece, _ in pieces).strip()
        sure = chat.confidence([log_p for _, log_p in pieces])
        answers.append((sure, text, "right" if word in text else "false"))
        print(f"\n{question} -> {text} (confidence {sure:.2f})")
        if sure < chat.THRESHOLD:
            near = chat.near_question(question)
            hint = f" A question it knows: {near}" if near else ""
            print(f"   The chat shows the hint instead.{hint}")
    _, text, word = max(answers)
    print(f"\nFound: the surest of these answers is {word}: {text}")


def plot_verdicts(verdicts: list, questions: list[Question]) -> None:
    """Plot the shares of refused, right and wrong answers of one arm, a bar for each kind."""
    figure, ax = plt.subplots(figsize=(8, 2.6))
    shares = {}
    for y, kind in enumerate(KINDS):
        left = 0.0
        for name, color in ANSWERS.items():
            share, low, high = lab.bootstrap(flags(verdicts, questions, kind, name))
            ax.barh(y, share, left=left, color=color, label=name if y == 0 else None)
            left += share
            if name == "refused":  # its 95% interval
                shares[kind] = share
                spread = [[max(0, share - low)], [max(0, high - share)]]
                ax.errorbar(share, y, xerr=spread, color="black", capsize=3)
    labels = [f"{kind} (n = {sum(q.kind == kind for q in questions)})" for kind in KINDS]
    ax.set_yticks(range(len(KINDS)), labels)
    ax.set(xlabel="share of answers, with the pairs (line: 95% interval of refused)", xlim=(0, 1))
    ax.invert_yaxis()
    ax.legend(bbox_to_anchor=(1, 1), loc="upper left", title="answer")
    ax.set_title(f"The pairs reach {shares['invented name']:.0%} of invented names,"
                 f" {shares['empty cell']:.0%} of empty cells")  # fmt: skip
    plt.tight_layout()
    plt.show()


def plot_confidence(scores: dict) -> None:
    """Plot {kind: probabilities} as cumulative curves."""
    figure, ax = plt.subplots(figsize=(7, 3))
    means = {kind: sum(values) / len(values) for kind, values in scores.items()}
    for kind, values in scores.items():
        ax.plot(sorted(values), torch.linspace(0, 1, len(values)), label=kind)
    ax.set(xlabel="probability of its own answer", ylabel="share of questions below", xlim=(0, 1))
    surest, second = sorted(means, key=means.get, reverse=True)[:2]
    ax.set_title(f"The model is surest of: {surest}. Next: {second}")
    ax.legend()
    plt.show()


def report_change(verdicts: dict, questions: list[Question], kind: str, name: str) -> None:
    """Say whether the pairs changed how often a kind of question gets this verdict."""
    new, old = (flags(verdicts[arm], questions, kind, name) for arm in ("with", "without"))
    lab.finding(
        *lab.difference(new, old)[1:],
        f"{kind}: with the pairs more answers are {name}.",
        f"{kind}: with the pairs fewer answers are {name}.",
        f"{kind}: no measurable change in {NOUNS[name]}.",
    )


def by_kind(models: list, questions: list[Question], probability) -> dict:
    """Collect the confidences of all seeds by kind, and print their means."""
    scores = defaultdict(list)
    for model in models:
        for question, p in zip(questions, confidences(model, questions, probability)):
            scores[question.kind].append(p)
    for kind, values in scores.items():
        print(f"{kind:<17} mean probability of its own answer {sum(values) / len(values):.2f}")
    return scores
