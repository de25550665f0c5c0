"""The page of a run: what it adds is one HTML file, out/page.html, in which base and tuned model answer in the browser.

You can skip this: it trains nothing. It packs the weights, and writes as tables what stands in report.json, log.jsonl
and the held-out answers; `page.js` then lets the models answer and the tables move. The file asks no network for
anything, and whatever comes from data, models and files stays text: `element` escapes all that is not its own Markup.

    python generate.py --page FILE         the page of two checkpoints; the main job writes out/page.html by itself
"""

import base64
import codecs
import hashlib
import html
import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

import world
from data import EOS, Row, UserError, encode, render
from extras import rules, table
from extras.checkpoint import lora_state
from extras.datasets import TEMPLATES
from generate import Sampling, generate

LIMIT = 4_000_000  # bytes of a page
LONGEST = 1000  # letters of a question or an answer in the list of all
POLICY = "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'"

# ----------------------------------------------------------------------------------------------------------------
# What is in the page for page.js.


def pack(state, bits):
    """{name: weight} -> (what the page reads, {name: weight as the page will have it}).

    A matrix becomes whole numbers of so many bits, one after the other, times a scale for each of its rows; a vector
    stays as it is."""
    tensors, raw, kept = [], [], {}
    for name, weight in state.items():
        weight = kept[name] = weight.detach().cpu().float()
        tensors.append([name, list(weight.shape)])
        if weight.dim() == 1:
            raw.append(weight.numpy().tobytes())
            continue
        half = 2 ** (bits - 1)
        scale = (weight.abs().amax(1, keepdim=True) / (half - 1)).clamp(min=1e-20)  # (rows, 1)
        numbers = (weight / scale).round()  # (rows, columns)
        kept[name], numbers = numbers * scale, numbers.numpy().astype("int16").reshape(-1, 1) + half
        raw += [scale.numpy().tobytes(), np.packbits(numbers >> np.arange(bits) & 1, bitorder="little").tobytes()]
    return {"tensors": tensors, "bits": bits, "bytes": base64.b64encode(b"".join(raw)).decode()}, kept


def pack_models(models, room):
    """The base with as many bits, 8 to 12, as there is room for in so many letters, and of the others what they add to
    it: an adapter's A and B, or the difference of the weights. None if there is no room."""
    tuned = {name: models[name].model for name in models if not name.startswith("base")}
    state = {name: lora_state(m) if m.lora else m.state_dict() for name, m in tuned.items()} | {"base": models["base_raw"].model.state_dict()}
    for bits in range(12, 7, -1):
        its_bits = {name: bits if name == "base" else 12 if tuned[name].lora else 7 for name in state}
        if 1.03 * sum(its_bits[name] * count(state[name]) / 6 for name in state) < room:  # 6 bits a letter, and scales
            break
    else:
        return None
    base, kept = pack(state.pop("base"), bits)
    packed = {"base": base}
    for name, model in tuned.items():
        added = state[name] if model.lora else {key: w.cpu() - kept[key] for key, w in state[name].items()}
        packed[name] = pack(added, its_bits[name])[0]
        if model.lora:
            packed[name]["scale"] = model.lora["alpha"] / model.lora["rank"]
    return packed


def count(state):
    return sum(weight.numel() for weight in state.values())


@torch.inference_mode()
def trace(models, row):
    """Of models that are too big for the page, what part 2 shows of one question: for every token of the tuned answer its
    rank under the base and the five most probable tokens of both."""
    tuned, tops = models["tuned"], {}
    prompt, eos_id = tuned.prompt(row.turns[:1], row.system), tuned.tokenizer.eos_id
    ((answer, stopped),) = generate(tuned.model, [prompt], eos_id, Sampling())
    answer += [eos_id] * stopped
    ids = torch.tensor([prompt + answer[:-1]], device=tuned.model.device())
    for name, model in (("tuned", tuned.model), ("base", models["base_raw"].model)):
        logits = model(ids)[0, len(prompt) - 1 :].float().cpu()  # (answer, V)
        p, best = logits.softmax(1).topk(5)  # (answer, 5) each
        tops[name] = [list(zip(*pair)) for pair in zip(best.tolist(), p.tolist())]
    ranks = 1 + (logits > logits.gather(1, torch.tensor(answer)[:, None])).sum(1)  # (answer,), under the base
    found = zip(answer, ranks.tolist(), tops["base"], tops["tuned"])
    return {"prompt": prompt, "tokens": [dict(zip(("id", "rank", "base", "tuned"), token)) for token in found]}


# ----------------------------------------------------------------------------------------------------------------
# Parts 3 to 6, which need no JavaScript.


class Markup(str):
    """Text that is HTML already."""


def element(name, *children, **attributes):
    """<name attribute="...">children</name>; what is not Markup is escaped."""
    given = "".join(f' {k.strip("_").replace("_", "-")}="{html.escape(str(v))}"' for k, v in attributes.items())
    inside = "".join(child if isinstance(child, Markup) else html.escape(str(child)) for child in children)
    return Markup(f"<{name}{given}>{inside}</{name}>")


def table_of(head, rows, **attributes):
    head = element("tr", *(element("th", text, scope="col") for text in head))
    rows = [element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in rest)) for first, *rest in rows]
    return element("div", element("table", element("thead", head), element("tbody", *rows), **attributes), class_="wide", tabindex=0)


def mask_of(row, template, tokenizer):
    """One pair, a span for every token (for all the tokens of a character, where it has several)."""
    spans, decoder = [], codecs.getincrementaldecoder("utf-8")("replace")
    for text, kind in render(row.turns, template, row.system):
        for token in tokenizer.encode(text):
            if piece := decoder.decode(tokenizer.token_bytes(token)):
                spans.append(element("span", piece.replace("\n", "⏎\n"), class_=kind))
        if kind == "answer":
            spans.append(element("span", EOS, class_="answer eos"))
    return element("li", element("pre", *spans))


def share_of(found):
    """A share with its interval: a bar up to the share, a line from the lower to the upper end."""
    share, (low, high) = 100 * found["correct"] / found["n"], (100 * x for x in found["interval"])
    drawing = Markup(f'<rect width="{share:.1f}" height="6"/><path d="M{low:.1f} 3H{high:.1f}"/>')
    picture = element("svg", drawing, viewBox="0 0 100 6", preserveAspectRatio="none", aria_hidden="true")
    return Markup(element("b", f"{share:.1f} %") + picture + element("small", f"{low:.0f} to {high:.0f}"))


def held_out_of(scores):
    names = [name for name in next(iter(scores.values()), {}) if name != "n"]
    rows = []
    for split, found in scores.items():
        rows.append([f"{split.replace('_', ' ')} ({found['n']})", *(share_of(found[name]) for name in names)])
        rows.append(["stopped by itself", *(f"{found[name]['stopped'] / found['n']:.0%}" for name in names)])
    return table_of(["", *(name.replace("_", " ") for name in names)], rows, class_="scores")


def questions_of(splits, answers):
    """Every held-out question, the answer that was expected, and what every column said."""
    rows, names = [], list(next(iter(answers.values()), {}))
    for split, asked in splits.items():
        for row, said in zip(asked, zip(*answers[split].values())):
            turn, about = row.turns[0], f"{split.replace('_', ' ')}, {row.task}"
            question = element("th", turn.instruction[:LONGEST], element("q", turn.input[:LONGEST]), element("small", about))
            cells = [element("td", text.strip()[:LONGEST], "" if stopped else " …", **{"class": "ok"} if right else {})
                     for text, stopped, right in said]
            rows.append(element("tr", question, element("td", turn.output[:LONGEST]), *cells))
    head = element("tr", *(element("th", name.replace("_", " ")) for name in ("question", "expected", *names)))
    return element("div", element("table", element("thead", head), element("tbody", *rows), id="questions"), class_="wide")


def curve(name, records):
    """The loss of one stage as a drawing."""
    points = [(record["step"], record["loss"]) for record in records if "loss" in record]
    last, top = max(1, points[-1][0]), max(loss for _, loss in points)
    line = " ".join(f"{30 + 280 * step / last:.1f},{150 - 140 * loss / top:.1f}" for step, loss in points)
    drawing = [Markup(f'<path d="M30 10V150H310"/><polyline points="{line}"/>')]
    for x, y, text, anchor in ((26, 16, f"{top:.1f}", "end"), (26, 152, 0, "end"), (30, 165, 0, "start"), (310, 165, last, "end")):
        drawing.append(element("text", text, x=x, y=y, text_anchor=anchor))
    said = f"{name}: loss {points[0][1]:.2f} at step 0, {points[-1][1]:.2f} at step {points[-1][0]}"
    picture = element("svg", *drawing, viewBox="0 0 320 170", role="img", aria_label=said, data_stage=name, data_last=last)
    return element("figure", element("figcaption", said), picture)


def came_of(log):
    """The curves of all stages in the log, and what was said to the same prompt on the way."""
    stages = {}
    for record in log:  # a step that was done again after a stop counts once
        stages.setdefault(record["stage"], {})[record["step"], "loss" in record] = record
    curves = [curve(name, found.values()) for name, found in stages.items()]
    said = [r for found in stages.values() for r in found.values() if "answer" in r]
    rows = [[r["stage"], r["step"], r["prompt"], r["answer"], "yes" if r["stopped"] else "no"] for r in said]
    head = ["stage", "step", "prompt", "how it goes on", "stopped"]
    steps = table_of(head, rows, id="steps") if rows else ""
    return Markup(element("div", *curves, class_="curves") + steps)


def run_of(report):
    seconds = [[name, *(found.get(key, "") for key in ("seconds", "tokens", "tokens_per_second"))] for name, found in report["stages"].items()]
    seconds.append(["in all", report["seconds"], "", ""])
    loss = [[name, f"{loss:.3f}"] for name, loss in report["corpus_loss"].items()]
    config = [[name, json.dumps(value)] for name, value in report["config"].items()]
    parts = [table_of(["stage", "seconds", "tokens", "tokens/s"], seconds), table_of(["validation loss", "nats"], loss)]
    return Markup(element("p", report["machine"]) + "".join(parts) + element("details", element("summary", "Configuration"), table_of(["flag", "value"], config)))


# ----------------------------------------------------------------------------------------------------------------
# The whole.


def take_answers(scores):
    """Take the texts out of table.score_models's scores -> {split: {name: [(text, stopped, right)]}}"""
    columns = {split: {name: one for name, one in found.items() if name != "n"} for split, found in scores.items()}
    return {split: {name: one.pop("answers") for name, one in found.items()} for split, found in columns.items()}


def of_checkpoints(path, models, splits, tuned):
    """The page of three_models(); `splits` None: those of the built-in world."""
    trained_on = models["tuned"].trained_on
    world_splits = table.world_splits(trained_on)
    splits = splits or world_splits
    scores = table.score_models(rules.with_rules(models), splits, Sampling())
    rows = [row for split in splits.values() for row in split]
    write(path, models, splits, scores, take_answers(scores), rows, Path(tuned).parent)


def write(path, models, splits, scores, answers, rows, folder):
    """Write the page of these Assistants. `answers` are take_answers's, `rows` pairs to show in part 3; report.json and
    log.jsonl are shown if the folder has them."""
    base, tuned, here = models["base_raw"].model, models["tuned"], Path(__file__).parent
    files = [Path(folder) / name for name in ("report.json", "log.jsonl")]
    report, log = (file.read_text(encoding="utf-8") if file.exists() else "" for file in files)
    fits = [row for row in rows if encode(render(row.turns, tuned.template, row.system), tuned.tokenizer, LONGEST)[0]]
    pairs, shown = fits[:: max(1, len(fits) // 8)][:8], table.shown_rows(splits or {"": rows})
    about = f"A model of {count(base.state_dict()):,} weights read text, then was tuned on pairs of instructions and answers. "
    parts = {
        "about": html.escape(about),
        "asking": "Questions that none of them was tuned on, or your own.",
        "pairs_are": "Pairs of the tuning data",
        "pairs": "".join(mask_of(row, tuned.template, tuned.tokenizer) for row in pairs),
        "held_out": held_out_of(scores),
        "questions": questions_of(splits, answers),
        "came": came_of([json.loads(line) for line in log.splitlines()]) if log else "",
        "run": run_of(json.loads(report)) if report else "",
        "report": html.escape(report),
        "style": (here / "page.css").read_text(encoding="utf-8"),
        "script": (here / "page.js").read_text(encoding="utf-8"),
    }
    hashes = [base64.b64encode(hashlib.sha256(parts[name].encode()).digest()).decode() for name in ("script", "style")]
    parts["policy"] = POLICY.format(*(f"sha256-{digest}" for digest in hashes))
    data = {
        "config": asdict(base.config), "template": tuned.template, "eos": EOS,
        "templates": {name: asdict(template) for name, template in TEMPLATES.items()},
        "tokens": tuned.tokenizer.state()["tokens"],
        "pairs": [{"turns": [turn._asdict() for turn in row.turns], "system": row.system} for row in pairs],
        "examples": [row.turns[0]._asdict() for row in shown],
    }
    room = LIMIT - sum(map(len, parts.values())) - len(json.dumps(data))
    data["models"] = pack_models(models, room)
    if not data["models"]:
        data["traces"] = [trace(models, row) for row in shown]
    parts["data"] = json.dumps(data).replace("<", "\\u003c")
    page = re.sub(r"<!--(\w+)-->", lambda name: parts[name[1]], (here / "page.html").read_text(encoding="utf-8"))
    try:
        Path(path).write_text(page, encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}. Choose another place.") from None
