"""The page of a run: one HTML file, out/page.html, in which base and tuned model answer.

It has tables of report.json, log.jsonl and the answers, and the weights for model.js. `element`
escapes all text of data and models."""

import base64
import hashlib
import html
import json
import re
from pathlib import Path

from common import table
from common.chat import N_FIRST, THRESHOLD
from common.checkpoint import atomic_write
from common.log import read_log
from common.page.trace import trace_all
from common.page.weights import count_weights, pack_models
from data import TEMPLATES, render

LIMIT = 4_000_000  # bytes of a page
MAX_CHARS = 1000  # of a text in the list of questions, and of a pair in part 3
N_PAIRS = 8
EXAMPLES = ("capital of France", "Korean", "SQL", "opposite", "sound", "story", "legs", "sum of")

# --------------------------------------------------------------------------------------------------
# HTML. What is made here can be read without JavaScript.


class Markup(str):
    """Text that is HTML already."""


def element(name: str, *children, **attributes) -> Markup:
    """Make <name attribute="...">children</name>, escaping all but Markup. class_ means class."""
    pairs = [(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items()]
    start = "".join(f' {key}="{html.escape(str(value))}"' for key, value in pairs)
    texts = [child if isinstance(child, Markup) else html.escape(str(child)) for child in children]
    return Markup(f"<{name}{start}>{''.join(texts)}</{name}>")


def spaced(name: str) -> str:
    """Write a name with spaces: base_raw becomes base raw."""
    return name.replace("_", " ")


def table_of(head: list, rows: list, **attributes) -> Markup:
    """Make a table that scrolls if it is wider than the page. The first cell of a row names it."""
    names = [element("th", spaced(name), scope="col") for name in head]
    lines = []
    for first, *cells in rows:
        cells = [element("td", cell) for cell in cells]
        lines.append(element("tr", element("th", first, scope="row"), *cells))
    parts = element("thead", element("tr", *names)), element("tbody", *lines)
    return element("div", element("table", *parts, **attributes), class_="wide", tabindex=0)


def render_pair(row, template: str, eos: str) -> Markup:
    """Render a pair with a span for every piece. page.js divides them into tokens."""
    spans = []
    for text, kind in render(row.turns, template, row.system):
        spans.append(element("span", text + eos * (kind == "answer"), class_=kind))
    return element("li", element("small", spaced(row.task)), element("pre", *spans))


def render_share(score: dict, n: int) -> Markup:
    """Render the share of right answers as a bar, and its interval as a line over the bar."""
    stopped = element("small", f"{score['stopped'] / n:.0%} stopped")
    if not score["judged"]:  # no check knows the right answers
        return stopped
    share = 100 * score["correct"] / score["judged"]
    low, high = (100 * end for end in score["interval"])
    bar = Markup(f'<rect width="{share:.1f}" height="6"/><path d="M{low:.1f} 3H{high:.1f}"/>')
    size = {"viewBox": "0 0 100 6", "preserveAspectRatio": "none", "aria_hidden": "true"}
    interval = element("small", f"{low:.0f} to {high:.0f}%")
    return Markup(element("b", f"{share:.1f}%") + element("svg", bar, **size) + interval + stopped)


def render_scores(scores: dict) -> Markup:
    """Render the held-out table: splits down, models across."""
    names = [name for name in next(iter(scores.values()), {}) if name != "n"]
    rows = []
    for split, score in scores.items():
        title = html.escape(spaced(split)) + element("small", f"{score['n']} questions")
        rows.append([Markup(title), *(render_share(score[name], score["n"]) for name in names)])
    return table_of(["", *names], rows, class_="scores")


def render_questions(splits: dict, answers: dict) -> Markup:
    """Render every held-out question, its expected answer, and the answer of every model."""
    rows = []
    for split, members in splits.items():
        for row, *columns in zip(members, *answers[split].values()):
            question, text, expected = (part[:MAX_CHARS] for part in row.turns[0])
            about = element("q", text) + element("small", f"{spaced(split)}, {row.task}")
            cells = [Markup(html.escape(question) + about), expected]
            for answer, stopped, right in columns:
                answer = answer.strip()[:MAX_CHARS] + " …" * (not stopped)
                mark = {True: "right", False: "wrong", None: "unjudged"}[right]
                cells.append(element("span", answer, class_=mark))
            rows.append(cells)
    head = ["question", "expected", *next(iter(answers.values()), {})]
    return table_of(head, rows, id="questions")


def render_steps(log: list) -> Markup:
    """Render how the model continued one prompt along the way."""
    rows = []
    for record in log:
        if "answer" in record:
            answer = record["answer"] + " …" * (not record["stopped"])
            rows.append([record["stage"], record["step"], record["prompt"], answer])
    return table_of(["stage", "step", "prompt", "answer"], rows, id="steps")


def render_run(report: dict) -> str:
    """Render what report.json says about the machine, the time and the losses."""
    keys = ["seconds", "tokens", "tokens_per_second"]
    rows = []
    for stage, record in (report["stages"] | {"in all": report}).items():
        rows.append([stage, *(f"{record[key]:,}" if key in record else "" for key in keys)])
    losses = ", ".join(f"{name} {loss:.3f}" for name, loss in report["corpus_loss"].items())
    about = f"{report['machine']}. Peak memory: {report['peak_memory_mb']} MB. "
    loss = f"Loss per token (nats) on plain text that was not trained on: {losses}."
    return element("p", about + loss) + table_of(["stage", *keys], rows)


def script_data(tuned, pairs: list, shown: list, log: list, sampling, built_in: bool) -> dict:
    """Collect what page.js needs beside the models."""
    return {
        "template": tuned.template,
        "templates": {name: vars(template) for name, template in TEMPLATES.items()},
        "eos": tuned.tokenizer.decode([tuned.tokenizer.eos_id]),
        "eos_id": tuned.tokenizer.eos_id,
        "pairs": [{"turns": [turn._asdict() for turn in row.turns], "system": row.system}
                  for row in pairs],
        "examples": [row.turns[0]._asdict() for row in shown],
        "losses": [(r["stage"], r["step"], r["loss"]) for r in log if "loss" in r],
        "max_new": sampling.max_new_tokens,
        "n_first": N_FIRST,
        "threshold": THRESHOLD if built_in else 0,
    }


def write(path, models, splits, scores, answers, rows, folder, sampling, built_in=False) -> None:
    """Write the page.

    models: {"base_raw": Assistant, "tuned": ..., perhaps "lora"}, all with one tokenizer. splits:
    {name: held-out rows}. scores, answers: from table.score_models, with the same greedy sampling.
    rows: pairs to show, the first of them first. folder: where report.json and log.jsonl are.
    built_in: it is the built-in world, for which THRESHOLD was measured.
    Raises UserError if the file cannot be written."""
    base, tuned, here = models["base_raw"], models["tuned"], Path(__file__).parent

    # Choose what to show.
    short = [row for row in rows if len(row.system) + len("".join(sum(row.turns, ()))) <= MAX_CHARS]
    pairs = short[:: max(1, len(short) // N_PAIRS)][:N_PAIRS]
    shown = table.shown_rows(splits or {"": rows}, EXAMPLES)
    log = read_log(Path(folder) / "log.jsonl")
    data = script_data(tuned, pairs, shown, log, sampling, built_in)
    file = Path(folder) / "report.json"
    report = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    # Fill in what needs no JavaScript.
    names = ["page.html", "page.css", "model.js", "page.js"]
    page, css, *scripts = [(here / name).read_text(encoding="utf-8") for name in names]
    report_text = json.dumps(report, ensure_ascii=False, indent=1)
    parts = {"css": css, "js": "".join(scripts), "report": html.escape(report_text)}
    for name in ("css", "js"):
        digest = hashlib.sha256(parts[name].encode()).digest()
        parts[f"hash_{name}"] = base64.b64encode(digest).decode()
    parts["size"] = f"{count_weights(base.model):,}"
    parts["pairs"] = "".join(render_pair(row, tuned.template, data["eos"]) for row in pairs)
    parts["scores"], parts["questions"] = render_scores(scores), render_questions(splits, answers)
    parts["steps"] = render_steps(log)
    parts["run"] = render_run(report) if report else ""

    # Add the models, or, if they are too big, traces of their answers.
    room = LIMIT - len(("".join(parts.values()) + json.dumps(data)).encode(errors="replace"))
    data |= pack_models(models, room) or trace_all(base, tuned, shown, sampling)
    parts["data"] = json.dumps(data).replace("<", "\\u003c")  # no text can end the script element
    page = re.sub(r"<!--(\w+)-->", lambda match: parts[match[1]], page)
    atomic_write(path, lambda file: file.write(page.encode(errors="replace")))
