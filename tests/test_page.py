"""The page of a run, opened in a real browser: it computes what torch computes, works by mouse and by keyboard, asks for
nothing, runs nothing that stands in data, and on a telephone nothing in it is cut off."""

import json
import random
import re

import pytest
import torch
from browser import CHROMIUM, Browser, answers_in_page
from helpers import ROOT, TINY, run, tiny_model

import train_sft
from data import Row, Turn, UserError, prepare, render
from common import page, table
from extras import datasets
from generate import Assistant, Sampling, load_assistant, three_models
from model import GPT, GPTConfig
from train_sft import adamw, tune

LETTERS = "aé가각힣한국 \n\t 12٣ _-!?'\"<>&😀👩‍🔬ﬁⅧ‿\u200d\u0301\u3000\u2028İß\x00"
HOSTILE = "</script><script>hacked=1</script><img src=x onerror=hacked=1><!--script-->{}\u2028<b>&amp;"
VISIBLE = "hacked=1</script><img src=x onerror"
SHORT = Sampling(max_new_tokens=8)


def test_the_page_is_small_enough_to_read():
    """250 lines of Python and template together, 450 of JavaScript, and no long lines to get there."""
    files = {name: (ROOT / "extras" / name).read_text(encoding="utf-8").splitlines() for name in ("page.py", "page.html", "page.js")}
    lines = {name: len(text) for name, text in files.items()}
    assert lines["page.py"] + lines["page.html"] <= 250 and lines["page.js"] <= 450, lines
    assert [line for text in files.values() for line in text if len(line) > 120] == []


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no browser")
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A tiny run of the main job, with an adapter."""
    out = tmp_path_factory.mktemp("run")
    assert train_sft.main([*TINY, "--lora", "2", "--out", str(out)]) == 0
    return out


def opened(browser, path, **how):
    """Open a page and wait for its first answers."""
    browser.open(path, **how)
    browser.wait("performance.getEntriesByName('answered').length || !data.models.base")
    return browser


def values(browser, script):
    return json.loads(browser.run(f"(async () => JSON.stringify({script}))()"))


def text_of(browser, selector):
    return browser.run(f"document.querySelector({selector!r}).textContent")


def models_of(out):
    models = three_models(load_assistant(out / "base.pt"), load_assistant(out / "tuned.pt"))
    return models | {"lora": load_assistant(out / "lora.pt")}


def use_what_the_page_has(models):
    """Give the models the weights that the page has."""
    base, kept = models["base_raw"].model, page.pack(models["base_raw"].model.state_dict(), 14)[1]
    for name in ("tuned", "lora"):
        model = models[name].model
        if model.lora:
            whole = {key: kept.get(key.replace(".linear.", ".")) for key in model.state_dict()}
            model.load_state_dict(whole | page.pack(page.lora_state(model), 12)[1])
        else:
            added = page.pack({key: weight - kept[key] for key, weight in model.state_dict().items()}, 7)[1]
            model.load_state_dict({key: kept[key] + weight for key, weight in added.items()})
    base.load_state_dict(kept)
    return models


def page_of(path, models, rows, folder="nowhere"):
    """A page of models that were not trained."""
    splits = {"unseen_inputs": rows}
    page.write(path, models, splits, *table.score_models(models, splits, SHORT), rows, folder)


# ------------------------------------------------------------------------------------------------------------
# What is computed in the page.


def logits_differ(browser, models, names, vocab_size):
    """The largest difference to torch on 50 prompts."""
    generator, worst = torch.Generator().manual_seed(0), 0
    prompts = [torch.randint(0, vocab_size, (1 + i % 30,), generator=generator).tolist() for i in range(50)]
    for name, assistant in names.items():
        found = values(browser, f"{prompts}.map((ids) => Array.from(stream(models.{name}, ids).next().value))")
        for prompt, logits in zip(prompts, found):
            with torch.no_grad():
                expected = models[assistant].model(torch.tensor([prompt]), last=True)[0]
            worst = max(worst, (torch.tensor(logits) - expected).abs().max().item())
    return worst


def test_the_logits_are_those_of_torch(browser, out):
    opened(browser, out / "page.html")
    models = use_what_the_page_has(models_of(out))
    names = {"base": "base_raw", "tuned": "tuned", "lora": "lora"}
    assert logits_differ(browser, models, names, models["tuned"].tokenizer.vocab_size) < 1e-3


def test_a_model_of_gpt2s_shape_runs_too(browser, tmp_path, tokenizer):
    shape = {"position": "learned", "smear": 0, "gelu": "tanh", "vocab_size": tokenizer.vocab_size}
    base, tuned = (Assistant(tiny_model(seed, **shape), tokenizer, "plain") for seed in (0, 1))
    models = three_models(base, tuned)
    page_of(tmp_path / "page.html", models, [Row((Turn("the cat", "", "sat"),))])
    opened(browser, tmp_path / "page.html")
    models["lora"] = tuned
    names = {"base": "base_raw", "tuned": "tuned"}
    assert logits_differ(browser, use_what_the_page_has(models), names, tokenizer.vocab_size) < 1e-3


def taught(seed, examples, tokenizer):
    """A tiny model that has learned some examples well: what an untrained one says hangs on a hair."""
    torch.manual_seed(seed)
    model = GPT(GPTConfig(tokenizer.vocab_size, 64, n_layer=2, n_head=2, n_embd=32))
    tune(model, examples, 150, [adamw(model.parameters(), 1e-2)], batch_size=len(examples), pad=tokenizer.eos_id)
    return model


def test_the_answers_are_those_of_the_full_weights(browser, tmp_path, tokenizer):
    """To 99 %; bench/page.py counts the same for the main job's models and all held-out questions."""
    things = ["cat", "rat", "mat", "map", "capital", "한국", "서울", "café", "Paris", "France"]
    rows = [Row((Turn(f"Name the {thing}", "1234" * (i % 2), f"The {thing} {i * i} is {thing[::-1]}."),)) for i, thing in enumerate(things)]
    eos, encode = tokenizer.eos_id, tokenizer.encode
    texts = [[eos, *encode(f"Name the {thing} and the {thing}, the {thing}"), eos] for thing in things]
    base = taught(0, [(ids, [1] * len(ids)) for ids in texts], tokenizer)
    tuned = taught(1, prepare(rows, tokenizer, "plain", 64)[0], tokenizer)
    models = three_models(Assistant(base, tokenizer, None), Assistant(tuned, tokenizer, "plain"))
    page_of(tmp_path / "page.html", models, rows)
    opened(browser, tmp_path / "page.html")
    same = []
    for name, assistant in models.items():
        expected = assistant.answers(rows, Sampling())
        found = values(browser, answers_in_page(rows, name, assistant.template))
        same += [tuple(one) == other for one, other in zip(found, expected)]
    assert [text for text, _ in expected] == [row.turns[0].output for row in rows]
    assert sum(same) >= 0.99 * len(same) == 0.99 * 30


def test_the_tokens_and_the_prompts_are_the_same(browser, out):
    opened(browser, out / "page.html")
    tuned, rng = load_assistant(out / "tuned.pt"), random.Random(0)
    texts = ["".join(rng.choices(LETTERS, k=rng.randrange(1, 20))) for _ in range(300)] + ["I  can't   stop", "\r\n\n 1 2"]
    assert values(browser, f"{json.dumps(texts)}.map((text) => tokenizer.encode(text))") == [tuned.tokenizer.encode(t) for t in texts]
    for text in texts:
        ids = tuned.tokenizer.encode(text)
        for part in (ids, ids[1:], ids[:-1]):
            assert browser.run(f"tokenizer.decode({part})") == tuned.tokenizer.decode(part)
    for template in [None, *datasets.TEMPLATES]:
        tuned.template = template
        for turn in (Turn("Say it."), Turn("Say it.", "한국 text"), Turn("word " * 200, "word " * 200), Turn("word " * 200)):
            given = json.dumps(turn._asdict())
            try:
                prompt = tuned.prompt([turn])
            except UserError:  # a template that does not fit with these tiny tokens
                continue
            assert browser.run(f"promptParts({given}, {json.dumps(template)}).flatMap(([ids]) => ids)") == prompt


def test_ranks_and_probabilities_are_those_of_torch(browser, out):
    models = use_what_the_page_has(models_of(out))
    opened(browser, out / "page.html")
    for row in table.shown_rows(table.world_splits({}))[:4]:
        expected = page.trace(models, row)
        turn = json.dumps(row.turns[0]._asdict())
        prompt = f"promptParts({turn}, data.template).flatMap(([ids]) => ids)"
        found = values(browser, f"trace({prompt}, {[token['id'] for token in expected]}, models.tuned)")
        for one, other in zip(found, expected, strict=True):
            assert (one["id"], one["rank"]) == (other["id"], other["rank"])
            for name in ("base", "tuned"):
                assert [i for i, _ in one[name]] == [i for i, _ in other[name]]
                assert [p for _, p in one[name]] == pytest.approx([p for _, p in other[name]], abs=1e-5)


# ------------------------------------------------------------------------------------------------------------
# What a person does.


def asked(browser):
    """Wait until a new question is answered."""
    browser.wait("performance.getEntriesByName('answered').length > (window.before ?? 1)")
    browser.run("window.before = performance.getEntriesByName('answered').length")


def test_one_asks_by_a_click_or_by_the_keyboard(browser, out):
    opened(browser, out / "page.html")
    browser.click("#examples button:nth-child(2)")
    asked(browser)
    assert browser.run("document.getElementById('instruction').value === data.examples[1].instruction")
    browser.run("document.querySelectorAll('textarea').forEach((box) => (box.value = '')); document.getElementById('instruction').focus()")
    browser.type("한국의 capital?")
    browser.key("Enter", "\r", 13)
    asked(browser)
    titles = values(browser, "[...document.querySelectorAll('#answers h3')].map((title) => title.textContent)")
    assert titles == ["base, raw prompt", "base + template", "tuned", "lora"]
    models = use_what_the_page_has(models_of(out))
    for i, assistant in enumerate(models.values(), 1):
        text, stopped = assistant.answers([Row((Turn("한국의 capital?"),))], Sampling())[0]
        card = f"#answers article:nth-child({i})"
        assert text_of(browser, f"{card} .text") == text
        assert text_of(browser, f"{card} small").startswith("stopped" if stopped else "did not stop")
        prompt = assistant.tokenizer.decode(assistant.prompt([Turn("한국의 capital?")]))
        assert text_of(browser, f"{card} pre").replace("⏎", "") == prompt
    assert "tuned: " in text_of(browser, "#said") and "a second" in text_of(browser, "#speed")


def test_one_looks_at_tokens_and_goes_on_from_another(browser, out):
    opened(browser, out / "page.html")
    browser.click("#tokens button:nth-child(1)")
    assert browser.run("document.querySelectorAll('#choices tr').length") == 10
    browser.key("ArrowRight")
    pressed = "[...document.querySelectorAll('#tokens button')].findIndex((one) => one.ariaPressed === 'true')"
    assert browser.run(pressed) == 1 and browser.run("document.activeElement.ariaPressed") == "true"
    assert re.fullmatch(r".*: (unshifted|marginal|shifted), number \d+ of the base", browser.run("document.activeElement.title"))
    first = text_of(browser, "#tokens button:nth-child(1)")
    other = text_of(browser, "#choices table:nth-child(1) tr:nth-child(4) button")
    browser.run("document.querySelector('#choices table:nth-child(1) tr:nth-child(4) button').focus()")
    browser.key("Enter", "\r", 13)
    browser.wait(f"document.querySelector('#tokens button:nth-child(2)').title.startsWith({json.dumps(other + ': ')})")
    assert text_of(browser, "#tokens button:nth-child(1)") == first
    browser.run("document.querySelector('#compared select').focus()")
    browser.key("ArrowDown", code=40)
    browser.wait("document.querySelector('#compared select').selectedOptions[0].textContent === 'lora'")


def test_one_sees_the_mask_in_every_template(browser, out):
    opened(browser, out / "page.html")
    pairs = values(browser, "data.pairs")
    assert 1 <= len(pairs) <= 8
    for name in datasets.TEMPLATES:
        select = f"(made => (made.value = '{name}', made.dispatchEvent(new Event('input'))))(document.querySelector('#templates select'))"
        for step in range(2 if name == "alpaca" else 1):  # as it was written, and as the page shows it
            if step or name != "alpaca":
                browser.run(select)
            for i, pair in enumerate(pairs, 1):
                pieces = render([Turn(**turn) for turn in pair["turns"]], name, pair["system"])
                whole = "".join(text + "<|endoftext|>" * (kind == "answer") for text, kind in pieces)
                assert text_of(browser, f"#pairs li:nth-child({i}) pre").replace("⏎", "") == whole
                marked = browser.run(f"[...document.querySelectorAll('#pairs li:nth-child({i}) .answer')].map((s) => s.textContent).join('')")
                assert marked == "".join(turn["output"] + "<|endoftext|>" for turn in pair["turns"])
    browser.run("document.querySelector('#templates select').focus()")
    browser.key("Home", code=36)
    browser.wait("document.querySelector('#templates select').value === Object.keys(data.templates)[0]")


def test_one_filters_the_questions_and_shares_the_filter(browser, tmp_path, tokenizer):
    class Known(Assistant):
        def answers(self, rows, sampling):
            return [(row.turns[0].output if row.task in self.knows else "no", True) for row in rows]

    rows = [Row((Turn(f"question {i}", "", "yes"),), task) for task in ("both", "base", "tuned", "none") for i in range(3)]
    model = tiny_model(vocab_size=tokenizer.vocab_size)
    models = three_models(Known(model, tokenizer, None), Known(tiny_model(1, vocab_size=tokenizer.vocab_size), tokenizer, "plain"))
    models["base_template"] = Known(model, tokenizer, "plain")
    for name, knows in (("base_raw", ()), ("base_template", ("both", "base")), ("tuned", ("both", "tuned"))):
        models[name].knows = knows
    page_of(tmp_path / "page.html", models, rows)
    seen = "[...document.querySelectorAll('#questions tbody tr')].filter((row) => !row.hidden).map((row) => row.task)"
    opened(browser, tmp_path / "page.html")
    assert values(browser, seen) == ["tuned"] * 3
    browser.run("document.querySelector('#filters select').focus()")
    for keys, tasks in ((1, ["none"]), (1, ["base", "none"]), (-3, ["both", "base", "tuned", "none"])):
        for _ in range(abs(keys)):
            browser.key("ArrowDown" if keys > 0 else "ArrowUp", code=40 if keys > 0 else 38)
        assert sorted(set(values(browser, seen))) == sorted(tasks)
    browser.click("#filters input")
    browser.type("question 2")
    assert values(browser, seen) == ["both", "base", "tuned", "none"]
    assert text_of(browser, "#found") == "4 questions"
    link = browser.run("document.getElementById('link').href")
    opened(browser, link)
    assert values(browser, seen) == ["both", "base", "tuned", "none"]
    opened(browser, f"{tmp_path}/page.html#{link.partition('#')[2].replace('task=', 'task=none')}")
    assert values(browser, seen) == ["none"]


def test_one_moves_through_the_steps(browser, out):
    opened(browser, out / "page.html")
    log = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    said = [record for record in log if "answer" in record]
    assert {record["stage"] for record in said} == {"pretrain", "tune", "lora"}
    browser.run("document.querySelector('#slider input').focus()")
    for record in said:
        shown = text_of(browser, "#slider p")
        assert shown.startswith(f"{record['stage']}, step {record['step']}: {record['prompt']} → {record['answer']}")
        assert browser.run(f"document.querySelector('svg[data-stage={record['stage']}] .now').getAttribute('d')").startswith("M")
        browser.key("ArrowRight", code=39)


def test_the_report_stands_in_the_page(browser, out):
    opened(browser, out / "page.html")
    assert json.loads(text_of(browser, "#report")) == json.loads((out / "report.json").read_text(encoding="utf-8"))


# ------------------------------------------------------------------------------------------------------------
# What must not happen.

CUT = """[...document.querySelectorAll('body *')].filter((one) => {
    const box = one.getBoundingClientRect(), style = getComputedStyle(one);
    const beyond = box.width && (box.right > innerWidth + 1 || box.left < -1) && !one.closest('.wide') && one.id !== 'said';
    const hidden = style.overflowX !== 'visible' && one.scrollWidth > one.clientWidth + 1 && one.id !== 'said'
      && !one.classList.contains('wide') && one.clientWidth && one.tagName !== 'SELECT';
    return beyond || hidden;
}).map((one) => one.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("dark", [False, True])
def test_no_request_no_complaint_and_nothing_cut_off(browser, out, width, dark):
    opened(browser, out / "page.html", width=width, dark=dark)
    browser.run("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    assert values(browser, CUT) == []
    assert browser.run("[...document.querySelectorAll('.wide:has(.cards)')].every((one) => one.scrollWidth <= one.clientWidth)")
    browser.click("#examples button:nth-child(2)")
    asked(browser)
    assert browser.requests == [f"file://{out}/page.html"] and browser.complaints == []
    assert (out / "page.html").stat().st_size <= page.LIMIT


def test_the_policy_forbids_requests_and_foreign_scripts(browser, out):
    opened(browser, out / "page.html")
    tries = ["fetch('https://example.org')", "new Image().src = 'https://example.org/x.png'",
             "document.body.append(Object.assign(document.createElement('script'), {textContent: 'hacked = 1'}))"]
    for one in tries:
        browser.run(f"new Promise((end) => {{ addEventListener('securitypolicyviolation', end, {{once: true}}); Promise.resolve({one}).catch(() => 0) }}).then(() => 1)")
    assert browser.run("typeof hacked") == "undefined" and browser.blocked == {"csp"}


def test_hostile_data_template_and_prompt_stay_text(browser, tmp_path, monkeypatch):
    template = datasets.Template(HOSTILE + "\n", "{}" + HOSTILE.replace("{}", ""), HOSTILE.replace("{}", ""))
    monkeypatch.setitem(datasets.TEMPLATES, HOSTILE, template)
    rows = [{"instruction": f"{HOSTILE} {i}", "input": HOSTILE, "output": HOSTILE, "task": HOSTILE} for i in range(30)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n".join(['{"instruction": "\\ud800", "output": "\\ud800"}']))
    options = [*TINY, "--block-size", "1024", "--template", HOSTILE, "--data", str(tmp_path / "rows.jsonl"), "--out", str(tmp_path)]
    assert train_sft.main(options) == 0
    opened(browser, tmp_path / "page.html")
    browser.run(f"ask({{ instruction: {json.dumps(HOSTILE)}, input: {json.dumps(HOSTILE)} }})")
    browser.run("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert browser.run("typeof hacked") == "undefined" and browser.complaints == []
    assert browser.run("document.querySelectorAll('img, b, section script').length") == browser.run("document.querySelectorAll('.scores b, #slider b').length")
    for part in ("#pairs", "#questions", "#run", "#answers", "#examples", "#templates"):
        assert VISIBLE in text_of(browser, part), part


def test_without_javascript_parts_3_to_6_are_there(browser, out):
    browser.open(out / "page.html", script=False)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    shown = browser.run("document.body.innerText")
    assert "Without JavaScript" in shown
    for said in ("unseen inputs", "95 %", "<|endoftext|>", "validation loss", "in all", "loss 5"):
        assert said in shown, said
    assert browser.run("document.querySelectorAll('#questions tbody tr').length") > 50
    assert browser.run("document.querySelectorAll('#steps tbody tr').length") > 20
    assert "tokens_per_second" in text_of(browser, "#report")


def test_models_too_big_to_carry_are_shown_with_what_they_said(browser, out, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "LIMIT", 30_000)
    models = models_of(out)
    rows = table.shown_rows(table.world_splits({}))
    page_of(tmp_path / "page.html", models, rows, out)
    browser.open(tmp_path / "page.html")
    assert browser.complaints == []
    assert "too many for this page" in text_of(browser, "header") and not browser.run("document.getElementById('form').offsetParent")
    expected = page.trace(models, rows[1])
    browser.click("#examples button:nth-child(2)")
    assert browser.run("document.querySelectorAll('#tokens button').length") == len(expected)
    browser.click("#tokens button:nth-child(2)")
    chances = values(browser, "[...document.querySelectorAll('#choices td:last-child')].map((cell) => cell.textContent)")
    assert chances == [f"{100 * p:.1f} %" for name in ("base", "tuned") for _, p in expected[1][name]]
    assert text_of(browser, "#came .grid") and text_of(browser, "#run")


# ------------------------------------------------------------------------------------------------------------
# How a page is made.


def test_generate_makes_the_page_of_two_checkpoints(out, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"instruction": "Name the capital of France.", "output": "Paris."}\n' * 3)
    files = ["--base", out / "base.pt", "--tuned", out / "lora.pt", "--data", rows, "--max-new", 4]
    run("generate.py", *files, "--page", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    found = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    assert list(found["models"]) == ["base", "tuned"] and found["models"]["tuned"]["scale"] == 2
    assert "cannot be written" in run("generate.py", *files, "--page", "/dev/null/x", code=2)


def test_a_stage_that_was_stopped_before_its_first_loss_has_no_curve_and_a_repeated_step_counts_once():
    said = [{"stage": "tune", "step": 0, "prompt": "p", "answer": text, "stopped": False} for text in ("once", "again")]
    assert page.came_of(said)[0].startswith("No losses")
    curves, steps = page.came_of([{"stage": "pretrain", "step": n, "loss": 3.0 - n} for n in (0, 1, 1)] + said)
    assert curves.count("<figure>") == 1 and "loss 3.00 at step 0, 2.00 at step 1" in curves
    assert "again" in steps and "once" not in steps


def test_weights_come_back_within_half_a_step():
    state = {"matrix": torch.randn(6, 8), "zeros": torch.zeros(2, 2), "vector": torch.randn(5)}
    for bits in (7, 8, 14):
        kept = page.pack(state, bits)[1]
        step = state["matrix"].abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
        assert ((kept["matrix"] - state["matrix"]).abs() <= 0.5001 * step).all()
        assert torch.equal(kept["vector"], state["vector"]) and not kept["zeros"].any()
