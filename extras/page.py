"""The page of a run: what it adds is one HTML file, out/page.html, in which base and tuned model answer in the browser.

You can skip this: it trains nothing. It packs the weights, and writes as tables what report.json, log.jsonl and the
answers say; page.js lets the models answer. All text from data and models stays text: `element` escapes it.

    python generate.py --page FILE         the page of two checkpoints; the main job writes out/page.html by itself
"""

import base64
import codecs
import hashlib
import html
import json
import re
from pathlib import Path

import numpy as np
import torch

from data import EOS, Row, UserError, encode, render
from extras import rules, table
from extras.checkpoint import lora_state, write_whole
from extras.datasets import TEMPLATES
from generate import Sampling, generate
from world import build

LIMIT = 4_000_000  # bytes of a page
LONGEST = 1000  # letters of a text in the list of questions, tokens of a pair in part 3
HERE = "Base and tuned are in this file, in {} bits: your browser computes what they say, and asks no network for anything."
NOT_HERE = "That is too many for this page. What the tuned model says to the examples was computed when the page was made."


# ----------------------------------------------------------------------------------------------------------------
# What page.js computes with.


def letters(state, bits):
    """How many letters pack() will need: one for 6 bits; numbers of 32 bits are vectors and the scales of rows."""
    matrices = [weight for weight in state.values() if weight.dim() == 2]
    return (32 * sum(map(len, state.values())) + bits * sum(w.numel() for w in matrices)) / 6


def pack(state, bits):
    """{name: weight} -> (what the page reads, {name: weight as the page will have it}).

    A matrix becomes whole numbers of so many bits, times a scale for each of its rows; a vector stays as it is."""
    tensors, raw, kept, half = [], [], {}, 2 ** (bits - 1)
    for name, weight in state.items():
        weight = kept[name] = weight.detach().cpu().float()
        tensors.append([name, list(weight.shape)])
        if weight.dim() == 1:
            raw.append(weight.numpy().tobytes())
            continue
        scale = (weight.abs().amax(1, keepdim=True) / (half - 1)).clamp(min=1e-20)  # (rows, 1)
        numbers = (weight / scale).round()  # (rows, columns)
        kept[name], numbers = numbers * scale, numbers.numpy().astype("int16").reshape(-1, 1) + half
        raw += [scale.numpy().tobytes(), np.packbits(numbers >> np.arange(bits) & 1, bitorder="little").tobytes()]
    return {"tensors": tensors, "bits": bits, "bytes": base64.b64encode(b"".join(raw)).decode()}, kept


def pack_models(models, room):
    """The base in as many bits, 8 to 14, as there is room for in so many letters, and of the tuned models what they add
    to it: an adapter's A and B, or the difference of the weights. {} if there is no room."""
    base = models["base_raw"].model.state_dict()
    tuned = {name: models[name].model for name in ("tuned", "lora") if name in models}
    added = {name: (lora_state(m), 12) if m.lora else (m.state_dict(), 7) for name, m in tuned.items()}
    room -= sum(letters(*its) for its in added.values()) + 8000  # and the names of the tensors
    bits = next((bits for bits in range(14, 7, -1) if letters(base, bits) < room), None)
    if bits is None:
        return {}
    packed, kept = pack(base, bits)
    packed = {"base": packed}
    for name, (state, its_bits) in added.items():
        lora = tuned[name].lora
        packed[name], _ = pack(state if lora else {key: w.cpu() - kept[key] for key, w in state.items()}, its_bits)
        packed[name]["scale"] = lora["alpha"] / lora["rank"] if lora else 1
    return packed


@torch.inference_mode()
def trace(models, row):
    """What part 2 shows of one question, for models too big for the page: for every token of the tuned answer its rank
    under the base, and the five most probable tokens of both."""
    tuned, tops = models["tuned"], {}
    prompt, eos_id = tuned.prompt(row.turns[:1], row.system), tuned.tokenizer.eos_id
    ((answer, stopped),) = generate(tuned.model, [prompt], eos_id, Sampling())
    answer += [eos_id] * stopped
    ids = torch.tensor([prompt + answer[:-1]], device=tuned.model.device())
    for name in ("tuned", "base_raw"):
        logits = models[name].model(ids)[0, len(prompt) - 1 :].float().cpu()  # (answer, V)
        p, best = logits.softmax(1).topk(5)  # (answer, 5) each
        tops[name] = [list(zip(*pair)) for pair in zip(best.tolist(), p.tolist())]
    ranks = 1 + (logits > logits.gather(1, torch.tensor(answer)[:, None])).sum(1)  # (answer,), under the base
    found = zip(answer, ranks.tolist(), tops["base_raw"], tops["tuned"])
    return [dict(zip(("id", "rank", "base", "tuned"), token)) for token in found]


# ----------------------------------------------------------------------------------------------------------------
# Parts 3 to 6, which need no JavaScript.


class Markup(str):
    """Text that is HTML already."""


def element(name, *children, **attributes):
    """<name attribute="...">children</name>, with all escaped that is not Markup. class_ stands for class."""
    given = "".join(f' {k.rstrip("_").replace("_", "-")}="{html.escape(str(v))}"' for k, v in attributes.items())
    inside = "".join(child if isinstance(child, Markup) else html.escape(str(child)) for child in children)
    return Markup(f"<{name}{given}>{inside}</{name}>")


def table_of(head, rows, **attributes):
    """A table that scrolls where it is wider than the page."""
    rows = [[element("th", first, scope="row"), *(element("td", cell) for cell in rest)] for first, *rest in rows]
    head = element("thead", element("tr", *(element("th", text.replace("_", " "), scope="col") for text in head)))
    body = element("tbody", *(element("tr", *cells) for cells in rows))
    return element("div", element("table", head, body, **attributes), class_="wide", tabindex=0)


def pair_of(row, template, tokenizer):
    """One pair, a span for every token, or for all the tokens of a character."""
    spans, decoder = [], codecs.getincrementaldecoder("utf-8")("replace")
    for text, kind in render(row.turns, template, row.system):
        pieces = [decoder.decode(tokenizer.token_bytes(token)) for token in tokenizer.encode(text)]
        spans += [element("span", piece.replace("\n", "⏎\n"), class_=kind) for piece in pieces if piece]
        spans += [element("span", EOS, class_="answer eos")] * (kind == "answer")
    return element("li", element("pre", *spans))


def share_of(found):
    """A share with its interval: a bar up to the share, a line from the lower to the upper end."""
    n, (low, high) = found["n"], (100 * x for x in found["interval"])
    share, stopped = (100 * found[key] / n for key in ("correct", "stopped"))
    drawing = Markup(f'<rect width="{share:.1f}" height="6"/><path d="M{low:.1f} 3H{high:.1f}"/>')
    picture = element("svg", drawing, viewBox="0 0 100 6", preserveAspectRatio="none", aria_hidden="true")
    about = element("small", f"{low:.0f} to {high:.0f} %") + element("small", f"{stopped:.0f} % stopped")
    return Markup(element("b", f"{share:.1f} %") + picture + about)


def held_out_of(scores):
    names = [name for name in next(iter(scores.values()), {}) if name != "n"]
    rows = [[f"{split.replace('_', ' ')} ({found['n']})", *(share_of(found[name]) for name in names)]
            for split, found in scores.items()]
    return table_of(["", *names], rows, class_="scores")


def questions_of(splits, answers):
    """Every held-out question, the answer that was expected, and what every column said."""
    rows = []
    for split, asked in splits.items():
        for row, *said in zip(asked, *answers[split].values()):
            instruction, text, expected = (part[:LONGEST] for part in row.turns[0])
            about = element("q", text) + element("small", f"{split.replace('_', ' ')}, {row.task}")
            cells = [text.strip()[:LONGEST] + ("" if stopped else " …") for text, stopped, _ in said]
            marked = [element("span", cell, class_="ok") if right else cell for cell, (*_, right) in zip(cells, said)]
            rows.append([Markup(html.escape(instruction) + about), expected, *marked])
    return table_of(["question", "expected", *next(iter(answers.values()), {})], rows, id="questions")


def curve_of(name, records):
    """The loss of one stage as a drawing."""
    points = [(record["step"], record["loss"]) for record in records if "loss" in record]
    (first, loss), (last, low), top = points[0], points[-1], max(loss for _, loss in points)
    line = " ".join(f"{30 + 280 * step / max(1, last):.1f},{150 - 140 * loss / top:.1f}" for step, loss in points)
    drawing = Markup(f'<path d="M30 10V150H310"/><polyline points="{line}"/><path class="now"/>')
    marks = [element("text", text, x=x, y=y) for x, y, text in ((4, 16, f"{top:.1f}"), (14, 152, 0), (288, 165, last))]
    said = f"{name}: loss {loss:.2f} at step {first}, {low:.2f} at step {last}"
    data = {"data_stage": name, "data_last": max(1, last), "aria_label": said}
    picture = element("svg", drawing, *marks, viewBox="0 0 320 170", role="img", **data)
    return element("figure", element("figcaption", said), picture)


def came_of(log):
    """The curves of all stages in the log; the table of how the same prompt was continued on the way."""
    stages = {}
    for record in log:  # a step that was done again after a stop counts once
        stages.setdefault(record["stage"], {})[record["step"], "loss" in record] = record
    curves = [curve_of(name, found.values()) for name, found in stages.items()]
    said = [record for found in stages.values() for record in found.values() if "answer" in record]
    rows = [[r["stage"], r["step"], r["prompt"], r["answer"], "yes" if r["stopped"] else "no"] for r in said]
    curves = "".join(curves) or "No log.jsonl lies beside the tuned checkpoint."
    return curves, table_of(["stage", "step", "prompt", "how it goes on", "stopped"], rows, id="steps")


def run_of(report):
    """What report.json says of the machine, the time and the losses; the configuration."""
    keys = ("seconds", "tokens", "tokens_per_second")
    rows = [[name, *(f"{found[k]:,}" if k in found else "" for k in keys)] for name, found in report["stages"].items()]
    stages = table_of(["stage", *keys], [*rows, ["in all", report["seconds"], "", ""]], class_="numbers")
    losses = [[name, f"{loss:.3f}"] for name, loss in report["corpus_loss"].items()]
    about = element("p", f"{report['machine']}. {report['peak_memory_mb']} MB of memory at most.")
    config = table_of(["flag", "value"], [[name, json.dumps(value)] for name, value in report["config"].items()])
    return about + stages + table_of(["validation_loss", "nats"], losses, class_="numbers"), config


# ----------------------------------------------------------------------------------------------------------------
# The whole.


def take_answers(scores):
    """Take the texts out of table.score_models's scores -> {split: {name: [(text, stopped, right)]}}"""
    return {split: {name: found[name].pop("answers") for name in found if name != "n"} for split, found in scores.items()}


def of_checkpoints(path, models, splits, tuned):
    """The page of three_models(). `splits` None: the built-in world's; `tuned`: where that checkpoint lies."""
    trained_on, splits = models["tuned"].trained_on, splits or table.world_splits(models["tuned"].trained_on)
    rows = [row for split in splits.values() for row in split]
    if trained_on.get("data") == "world":
        rows = [Row.from_dict(pair) for pair in build(trained_on["seed"], trained_on["hold_out"], size=0).pairs]
    scores = table.score_models(rules.with_rules(models), splits, Sampling())
    write(path, models, splits, scores, take_answers(scores), rows, Path(tuned).parent)


def write(path, models, splits, scores, answers, rows, folder):
    """Write the page of these Assistants. `answers` are take_answers's, `rows` pairs to show in part 3; report.json and
    log.jsonl are shown if the folder has them."""
    base, tuned, here = models["base_raw"].model, models["tuned"], Path(__file__).parent
    if base.config != tuned.model.config or models["base_raw"].tokenizer.tokens != tuned.tokenizer.tokens:
        raise UserError(f"{path}: base and tuned are of different sizes or tokens. Give --base the base of --tuned.")
    files = [Path(folder) / name for name in ("report.json", "log.jsonl")]
    report, log = (file.read_text(encoding="utf-8") if file.exists() else "" for file in files)
    some = rows[:: max(1, len(rows) // 40)]  # and of these, those that are not too long
    fit = [row for row in some if encode(render(row.turns, tuned.template, row.system), tuned.tokenizer, LONGEST)[0]]
    pairs, shown = fit[:: max(1, len(fit) // 8)][:8], table.shown_rows(splits or {"": rows})
    parts = {name: (here / f"page.{name}").read_text(encoding="utf-8") for name in ("html", "css", "js")}
    parts["curves"], parts["steps"] = came_of(map(json.loads, log.splitlines()))
    parts["run"], parts["config"] = run_of(json.loads(report)) if report else ("No report.json lies beside it.", "")
    parts |= {"held_out": held_out_of(scores), "questions": questions_of(splits, answers), "report": html.escape(report)}
    parts["pairs"] = "".join(pair_of(row, tuned.template, tuned.tokenizer) for row in pairs)
    for name in ("css", "js"):
        parts[f"hash_{name}"] = base64.b64encode(hashlib.sha256(parts[name].encode()).digest()).decode()
    data = {
        "config": vars(base.config), "tokens": tuned.tokenizer.state()["tokens"], "eos": EOS,
        "template": tuned.template, "templates": {name: vars(template) for name, template in TEMPLATES.items()},
        "pairs": [{"turns": [turn._asdict() for turn in row.turns], "system": row.system} for row in pairs],
        "examples": [row.turns[0]._asdict() for row in shown],
    }
    room = LIMIT - sum(len(text.encode(errors="replace")) for text in parts.values()) - len(json.dumps(data))
    data["models"] = pack_models(models, room)
    data["traces"] = [] if data["models"] else [trace(models, row) for row in shown]
    parts["size"] = f"{sum(weight.numel() for weight in base.parameters()):,}"
    parts["here"] = HERE.format(data["models"]["base"]["bits"]) if data["models"] else NOT_HERE
    parts["data"] = json.dumps(data).replace("<", "\\u003c")
    page = re.sub(r"<!--(\w+)-->", lambda name: parts[name[1]], parts["html"])
    write_whole(path, lambda file: file.write(page.encode(errors="replace")))
