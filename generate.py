"""Sampling, and everything one does with a trained model: ask it, compare it with its base, score it, chat with it.

What it is: decoding with a key/value cache, in batches of prompts of any length, and the three columns (base with the
raw prompt, base with the template, tuned) that show what instruction tuning did.
What it is not: it trains nothing.

    python generate.py "What is the capital of France?"     base and tuned side by side
    python generate.py                                      chat (/help tells the commands)
    python generate.py --eval                               the held-out table of out/tuned.pt
    python generate.py --save answers.json                  answers as JSON, for a judge
    python generate.py --judge A.pt B.pt --data rows.jsonl  two models blind, side by side: which answer is better?
    python generate.py --export folder                      a model of GPT-2's shape for the transformers library
"""

import argparse
import codecs
import json
import math
import random
import re
import shutil
import subprocess
import sys
import textwrap
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import torch

import world
from data import TEMPLATES, Row, Tokenizer, encode_prompt, load_rows
from model import KVCache, UserError, build_model, export_gpt2, load_adapter, load_checkpoint, merge_lora

# ----------------------------------------------------------------------------------------------------------------
# Sampling.


@dataclass
class Sampling:
    temperature: float = 0.0  # 0 takes the likeliest token; 1 samples as the model believes
    top_k: int = 0  # sample among the k likeliest; 0 for all
    top_p: float = 1.0  # sample among the likeliest that together have this probability
    max_new: int = 48  # tokens of an answer at most
    seed: int = 0


def pick(logits, how, generator):
    """Logits (B, V) -> next ids (B,)."""
    if how.temperature == 0:
        return logits.argmax(-1)
    logits, order = (logits / how.temperature).sort(-1, descending=True)  # (B, V) each
    probabilities = logits.softmax(-1)
    if how.top_k:
        probabilities[:, how.top_k :] = 0
    before = probabilities.cumsum(-1) - probabilities  # what the likelier tokens have together
    probabilities[before > how.top_p] = 0
    chosen = torch.multinomial(probabilities, 1, generator=generator)  # (B, 1)
    return order.gather(-1, chosen)[:, 0]


@torch.inference_mode()
def decode_steps(model, prompts, end, how):
    """Yields the next id of every prompt, (B,), again and again, until all have ended or the context is full.

    Prompts are lists of ids. They are padded on the left, so that all go on at the same place; the padding is hidden
    by the mask, and positions start at each prompt's first token."""
    model.eval()
    B, longest, limit = len(prompts), max(map(len, prompts)), model.config.block_size
    assert 0 < longest <= limit, f"a prompt of {longest} tokens does not fit in {limit}"
    device = model.device()
    ids = torch.full((B, longest), end)
    for row, prompt in zip(ids, prompts):
        row[longest - len(prompt) :] = torch.tensor(prompt)
    ids, size = ids.to(device), min(limit, longest + how.max_new)
    padding = torch.tensor([[longest - len(prompt)] for prompt in prompts], device=device)  # (B, 1)
    at = torch.arange(size, device=device)
    positions = (at - padding).clamp(min=0)  # (B, size)
    mask = (at >= padding)[:, None] & model.causal[:size, :size]  # (B, size, size): not padding, nothing later
    mask |= torch.eye(size, dtype=torch.bool, device=device)  # padding sees itself: a row of nothing would be NaN
    cache = KVCache(model, B, size)
    generator = torch.Generator(device).manual_seed(how.seed)
    done = torch.zeros(B, dtype=torch.bool, device=device)
    start, stop = 0, longest  # the places that the model reads next
    while True:
        hidden = model(ids, positions[:, start:stop], mask[:, None, start:stop, :stop], cache)  # (B, T, C)
        chosen = pick(model.logits(hidden[:, -1]), how, generator)  # (B,)
        done |= chosen == end
        yield chosen
        if stop == size or done.all():
            return
        ids = chosen[:, None]  # (B, 1)
        start, stop = stop, stop + 1


def generate(model, prompts, end, how):
    """-> for every prompt (ids of the answer without the end token, whether it stopped by itself)"""
    steps = []
    for chosen in decode_steps(model, prompts, end, how):
        steps.append(chosen)
        if len(steps) == how.max_new:
            break
    answers = []
    for ids in torch.stack(steps, 1).tolist():
        answers.append((ids[: ids.index(end)], True) if end in ids else (ids, False))
    return answers


# ----------------------------------------------------------------------------------------------------------------
# A model that can be asked.


@dataclass
class Bot:
    """A model with its tokenizer and template. `template` None: it is given raw text, to continue."""

    model: object
    tokenizer: Tokenizer
    template: str | None
    trained_on: dict | None = None  # what its checkpoint says of that

    def prompt(self, instruction, input="", history=(), system=""):
        """-> ids. What does not fit loses the oldest turns first, then the end of the input, then of the question."""
        limit = self.model.config.block_size - 16  # leave some room for an answer
        if self.template is None:
            ids = self.tokenizer.encode(" ".join(filter(None, (system, instruction, input))))
            return [self.tokenizer.end] + ids[-limit:]  # a passage begins after an end token
        past = []
        for i, (question, context, answer) in enumerate(history):
            head, body, tail = encode_prompt(self.tokenizer, self.template, question, context, i == 0)
            past.append(head + body + tail + self.tokenizer.encode(answer) + [self.tokenizer.end])
        head, body, tail = encode_prompt(self.tokenizer, self.template, instruction, input, not history, system)
        if past and sum(map(len, past)) + len(head + body + tail) > limit:
            return self.prompt(instruction, input, history[1:])
        body = body[: max(0, limit - len(head) - len(tail))]
        head = head[: limit - len(tail)]
        return sum(past, []) + head + body + tail

    def answers(self, rows, how, batch_size=64):
        """Rows -> [(text, stopped by itself)]. Prompts of like length go together."""
        prompts = [self.prompt(*row.turns[0][:2], system=row.system) for row in rows]
        order = sorted(range(len(rows)), key=lambda i: len(prompts[i]))
        out = [None] * len(rows)
        for start in range(0, len(order), batch_size):
            some = order[start : start + batch_size]
            found = generate(self.model, [prompts[i] for i in some], self.tokenizer.end, how)
            for i, (ids, stopped) in zip(some, found):
                out[i] = (self.tokenizer.decode(ids), stopped)
        return out

    def stream(self, instruction, how, input="", history=()):
        """Yields the answer in pieces of text, never half a character."""
        whole = codecs.getincrementaldecoder("utf-8")(errors="replace")
        for n, chosen in enumerate(
            decode_steps(self.model, [self.prompt(instruction, input, history)], self.tokenizer.end, how)
        ):
            if chosen.item() == self.tokenizer.end or n == how.max_new:
                break
            yield whole.decode(self.tokenizer.token_bytes(chosen.item()))
        yield whole.decode(b"", final=True)


def load_bot(path, device="cpu"):
    """A checkpoint's path -> Bot with the template that it was tuned with. An adapter finds its base beside it."""
    checkpoint = load_checkpoint(path)
    if "adapter" in checkpoint:
        base = Path(path).parent / checkpoint["base"]
        below = load_checkpoint(base)
        model = build_model(below, base)
        load_adapter(model, checkpoint, path)
    else:
        model = build_model(checkpoint, path)
    template = checkpoint.get("template")
    if template is not None and template not in TEMPLATES:
        raise UserError(f"{path}: its template {template!r} is unknown here. Known: {', '.join(TEMPLATES)}.")
    return Bot(
        model.to(device), Tokenizer.from_state(checkpoint["tokenizer"]), template, checkpoint.get("trained_on", {})
    )


# ----------------------------------------------------------------------------------------------------------------
# Did it work? Held-out questions, exact checkers, intervals.


def wilson(correct, n):
    """95 % interval of a share (Wilson 1927) -> (low, high)"""
    z, p = 1.96, correct / n
    middle, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, (middle - spread) / (1 + z * z / n)), min(1.0, (middle + spread) / (1 + z * z / n))


def score(bot, rows, how):
    """Rows of a held-out split -> what was right, what stopped, what went on with another sentence, by task too."""
    tasks, right, stopped, continued = {}, 0, 0, 0
    for row, (text, ended) in zip(rows, bot.answers(rows, how)):
        good = world.check(row.task, row.turns[0][2], text)
        task = tasks.setdefault(row.task, {"n": 0, "correct": 0})
        task["n"] += 1
        task["correct"] += good
        right += good
        stopped += ended
        continued += not good and any(mark in text for mark in ".?!")
    interval = [round(x, 4) for x in wilson(right, len(rows))]
    return {
        "n": len(rows),
        "correct": right,
        "interval": interval,
        "stopped": stopped,
        "continued": continued,
        "tasks": tasks,
    }


def score_columns(columns, splits, how):
    """{column: Bot}, {split: rows} -> {split: {"n", column: score}}"""
    return {
        split: {"n": len(rows)} | {name: score(bot, rows, how) for name, bot in columns.items()}
        for split, rows in splits.items()
    }


def print_table(scores):
    """Held-out splits down, models across: share answered right with its interval, and share that stopped."""
    columns = [name for name in next(iter(scores.values())) if name != "n"]
    print("  " + f"{'held-out questions':<22}{'n':>4}" + "".join(f"{name.replace('_', ' '):>17}" for name in columns))
    for split, found in scores.items():
        n = found["n"]
        shares = "".join(f"{found[c]['correct'] / n:>16.1%} " for c in columns)
        ranges = "".join(f"{'{:.0%} to {:.0%}'.format(*found[c]['interval']):>17}" for c in columns)
        stops = "".join(f"{found[c]['stopped'] / n:>16.0%} " for c in columns)
        goes = "".join(f"{found[c]['continued'] / n:>16.0%} " for c in columns)
        print(f"  {split.replace('_', ' '):<22}{n:>4}{shares}")
        print(f"  {'  95 % interval':<26}{ranges}")
        print(f"  {'  stopped by itself':<26}{stops}")
        print(f"  {'  went on, no answer':<26}{goes}")


def letter_width(letter):
    """Columns that a letter takes on a terminal: a Korean one, say, takes two."""
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def wrapped(text, width):
    """Text -> lines of at most `width` columns, each with the columns that it takes."""
    lines = [""]
    for word in re.findall(r"\n|\S+", text):
        taken = sum(map(letter_width, lines[-1] + " " + word))
        if word == "\n" or (lines[-1] and taken > width):
            lines.append("")
        if word != "\n":
            lines[-1] += (" " if lines[-1] else "") + word
    return [(line[:width], sum(map(letter_width, line[:width]))) for line in lines]


def side_by_side(columns, row, how):
    """Print one question and what every Bot says to it, in columns that fit the terminal."""
    instruction, context, _ = row.turns[0]
    total = min(shutil.get_terminal_size((100, 24)).columns, 140)
    width = (total - 2 - 3 * (len(columns) - 1)) // len(columns)
    print("\n" + textwrap.fill(f"> {instruction}" + (f" [{context}]" if context else ""), total))
    cells = [[(name.replace("_", " "), len(name))] for name in columns]
    for cell, bot in zip(cells, columns.values()):
        text, stopped = bot.answers([row], how)[0]
        cell += wrapped(text.strip() + ("" if stopped else " ..."), width)
    for i in range(max(map(len, cells))):
        parts = [cell[i] if i < len(cell) else ("", 0) for cell in cells]
        print("  " + " | ".join(text + " " * (width - used) for text, used in parts).rstrip())


# ----------------------------------------------------------------------------------------------------------------
# Chat and command line.

HELP = """/tuned  ask the tuned model (it answers)         /base  ask the base model with the template
/raw    give the base your text to continue      /new   forget the conversation
/help   this text                                /quit  leave"""


def chat(columns, how):
    """A conversation. The last turns are part of the prompt as long as they fit."""
    mode, history = "tuned", []
    print(HELP)
    while True:
        try:
            line = input(f"{mode}> ").strip()
        except (EOFError, KeyboardInterrupt):
            print()
            return
        names = {"/tuned": "tuned", "/base": "base_template", "/raw": "base_raw"}
        if line == "/quit":
            return
        if line in names:
            mode, history = names[line], []
        elif line == "/new":
            history = []
        elif line.startswith("/"):
            print(HELP)
        elif line:
            pieces = []
            for piece in columns[mode].stream(line, how, history=history):
                pieces.append(piece)
                print(piece, end="", flush=True)
            print()
            history.append((line, "", "".join(pieces)))


def three_columns(base, tuned):
    """Two Bots -> the three columns. The middle one is the control: the template alone does not make an assistant."""
    return {
        "base_raw": Bot(base.model, base.tokenizer, None),
        "base_template": Bot(base.model, base.tokenizer, tuned.template),
        "tuned": tuned,
    }


def world_rows(rows):
    """Rows of the built-in world -> the same as the loader gives for a file."""
    return [Row(((row["instruction"], row["input"], row["output"]),), row["task"]) for row in rows]


def flags():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("question", nargs="?", help="ask this of the base and of the tuned model; without it: chat")
    add("--input", default="", help="the text that the question is about (the ### Input: part)")
    add("--tuned", default="out/tuned.pt", help="a tuned checkpoint or an adapter")
    add("--base", default="out/base.pt", help="the base checkpoint to compare it with")
    add("--eval", action="store_true", help="print the held-out table of --tuned")
    add("--data", help="with --eval or --save: ask the prompts of this file (JSON Lines) instead")
    add("--save", metavar="FILE", help="write the tuned model's answers as JSON, for a person or a model to judge")
    add(
        "--template-at-inference", help="ask with another template than the one tuned with, to see what a mismatch does"
    )
    add("--judge", nargs=2, metavar=("A", "B"), help="compare two checkpoints blind on --data")
    add("--judge-command", metavar="CMD", help="a program that judges: reads a pair as JSON, prints 1, 2 or tie")
    add(
        "--verdicts", default="verdicts.jsonl", help="with --judge: where verdicts are kept; the next run goes on there"
    )
    add(
        "--export", metavar="FOLDER", help="write --tuned, of GPT-2's shape, for the transformers library (LoRA merged)"
    )
    add("--temperature", type=float, default=0.0, help="0 (default) takes the likeliest token")
    add("--top-k", type=int, default=0, help="sample among the k likeliest tokens (0: all)")
    add("--top-p", type=float, default=1.0, help="sample among the likeliest tokens of this probability together")
    add("--max-new", type=int, default=48, help="longest answer in tokens")
    add("--seed", type=int, default=0, help="seed of the sampling")
    return parser


def ask_person(pair):
    """Show two answers in an order that says nothing of where they come from -> "1", "2", "tie" or "quit"."""
    print(f"\n> {pair['instruction']}" + (f" [{pair['input']}]" if pair["input"] else ""))
    for number in "12":
        print(textwrap.fill(pair[f"output_{number}"], 90, initial_indent=f"{number}) ", subsequent_indent="   "))
    while True:
        try:
            said = input("Which is better? 1, 2, tie or quit: ").strip()
        except (EOFError, KeyboardInterrupt):
            return "quit"
        if said in ("1", "2", "tie", "quit"):
            return said


def ask_command(command):
    """Any program can be the judge: it reads the pair as JSON and prints 1, 2 or tie."""

    def ask(pair):
        done = subprocess.run(command, shell=True, input=json.dumps(pair), capture_output=True, text=True)
        if done.stdout.strip() not in ("1", "2", "tie"):
            said = (done.stdout or done.stderr).strip()
            raise UserError(f"--judge-command {command}: said {said[:60]!r}. It must print 1, 2 or tie.")
        return done.stdout.strip()

    return ask


def judge(bots, names, rows, how, ask, path, seed):
    """Two Bots answer; `ask` says of every pair which is better. Verdicts are added to a JSON Lines file, so one can
    stop and go on; equal answers are ties unasked. Prints the share of the decided pairs that the first model won."""
    path = Path(path)
    verdicts = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    known = {(v["instruction"], v["input"]) for v in verdicts}
    rows = [row for row in rows if row.turns[0][:2] not in known]
    rng = random.Random(f"{seed} {len(known)}")
    answers = [[text for text, _ in bot.answers(rows, how)] for bot in bots]
    for row, *texts in zip(rows, *answers):
        order = rng.sample((0, 1), 2)  # who is shown first: people, and models more so, prefer a place
        pair = {"instruction": row.turns[0][0], "input": row.turns[0][1]}
        pair |= {f"output_{n + 1}": texts[i] for n, i in enumerate(order)}
        said = "tie" if texts[0] == texts[1] else ask(pair)
        if said == "quit":
            break
        verdicts.append(
            pair | {"shown_first": names[order[0]], "better": said if said == "tie" else names[order[int(said) - 1]]}
        )
        try:
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(verdicts[-1], ensure_ascii=False) + "\n")
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror}. Choose another --verdicts.") from None
    wins = [sum(v["better"] == name for v in verdicts) for name in names]
    decided, ties = sum(wins), len(verdicts) - sum(wins)
    print(f"{len(verdicts)} pairs: {names[0]} better {wins[0]}, {names[1]} better {wins[1]}, ties {ties}")
    if decided:
        interval = "{:.0%} to {:.0%}".format(*wilson(wins[0], decided))
        print(f"{names[0]} wins {wins[0] / decided:.0%} of the decided ones ({interval})")


def held_out(trained):
    """The held-out splits of the built-in world that a checkpoint was trained beside."""
    tasks = trained.get("hold_out", world.HELD_OUT)
    splits = world.build(trained.get("seed", 0), tasks, size=0, bare=trained.get("bare", False)).splits
    return {name: world_rows(rows) for name, rows in splits.items()}


def run(args):
    for name, low, high in (("temperature", 0, 10), ("top_k", 0, 10**6), ("top_p", 1e-6, 1), ("max_new", 1, 4096)):
        if not low <= getattr(args, name) <= high:
            raise UserError(f"--{name.replace('_', '-')} {getattr(args, name)}: choose from {low} to {high}.")
    how = Sampling(args.temperature, args.top_k, args.top_p, args.max_new, args.seed)
    if args.export:
        model = load_bot(args.tuned).model
        merge_lora(model)
        export_gpt2(model, args.export)
        print(f"{args.export}: config.json and model.safetensors, for GPT2LMHeadModel.from_pretrained")
        return
    if args.judge:
        if not args.data:
            raise UserError("--judge: needs prompts. Give --data FILE.")
        ask = ask_command(args.judge_command) if args.judge_command else ask_person
        rows = load_rows(args.data)[0]
        judge([load_bot(path) for path in args.judge], args.judge, rows, how, ask, args.verdicts, args.seed)
        return
    columns = three_columns(load_bot(args.base), load_bot(args.tuned))
    trained = columns["tuned"].trained_on
    if args.template_at_inference:
        if args.template_at_inference not in TEMPLATES:
            raise UserError(
                f"--template-at-inference {args.template_at_inference}: unknown. Known: {', '.join(TEMPLATES)}."
            )
        columns["tuned"].template = args.template_at_inference
    if args.data:
        splits = {Path(args.data).name: load_rows(args.data)[0]}
    else:
        splits = held_out(trained)
    if args.save:
        rows = [row for rows in splits.values() for row in rows]
        answers = columns["tuned"].answers(rows, how)
        lines = [
            {"instruction": "\n\n".join(filter(None, row.turns[0][:2])), "output": text, "generator": args.tuned}
            for row, (text, _) in zip(rows, answers)
        ]
        try:
            Path(args.save).write_text(json.dumps(lines, ensure_ascii=False, indent=1), encoding="utf-8")
        except OSError as error:
            raise UserError(f"{args.save}: cannot be written: {error.strerror}. Choose another place.") from None
        print(f"{len(lines)} answers are in {args.save}")
    elif args.eval:
        print_table(score_columns(columns, splits, how))
    elif args.question:
        side_by_side(columns, Row(((args.question, args.input, ""),)), how)
    else:
        chat(columns, how)


def main():
    args = flags().parse_args()
    try:
        run(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
