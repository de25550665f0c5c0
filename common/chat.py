"""A conversation at the keyboard, with an honest hint where the model knows nothing.

A tuned model answers everything in fluent sentences, even about what it never read. But it is less
sure of those: the probabilities of the first tokens of its answer are low. Below THRESHOLD, the
chat shows a hint instead of the answer. `python bench/outside.py` measures the cost of that, and
prints the curve that THRESHOLD is read from."""

import contextlib
import math

from common.cli import escape_control_chars
from data import Turn

with contextlib.suppress(ImportError):  # not on Windows, whose console edits lines by itself
    import readline  # noqa: F401  input() then has arrow keys and a history

N_FIRST = 7  # tokens of an answer that count; the value asked for is then reached, or near
THRESHOLD = 0.30

ABOUT = """It knows 62 kinds of question about one small world, and nothing else. Ask in
whole sentences, one at a time ("And of Peru?" is beyond it). For instance:
  What is the capital of Peru?         What is the sound of a cow?
  How do you say bread in Korean?      Write a story about a fox and a lake."""
HELP = """/tuned  ask the tuned model (it answers)  /base   ask the base, same template
/raw    give the base text to continue    /input TEXT  ask about this text
/guess  show the answer all the same      /new    forget the conversation
/help   this text                         /quit   leave (also: exit, Ctrl-D)"""
HINT = """(I don't know that, or not in these words. /help shows what you can ask,
/guess shows my answer all the same.)"""
MODES = {"/tuned": "tuned", "/base": "base_template", "/raw": "base_raw"}


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
    built_in = (models["tuned"].trained_on or {}).get("data") == "world"
    about = f"{ABOUT}\n\n{HELP}" if built_in else HELP
    mode, turns, input_text = "tuned", [], ""
    unsure = None  # the last question that got the hint
    print(about)
    while True:
        try:
            line = input(f"{mode}> ").strip()
        except (EOFError, KeyboardInterrupt):
            print()
            return

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
        elif line.startswith("/"):
            print(about)
        elif line:
            hints = built_in and mode == "tuned" and sampling.temperature == 0
            turns = [] if built_in else turns
            threshold = THRESHOLD if hints else 0.0
            unsure = ask(models[mode], turns, Turn(line, input_text), sampling, threshold)
