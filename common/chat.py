"""A conversation at the keyboard, with an honest hint where the model knows nothing.

A tuned model answers everything in fluent sentences, even about things it never read. But it is
less sure of those: the probabilities of the first tokens of its answer are low. Below THRESHOLD,
the chat shows a hint instead of the answer. `python bench/outside.py` measures the cost of that,
and prints the curve that THRESHOLD is read from."""

import contextlib
import functools
import math
import random
import re
from collections import Counter

import world
from common.cli import escape_control_chars
from common.table import LABELS
from data import Turn, render

with contextlib.suppress(ImportError):  # not on Windows, whose console edits lines by itself
    import readline  # noqa: F401  input() then has arrow keys and a history

N_FIRST = 7  # tokens of an answer that count; the value asked for is then reached, or near
THRESHOLD = 0.30

ABOUT = """It knows {} kinds of question about one small world, and nothing else. Ask in
whole sentences, one at a time ("And of Peru?" is beyond it). For instance:
  What is the capital of Peru?         What sound does a cow make?
  How do you say bread in Korean?      Write a story about a fox and a lake."""
HELP = """/tuned  ask the tuned model (it answers)  /base   ask the base, same template
/raw    give the base text to continue    /input TEXT  ask about this text
/guess  show the answer all the same      /new    forget the conversation
/help   this text                         /quit   leave (also: exit, Ctrl-D)"""
KINDS = "/kinds  one question of each kind that the model knows"
HINT = """(I don't know that, or not in these words. /help shows what you can ask,
/guess shows my answer all the same.)"""
NEAR = "(I do know this one. Press Enter to ask it: {})"
GREETING = """(The program says hello. The model knows no small talk.
/kinds shows what you can ask.)"""
SMALL_TALK = re.compile(  # the message, and a few letters more
    r"(hi|hello|hey|bonjour|hola|guten tag|안녕|thank|bye|goodbye|good (morning|evening|day)).{,8}"
    r"|(who are you|how are you|are you an? |what is your name|what's your name).{,8}"
)
CUT = "(That is too long for the model. It reads only the beginning.)"
MODES = {"/tuned": "tuned", "/base": "base_template", "/raw": "base_raw"}
SHARED = 0.05  # a question is near if it shares a word that few questions have

# ---- Questions of the built-in world -------------------------------------------------------------


def plain_question(fact) -> str:
    """Ask for a fact in the plainest way."""
    return world.make_question("What is {n}?" if fact.task.has_the else "Write {n}.", fact)


def list_kinds(tasks=tuple(world.TASKS)) -> str:
    """List one question of each task, by family."""
    examples = {}
    for fact in (*world.table_facts(), *world.text_facts(random.Random(0))):
        examples.setdefault(fact.task.name, fact)
    lines = []
    for family, names in world.FAMILIES.items():
        names = [name for name in names if name in tasks]
        lines += [f"{family}:"] * bool(names)
        for name in names:
            fact = examples[name]
            about = f"  /input {fact.text}" if fact.text else ""
            lines.append(f"  {plain_question(fact)}{about}")
    return "\n".join(lines)


def word_stems(text: str) -> set[str]:
    """'Cows make WHAT sound?' -> {'cow', 'make', 'what', 'sound'}"""
    return {word.rstrip("s") for word in re.findall(r"\w+", text.lower())}


@functools.cache
def known_questions(tasks: tuple[str, ...]) -> tuple[dict[str, set[str]], dict[str, float]]:
    """Collect {plain question: stems of all ways to ask it} and {stem: 1 / questions with it}."""
    questions = {}
    for fact in world.table_facts():
        if fact.task.name not in tasks:
            continue
        asked = [world.make_question(way, fact) for way, _ in world.question_templates(fact.task)]
        questions[plain_question(fact)] = word_stems(" ".join(asked))
    counts = Counter(stem for stems in questions.values() for stem in stems)
    return questions, {stem: 1 / count for stem, count in counts.items()}


def near_question(message: str, tasks=tuple(world.TASKS)) -> str | None:
    """Find the known question that shares the rarest words with a message."""
    questions, weights = known_questions(tasks)
    words = word_stems(message)
    shared = {
        question: sum(weights[stem] for stem in stems & words)
        for question, stems in questions.items()
    }
    best = max(shared, key=shared.get)
    return best if shared[best] >= SHARED else None


# ---- One question --------------------------------------------------------------------------------


def confidence(log_probabilities: list[float]) -> float:
    """Multiply the probabilities that a model gave to the first tokens of its own answer.

    Lesson 13 does it for the whole answer (Kadavath et al. 2022)."""
    return math.exp(sum(log_probabilities[:N_FIRST]))


def answer(assistant, turns, sampling, threshold: float) -> tuple[str, float]:
    """Print the answer to the last turn while it is generated. Returns the text and confidence.

    Nothing is printed if the confidence is below the threshold."""
    text, n_printed = "", 0
    log_probabilities = []
    for piece, log_p in assistant.stream(turns, sampling):
        text += piece
        log_probabilities.append(log_p)
        if len(log_probabilities) >= N_FIRST:
            if confidence(log_probabilities) < threshold:
                break
            print(escape_control_chars(text[n_printed:]), end="", flush=True)
            n_printed = len(text)
    sure = confidence(log_probabilities)
    if sure >= threshold:
        print(escape_control_chars(text[n_printed:]))
    return text, sure


def lower_capitals(message: str) -> str:
    """'WHAT IS IT?' -> 'what is it?'. Only what is all in capitals changes."""
    return message.lower() if message.isupper() else message


def is_too_long(assistant, turn: Turn) -> bool:
    """Does the model's context lose a part of this question?"""
    texts = [turn.instruction, turn.input]
    if assistant.template:
        texts = [text for text, _ in render([turn], assistant.template)]
    n_tokens = sum(len(assistant.tokenizer.encode(text)) for text in texts)
    return n_tokens > len(assistant.prompt([turn]))


def ask(assistant, turns: list, turn: Turn, sampling, threshold: float) -> Turn | None:
    """Ask one question. Returns it if it got the hint; else it joins `turns`. Ctrl-C stops it."""
    try:
        text, sure = answer(assistant, [*turns, turn], sampling, threshold)
    except KeyboardInterrupt:
        print(" ... stopped")
        return None
    if sure < threshold:
        print(HINT)
        return turn
    turns.append(turn._replace(output=text))
    return None


def chat(models: dict, sampling) -> None:
    """Read questions and commands until the user leaves.

    Earlier turns are part of the prompt as long as they fit. The built-in world's pairs are single
    questions, so a model tuned on those is asked each question alone."""
    trained_on = models["tuned"].trained_on or {}
    built_in = trained_on.get("data") == "world"
    tasks = world.QUICK_TASKS if trained_on.get("quick") else tuple(world.TASKS)
    about = f"{ABOUT.format(len(tasks))}\n\n{HELP}\n{KINDS}" if built_in else HELP
    mode, turns, input_text = "tuned", [], ""
    unsure = None  # the last question that got the hint
    near = None  # a question like it; an empty line asks it
    print(about)
    while True:
        try:
            line = input(f"{LABELS.get(mode, mode)}> ").strip() or near or ""
        except (EOFError, KeyboardInterrupt):
            print()
            return

        near = None
        command, _, rest = line.partition(" ")
        if line in ("exit", "quit", "/exit", "/quit"):
            return
        if line in MODES:
            mode, turns = MODES[line], []
        elif line == "/new":
            turns, input_text = [], ""
        elif command == "/input":
            input_text = rest.strip()
            print("Ask about it now; /input alone removes it." if rest else "Text removed.")
        elif line == "/guess" and unsure:
            unsure = ask(models[mode], turns, unsure, sampling, 0.0)
        elif line == "/kinds" and built_in:
            print(list_kinds(tasks))
        elif line.startswith("/"):
            print(about)
        elif built_in and mode == "tuned" and SMALL_TALK.fullmatch(line.lower()):
            print(GREETING)
        elif line:
            hints = built_in and mode == "tuned" and sampling.temperature == 0
            turns = [] if built_in else turns
            threshold = THRESHOLD if hints else 0.0
            turn = Turn(lower_capitals(line) if built_in else line, input_text)
            if is_too_long(models[mode], turn):
                print(CUT)
            unsure = ask(models[mode], turns, turn, sampling, threshold)
            near = near_question(line, tasks) if unsure else None
            if near:
                print(NEAR.format(near))
