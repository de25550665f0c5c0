"""The page of a run: what it adds is one HTML file, out/page.html, in which base and tuned model answer in the browser.

You can skip this: it trains nothing. It packs the weights, and writes as tables what report.json, log.jsonl and the
answers say; page.js lets the models answer. All text from data and models stays text: `element` escapes it.

    python generate.py --page FILE         the page of two checkpoints; the main job writes out/page.html by itself
"""

import base64
import hashlib
import html
import json
import re
from pathlib import Path

import numpy as np
import torch

from common import table
from common.checkpoint import lora_state, write_whole
from data import EOS, Row, UserError, render
from extras import rules
from extras.datasets import TEMPLATES
from generate import Sampling
from world import build

LIMIT = 4_000_000  # bytes of a page
LONGEST = 1000  # letters of a text in the list of questions, and of a pair in part 3


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
    if sum(map(torch.numel, base.values())) > room:  # a number takes more than one letter
        return {}
    for bits in range(14, 7, -1):
        packed = {}
        packed["base"], kept = pack(base, bits)
        for name, model in tuned.items():
            state = lora_state(model) or {key: weight.cpu() - kept[key] for key, weight in model.state_dict().items()}
            packed[name], _ = pack(state, 12 if model.lora else 7)
            packed[name]["scale"] = model.lora["alpha"] / model.lora["rank"] if model.lora else 1
        if len(json.dumps(packed)) < room:
            return packed
    return {}


@torch.inference_mode()
def trace(models, row):
    """What part 2 shows of one question, for models too big for the page: for every token of the tuned answer its rank
    under the base, and the five most probable tokens of both."""
    tuned = models["tuned"]
    prompt, eos_id = tuned.prompt(row.turns[:1], row.system), tuned.tokenizer.eos_id
    ((answer, stopped),) = tuned.generate([row], [prompt], Sampling())
    answer += [eos_id] * stopped
    ids, found = torch.tensor([prompt + answer[:-1]], device=tuned.model.device()), [{"id": token} for token in answer]
    for name, model in (("tuned", tuned.model), ("base", models["base_raw"].model)):
        p = model(ids)[0, len(prompt) - 1 :].float().softmax(1).cpu()  # (answer, V)
        for token, its in zip(found, p):
            token[name] = [(other, its[other].item()) for other in its.topk(5).indices.tolist()]
            token["rank"] = 1 + (its > its[token["id"]]).sum().item()  # the base comes last: what stays is its rank
    return found


class Markup(str):
    """Text that is HTML already. What is made of it from here on, parts 3 to 6, needs no JavaScript."""


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


def pair_of(row, template):
    """One pair, a span for every piece; page.js divides them into tokens."""
    pieces = [(text + EOS * (kind == "answer"), kind) for text, kind in render(row.turns, template, row.system)]
    return element("li", element("pre", *(element("span", text, class_=kind) for text, kind in pieces)))


def share_of(found):
    """A share with its interval: a bar up to the share, a line from the lower to the upper end."""
    share, stopped = (100 * found[key] / found["n"] for key in ("correct", "stopped"))
    low, high = (100 * end for end in found["interval"])
    drawing = Markup(f'<rect width="{share:.1f}" height="6"/><path d="M{low:.1f} 3H{high:.1f}"/>')
    picture = element("svg", drawing, viewBox="0 0 100 6", preserveAspectRatio="none", aria_hidden="true")
    said = [element("small", text) for text in (f"{low:.0f} to {high:.0f} %", f"{stopped:.0f} % stopped")]
    return Markup(element("b", f"{share:.1f} %") + picture + "".join(said))


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
            said = [(text.strip()[:LONGEST] + " …" * (not stopped), right) for text, stopped, right in said]
            cells = [element("span", text, class_="ok") if right else text for text, right in said]
            rows.append([Markup(html.escape(instruction) + about), expected, *cells])
    return table_of(["question", "expected", *next(iter(answers.values()), {})], rows, id="questions")


def curve_of(name, log):
    """The loss of one stage as a drawing."""
    points = [(record["step"], record["loss"]) for record in log if record["stage"] == name and "loss" in record]
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
    log = {(record["stage"], record["step"], "loss" in record): record for record in log}.values()  # the last of each
    stages = dict.fromkeys(record["stage"] for record in log if "loss" in record)
    curves, keys = "".join(curve_of(name, log) for name in stages), ("stage", "step", "prompt", "answer", "stopped")
    rows = [[record[key] for key in keys] for record in log if "answer" in record]
    return curves or "No losses are logged beside the tuned checkpoint.", table_of(keys, rows, id="steps")


def run_of(report):
    """What report.json says of the machine, the time and the losses."""
    keys, stages = ("seconds", "tokens", "tokens_per_second"), report["stages"] | {"in all": report}
    rows = [[name, *(f"{found[key]:,}" if key in found else "" for key in keys)] for name, found in stages.items()]
    losses = ", ".join(f"{name} {loss:.3f}" for name, loss in report["corpus_loss"].items())
    about = f"{report['machine']}, {report['peak_memory_mb']} MB of memory at most; validation loss in nats: {losses}."
    return element("p", about) + table_of(["stage", *keys], rows)


def of_checkpoints(path, models, splits, tuned):
    """The page of three_models(). `splits` None: the built-in world's; `tuned`: where that checkpoint lies."""
    trained_on, splits = models["tuned"].trained_on, splits or table.world_splits(models["tuned"].trained_on)
    rows = [row for split in splits.values() for row in split]
    if trained_on.get("data") == "world":
        rows = [Row.from_dict(pair) for pair in build(trained_on["seed"], trained_on["hold_out"], size=0).pairs]
    found = table.score_models(rules.with_rules(models), splits, Sampling())
    write(path, models, splits, *found, rows, Path(tuned).parent)


def write(path, models, splits, scores, answers, rows, folder):
    """Write the page of these Assistants. `scores` and `answers` are table.score_models's, `rows` pairs to show in
    part 3; report.json and log.jsonl are shown if the folder has them."""
    base, tuned, here = models["base_raw"].model, models["tuned"], Path(__file__).parent
    if base.config != tuned.model.config or models["base_raw"].tokenizer.tokens != tuned.tokenizer.tokens:
        raise UserError(f"{path}: base and tuned are of different sizes or tokens. Give --base the base of --tuned.")
    files = [Path(folder) / name for name in ("report.json", "log.jsonl")]
    report, log = (file.read_text(encoding="utf-8") if file.exists() else "" for file in files)
    short = [row for row in rows if sum(map(len, sum(row.turns, (row.system,)))) <= LONGEST]
    pairs, shown = short[:: max(1, len(short) // 8)][:8], table.shown_rows(splits or {"": rows})
    parts = {name: (here / f"page.{name}").read_text(encoding="utf-8") for name in ("html", "css", "js")}
    for name in ("css", "js"):
        parts[f"hash_{name}"] = base64.b64encode(hashlib.sha256(parts[name].encode()).digest()).decode()
    parts["size"] = f"{sum(weight.numel() for weight in base.parameters()):,}"
    parts["pairs"] = "".join(pair_of(row, tuned.template) for row in pairs)
    parts["held_out"], parts["questions"] = held_out_of(scores), questions_of(splits, answers)
    parts["curves"], parts["steps"] = came_of(map(json.loads, log.splitlines()))
    parts["run"] = run_of(json.loads(report)) if report else "No report.json lies beside it."
    parts["report"] = html.escape(report)
    data = {
        "config": vars(base.config), "tokens": tuned.tokenizer.state()["tokens"], "eos": EOS,
        "template": tuned.template, "templates": {name: vars(template) for name, template in TEMPLATES.items()},
        "pairs": [{"turns": [turn._asdict() for turn in row.turns], "system": row.system} for row in pairs],
        "examples": [row.turns[0]._asdict() for row in shown],
    }
    text = "".join(parts.values()) + json.dumps(data).replace("<", "\\u003c")
    data["models"] = pack_models(models, LIMIT - len(text.encode(errors="replace")))
    data["traces"] = [] if data["models"] else [trace(models, row) for row in shown]
    parts["data"] = json.dumps(data).replace("<", "\\u003c")
    page = re.sub(r"<!--(\w+)-->", lambda name: parts[name[1]], parts["html"])
    write_whole(path, lambda file: file.write(page.encode(errors="replace")))
