"""Chat: what it adds is a conversation at the keyboard, and an honest hint where the model knows nothing.

You can skip this: `Assistant.stream` in generate.py is all that a conversation needs.

A tuned model answers everything in fluent sentences, also what it never read about. But it is less sure of them: the
product of the probabilities that it gave to the first tokens of its answer is small. Below SURE the chat shows a hint
instead of the answer. `python bench/outside.py` measures what that costs, and prints the curve that SURE is read from.
"""

import contextlib
import math

from data import Turn
from common.cli import visible
from generate import sample_next

with contextlib.suppress(ImportError):  # not on Windows, whose console edits lines by itself
    import readline  # noqa: F401  input() then has arrow keys and a history

FIRST = 7  # tokens of an answer; those of the built-in world are then at the value that was asked for, or near
SURE = 0.30

ABOUT = """It knows 62 kinds of question about one small world, and nothing else. Ask in
whole sentences; each stands alone ("And of Peru?" is beyond it). For instance:
  What is the capital of Peru?         What is the sound of a cow?
  How do you say bread in Korean?      Write a story about a fox and a lake."""
HELP = """/tuned  ask the tuned model (it answers)  /base   ask the base, same template
/raw    give the base text to continue    /input TEXT  ask about this text
/guess  what it would have said           /new    forget the conversation
/help   this text                         /quit   leave (also: exit, Ctrl-D)"""
HINT = """(I do not know that, or not in these words: {sure:.0%} sure of how my answer
begins. /help shows what can be asked, /guess shows the answer all the same.)"""
MODES = {"/tuned": "tuned", "/base": "base_template", "/raw": "base_raw"}


def sureness(log_probabilities):
    """The log-probabilities that a model gave to the tokens of its own answer -> the product of the first
    probabilities, from 0 to 1 (the whole answer's in lesson 13; Kadavath et al. 2022)."""
    return math.exp(sum(log_probabilities[:FIRST]))


def answer(assistant, turns, sampling, least):
    """Print the answer to the last turn while it is made -> (the text, how sure). Nothing is printed where its first
    tokens are less sure than `least`."""
    text, shown, log_probabilities = "", 0, []

    def choose(logits, sampling, generator):
        chosen = sample_next(logits, sampling, generator)  # (1,)
        log_probabilities.append(logits.log_softmax(-1)[0, chosen.item()].item())
        return chosen

    for piece in assistant.stream(turns, sampling, choose=choose):
        text += piece
        if len(log_probabilities) >= FIRST:
            if sureness(log_probabilities) < least:
                break
            print(visible(text[shown:]), end="", flush=True)
            shown = len(text)
    if sureness(log_probabilities) >= least:
        print(visible(text[shown:]))
    return text, sureness(log_probabilities)


def ask(assistant, turns, turn, sampling, least):
    """One question. An answered one joins `turns`; one that got the hint is returned. Ctrl-C ends the answer."""
    try:
        text, sure = answer(assistant, [*turns, turn], sampling, least)
    except KeyboardInterrupt:
        print(" ... stopped")
        return None
    if sure < least:
        print(HINT.format(sure=sure))
        return turn
    turns.append(turn._replace(output=text))
    return None


def chat(models, sampling):
    """A conversation. The last turns are part of the prompt as long as they fit.

    The built-in world's pairs are single questions, and SURE was measured on single questions. A model tuned on those
    is asked each question alone: with turns before it, it takes its answers from them."""
    built_in = (models["tuned"].trained_on or {}).get("data") == "world"
    about = f"{ABOUT}\n\n{HELP}" if built_in else HELP
    mode, turns, text, unsure = "tuned", [], "", None
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
            turns, text = [], ""
        elif command == "/input":
            text = rest.strip()
            print("Ask about it now; /input alone takes it away." if text else "No text.")
        elif line == "/guess" and unsure:
            unsure = ask(models[mode], turns, unsure, sampling, 0.0)
        elif line.startswith("/"):
            print(about)
        elif line:
            hints = built_in and mode == "tuned" and sampling.temperature == 0
            turns = [] if built_in else turns
            unsure = ask(models[mode], turns, Turn(line, text), sampling, SURE if hints else 0.0)
