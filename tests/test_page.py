"""The page of a run, opened in a real browser: it computes what torch computes, shows the contrast
first, hides unsure answers as the chat does, works by mouse and by keyboard, asks for nothing from
the network, and runs nothing that is in data."""

import copy
import json
import random
import re
from types import SimpleNamespace

import pytest
import torch
from browser import CHROMIUM, Browser, answers_in_page
from helpers import ROOT, TINY, tiny_model

import data
import train_sft
from common import page, table
from common.checkpoint import lora_state
from common.cli import UserError
from common.log import read_log
from common.page import trace, weights
from data import Row, Turn, prepare, render
from extras.page import main as make_page
from generate import Assistant, Sampling, load_assistant, load_three, three_models
from model import GPT, GPTConfig
from train_sft import adamw, tune

LETTERS = "aé가각힣한국 \n\t 12٣ _-!?'\"<>&😀👩‍🔬ﬁⅧ‿\u200d\u0301\u3000\u2028İß\x00"
HOSTILE = ("</script><script>hacked=1</script><img src=x onerror=hacked=1><!--script-->{}\u2028"
           "<b>&amp;")
VISIBLE = "hacked=1</script><img src=x onerror"
SHORT = Sampling(max_new_tokens=8)
FILES = [*(ROOT / "common" / "page").glob("*.*"), ROOT / "extras" / "page.py"]
needs_browser = pytest.mark.browser


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium")
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
    """Evaluate JavaScript, which may await, to a value that JSON can carry."""
    return json.loads(browser.run(f"(async () => JSON.stringify({script}))()"))


def text_of(browser, selector):
    return browser.run(f"document.querySelector({json.dumps(selector)}).textContent")


def texts_of(browser, selector):
    nodes = f"[...document.querySelectorAll({json.dumps(selector)})]"
    return values(browser, f"{nodes}.map((node) => node.textContent)")


def models_of(out):
    models = three_models(load_assistant(out / "base.pt"), load_assistant(out / "tuned.pt"))
    return models | {"lora": load_assistant(out / "lora.pt")}


def use_weights_of_the_page(models):
    """Give the models the weights that the page has."""
    base = models["base_raw"].model
    rounded = weights.pack(base.state_dict(), 14)[1]
    for name in models.keys() & {"tuned", "lora"}:
        model = models[name].model
        if model.lora:
            state = {key: rounded.get(key.replace(".linear.", ".")) for key in model.state_dict()}
            model.load_state_dict(state | weights.pack(lora_state(model), 12)[1])
        else:
            changes = {key: w - rounded[key] for key, w in model.state_dict().items()}
            changes = weights.pack(changes, 7)[1]
            model.load_state_dict({key: rounded[key] + w for key, w in changes.items()})
    base.load_state_dict(rounded)
    return models


def write_page(path, models, rows, folder="nowhere", **options):
    """Write a page of models that were not trained by the main job."""
    splits = {"unseen_inputs": rows}
    scores, answers = table.score_models(models, splits, SHORT)
    page.write(path, models, splits, scores, answers, rows, folder, SHORT, **options)


# --------------------------------------------------------------------------------------------------
# Computed in the page.


def largest_difference(browser, models, names, vocab_size):
    """Compare the page's logits with torch's after 50 prompts."""
    generator, worst = torch.Generator().manual_seed(0), 0
    prompts = []
    for i in range(50):
        ids = torch.randint(0, vocab_size, (1 + i % 30,), generator=generator)
        prompts.append(ids.tolist())
    for name, assistant in names.items():
        next_logits = f"Array.from(stream(models.{name}, ids).next().value)"
        rows = values(browser, f"{prompts}.map((ids) => {next_logits})")
        for prompt, logits in zip(prompts, rows):
            with torch.no_grad():
                expected = models[assistant].model(torch.tensor([prompt]))[0, -1]
            worst = max(worst, (torch.tensor(logits) - expected).abs().max().item())
    return worst


@needs_browser
def test_the_logits_are_those_of_torch(browser, out):
    opened(browser, out / "page.html")
    models = use_weights_of_the_page(models_of(out))
    names = {"base": "base_raw", "tuned": "tuned", "lora": "lora"}
    assert largest_difference(browser, models, names, models["tuned"].tokenizer.vocab_size) < 1e-3


@needs_browser
def test_a_model_of_gpt2s_shape_runs_too(browser, tmp_path, tokenizer):
    shape = {"position": "learned", "smear": 0, "gelu": "tanh", "vocab_size": tokenizer.vocab_size}
    base, tuned = (Assistant(tiny_model(seed, **shape), tokenizer, "plain") for seed in (0, 1))
    models = three_models(base, tuned)
    write_page(tmp_path / "page.html", models, [Row((Turn("the cat", "", "sat"),))])
    opened(browser, tmp_path / "page.html")
    names = {"base": "base_raw", "tuned": "tuned"}
    models = use_weights_of_the_page(models)
    assert largest_difference(browser, models, names, tokenizer.vocab_size) < 1e-3


def taught(seed, examples, tokenizer):
    """Make a tiny model that knows some examples well. The answers of an untrained one hang on a
    hair."""
    torch.manual_seed(seed)
    model = GPT(GPTConfig(tokenizer.vocab_size, 64, n_layer=2, n_head=2, n_embd=32))
    optimizers = [adamw(model.parameters(), 1e-2)]
    tune(model, examples, 150, optimizers, batch_size=len(examples), pad=tokenizer.eos_id)
    return model


@pytest.fixture(scope="module")
def ten_models(tokenizer):
    """Models that know ten things, and rows that ask for them."""
    things = ["cat", "rat", "mat", "map", "capital", "한국", "서울", "café", "Paris", "France"]
    rows = []
    for i, thing in enumerate(things):
        answer = f"The {thing} {i * i} is {thing[::-1]}."
        rows.append(Row((Turn(f"Name the {thing}", "1234" * (i % 2), answer),), task="name"))
    eos, encode = tokenizer.eos_id, tokenizer.encode
    texts = [f"Name the {thing} and the {thing}, the {thing}" for thing in things]
    documents = [[eos, *encode(text), eos] for text in texts]
    base = taught(0, [(ids, [1] * len(ids)) for ids in documents], tokenizer)
    tuned = taught(1, prepare(rows, tokenizer, "plain", 64)[0], tokenizer)
    base, tuned = Assistant(base, tokenizer, None), Assistant(tuned, tokenizer, "plain")
    return three_models(base, tuned), rows


@needs_browser
def test_the_answers_are_those_of_the_full_weights(browser, tmp_path, ten_models):
    """99% of them. bench/page.py counts all held-out questions of the main job."""
    models, rows = ten_models
    scores, answers = table.score_models(models, {"all": rows}, Sampling())
    arguments = ({"all": rows}, scores, answers, rows, "nowhere", Sampling())
    page.write(tmp_path / "page.html", models, *arguments)
    opened(browser, tmp_path / "page.html")
    same = []
    for name, assistant in models.items():
        expected = assistant.answers(rows, Sampling())
        in_page = values(browser, answers_in_page(rows, name, assistant.template))
        same += [tuple(one) == other for one, other in zip(in_page, expected)]
    assert [text for text, _ in expected] == [row.turns[0].output for row in rows]
    assert sum(same) >= 0.99 * len(same) == 0.99 * 30


@needs_browser
def test_the_tokens_and_the_prompts_are_the_same(browser, out):
    opened(browser, out / "page.html")
    tuned, rng = load_assistant(out / "tuned.pt"), random.Random(0)
    texts = ["I  can't   stop", "\r\n\n 1 2"]
    texts += ["".join(rng.choices(LETTERS, k=rng.randrange(1, 20))) for _ in range(300)]
    all_ids = [tuned.tokenizer.encode(text) for text in texts]
    encoded = f"{json.dumps(texts)}.map((text) => tokenizer.encode(text))"
    assert values(browser, encoded) == all_ids

    # Parts of characters, too.
    parts = [part for ids in all_ids for part in (ids, ids[1:], ids[:-1])]
    decoded = values(browser, f"{parts}.map((ids) => tokenizer.decode(ids))")
    assert decoded == [tuned.tokenizer.decode(part) for part in parts]

    # Prompts, long ones truncated.
    turns = [Turn("Say it."), Turn("Say it.", "한국 text"), Turn("word " * 200, "word " * 200),
             Turn("word " * 200)]
    for template in [None, *data.TEMPLATES]:
        tuned.template = template
        for turn in turns:
            arguments = f"{json.dumps(turn._asdict())}, {json.dumps(template)}"
            try:
                prompt = tuned.prompt([turn])
            except UserError:  # a template that does not fit with these tiny tokens
                continue
            ids = f"promptParts({arguments}).flatMap(([ids]) => ids)"
            assert values(browser, ids) == prompt


@needs_browser
def test_ranks_and_probabilities_are_those_of_torch(browser, out):
    models = use_weights_of_the_page(models_of(out))
    tuned = models["tuned"]
    opened(browser, out / "page.html")
    for row in table.shown_rows(table.world_splits({}))[:4]:
        prompt = tuned.prompt(row.turns[:1])
        ((ids, stopped),) = tuned.complete([row], [prompt], Sampling())
        ids += [tuned.tokenizer.eos_id] * stopped
        expected = trace.trace(models["base_raw"], tuned, prompt, ids)
        tokens = values(browser, f"trace({prompt}, {ids}, models.base, models.tuned)")
        for token, other in zip(tokens, expected, strict=True):
            assert (token["id"], token["rank"]) == (other["id"], other["rank"])
            for name in ("base", "tuned"):
                assert [i for i, _ in token[name]] == [i for i, _ in other[name]]
                p = [p for _, p in other[name]]
                assert [p for _, p in token[name]] == pytest.approx(p, abs=1e-5)


# --------------------------------------------------------------------------------------------------
# The first view: the contrast, and no false statements.


@needs_browser
@pytest.mark.parametrize("width, height", [(360, 640), (800, 1000), (1280, 800)])
def test_question_base_and_tuned_are_beside_each_other_in_the_first_view(
    browser, tmp_path, ten_models, width, height
):
    write_page(tmp_path / "page.html", *ten_models)
    opened(browser, tmp_path / "page.html", width=width, height=height)
    first = ten_models[1][0].turns[0]
    assert browser.run("document.getElementById('instruction').value") == first.instruction
    box = "document.querySelector('#answers article.{} .text').getBoundingClientRect().toJSON()"
    base, tuned = (browser.run(box.format(name)) for name in ("base", "tuned"))
    assert base["right"] < tuned["left"] and max(base["top"], tuned["top"]) < 0.6 * height
    assert tuned["bottom"] <= height and browser.run("scrollY") == 0
    assert texts_of(browser, "#answers h3") == ["base raw", "tuned"]


def ask(browser, question):
    """Ask by the keyboard and wait for the answers."""
    browser.run("performance.clearMarks()")
    browser.run("document.getElementById('input').value = ''")
    browser.run("document.getElementById('instruction').select()")
    browser.type(question)
    browser.key("Enter", "\r", 13)
    browser.wait("performance.getEntriesByName('answered').length")


@needs_browser
def test_an_unsure_answer_is_hidden_and_can_be_shown(browser, tmp_path, ten_models):
    """Whether it is hidden is computed with torch."""
    models, rows = ten_models
    write_page(tmp_path / "page.html", models, rows, built_in=True)
    tuned = use_weights_of_the_page(copy.deepcopy(models))["tuned"]
    opened(browser, tmp_path / "page.html")
    confident = [row.turns[0].instruction for row in rows[::2]]
    n_hidden = 0
    for question in [*confident, "sat sat map", "Who?", "the cat the France", "1234 aaaa"]:
        prompt = tuned.prompt([Turn(question)])
        ((ids, stopped),) = tuned.complete([None], [prompt], SHORT)
        text, ids = tuned.tokenizer.decode(ids), ids + [tuned.tokenizer.eos_id] * stopped
        p = tuned.logits(prompt + ids[:-1])[len(prompt) - 1 :].softmax(1)
        confidence = p[range(len(ids)), ids][:7].prod().item()
        assert abs(confidence - 0.30) > 0.01  # else rounding decides

        ask(browser, question)
        card = "#answers article.tuned"
        hidden = browser.run(f"!!document.querySelector('{card} .unsure')")
        assert hidden == (confidence < 0.30), question
        if not hidden:
            assert text_of(browser, f"{card} .text") == text.strip()
            continue
        n_hidden += 1
        assert "isn't sure" in text_of(browser, f"{card} > .text")
        visible = browser.run("answers.innerText + tokens.innerText + choices.innerText")
        assert text.strip() not in visible or not text.strip()
        assert not browser.run("document.querySelector('#tokens button')")
        browser.click(f"{card} .unsure summary")
        browser.wait("document.querySelector('#tokens button')")
        assert browser.run(f"document.querySelector('{card} .unsure').open")
        assert text_of(browser, f"{card} .unsure .text") == text
        assert f"{100 * confidence:.1f}%" in text_of(browser, f"{card} .unsure")
    assert n_hidden >= 2
    assert not browser.run("!!document.querySelector('article.base .unsure')")


@needs_browser
@pytest.mark.parametrize("built_in", [True, False])
def test_small_talk_gets_a_line_of_the_page_in_the_built_in_world_only(
    browser, tmp_path, ten_models, built_in
):
    models, rows = ten_models
    write_page(tmp_path / "page.html", models, rows, built_in=built_in)
    opened(browser, tmp_path / "page.html")
    for question in ("hi", "Hello there!", "THANKS", "who are you?"):
        ask(browser, question)
        line = text_of(browser, "#answers article.tuned > .text")
        assert ("This line is the page's" in line) == built_in
    for question in ("Hi! Name the cat", "Who are you to ask"):
        ask(browser, question)
        assert "the page's" not in text_of(browser, "#answers article.tuned > .text")


@needs_browser
def test_an_empty_question_is_not_asked(browser, out):
    opened(browser, out / "page.html")
    before = browser.run("nAsked")
    for text in ("", "   "):
        browser.run("document.getElementById('instruction').select()")
        browser.type(text) if text else browser.key("Delete", code=46)
        browser.key("Enter", "\r", 13)
        browser.click("#form > button")
    assert browser.run("nAsked") == before


# --------------------------------------------------------------------------------------------------
# Every control.


@needs_browser
def test_asking_by_a_click_and_by_the_keyboard(browser, out):
    opened(browser, out / "page.html")
    browser.run("performance.clearMarks()")
    browser.click("#examples button:nth-child(2)")
    browser.wait("performance.getEntriesByName('answered').length")
    instruction = "document.getElementById('instruction').value"
    assert browser.run(f"{instruction} === data.examples[1].instruction")

    # A question with a text, by the button.
    browser.click("#form summary")
    browser.click("#input")
    browser.type("a text")
    browser.run("performance.clearMarks()")
    browser.click("#form > button")
    browser.wait("performance.getEntriesByName('answered').length")
    assert "a text" in text_of(browser, "#answers article.tuned pre")

    # A question that does not fit.
    ask(browser, "word " * 300)
    prompt = browser.run("promptParts({instruction: 'word '.repeat(300)}, data.template, 1e9)")
    n = sum(len(ids) for ids, _ in prompt) - 112
    assert f"112 tokens ({n} more did not fit)" in text_of(browser, "article.tuned")

    # A question without one, by Enter, and all four answers.
    ask(browser, "한국의 capital?")
    browser.click("#others summary")
    assert texts_of(browser, "article h3") == ["base raw", "tuned", "base template", "lora"]
    models = use_weights_of_the_page(models_of(out))
    names = ["base_raw", "tuned", "base_template", "lora"]
    question = Turn("한국의 capital?")
    for i, assistant in enumerate(models[name] for name in names):
        ((text, stopped),) = assistant.answers([Row((question,))], Sampling())
        card = f"[...document.querySelectorAll('article')][{i}]"
        in_card = browser.run(f"({card}.querySelector('.unsure .text') ?? "
                              f"{card}.querySelector('.text')).textContent")
        assert in_card.strip() == (text.strip() or "(nothing)")
        if not browser.run(f"!!{card}.querySelector('.unsure')"):
            end = browser.run(f"{card}.querySelector('.text + small').textContent")
            assert end.startswith("stopped" if stopped else "didn't stop")
        prompt = assistant.tokenizer.decode(assistant.prompt([question]))
        browser.run(f"{card}.querySelector('details:last-child summary').click()")
        assert browser.run(f"{card}.querySelector('pre').innerText").replace("⏎", "") == prompt
    assert "tuned: " in text_of(browser, "#status")
    assert "tokens per second" in text_of(browser, "#speed")


@needs_browser
def test_looking_at_tokens_and_going_on_from_another(browser, out, tmp_path):
    models = models_of(out)
    write_page(tmp_path / "page.html", models, table.shown_rows(table.world_splits({})))
    opened(browser, tmp_path / "page.html")
    browser.click("#tokens button:nth-child(1)")
    assert browser.run("document.querySelectorAll('#choices tr').length") == 10
    browser.key("ArrowRight")
    buttons = "[...document.querySelectorAll('#tokens button')]"
    assert browser.run(f"{buttons}.findIndex((one) => one.ariaPressed === 'true')") == 1
    title = browser.run("document.activeElement.title")
    rank = r"unshifted, the base's first|marginal, the base's (2nd|3rd)|shifted, the base's \d+\w\w"
    assert re.fullmatch(rf".*: ({rank}) choice", title)

    # Choose another second token, by the keyboard.
    first = text_of(browser, "#tokens button:nth-child(1)")
    other = "#choices table:nth-child(1) tr:nth-child(4) button"
    text = text_of(browser, other)
    browser.run(f"document.querySelector('{other}').focus()")
    browser.key("Enter", "\r", 13)
    second = "document.querySelector('#tokens button:nth-child(2)')"
    browser.wait(f"{second}.title.startsWith({json.dumps(text + ': ')})")
    assert text_of(browser, "#tokens button:nth-child(1)") == first

    # The other tuned model.
    browser.run("document.querySelector('#compared select').focus()")
    browser.key("ArrowDown", code=40)
    chosen = "document.querySelector('#compared select').selectedOptions[0].textContent"
    browser.wait(f"{chosen} === 'lora'")


@needs_browser
def test_the_mask_in_every_template(browser, out):
    opened(browser, out / "page.html")
    pairs = values(browser, "data.pairs")
    assert 1 <= len(pairs) <= page.N_PAIRS
    for name in ["", *data.TEMPLATES]:  # first as the page opens
        if name:
            browser.run(f"""(menu => {{
                menu.value = '{name}';
                menu.dispatchEvent(new Event('input'));
            }})(document.querySelector('#templates select'))""")
        for i, pair in enumerate(pairs, 1):
            turns = [Turn(**turn) for turn in pair["turns"]]
            pieces = render(turns, name or "alpaca", pair["system"])
            text = "".join(text + data.EOS * (kind == "answer") for text, kind in pieces)
            shown = text_of(browser, f"#pairs li:nth-child({i}) pre")
            assert shown.replace("⏎", "") == text
            marked = "".join(texts_of(browser, f"#pairs li:nth-child({i}) .answer"))
            assert marked == "".join(turn.output + data.EOS for turn in turns)
    browser.run("document.querySelector('#templates select').focus()")
    browser.key("Home", code=36)
    first = "Object.keys(data.templates)[0]"
    browser.wait(f"document.querySelector('#templates select').value === {first}")


class Knowing(Assistant):
    """Answers the questions of the tasks in `knows`."""

    def answers(self, rows, sampling):
        return [(row.turns[0].output if row.task in self.knows else "no", True) for row in rows]


def models_that_know(tokenizer, **knows):
    model = tiny_model(vocab_size=tokenizer.vocab_size)
    tuned = Knowing(tiny_model(1, vocab_size=tokenizer.vocab_size), tokenizer, "plain")
    models = three_models(Knowing(model, tokenizer, None), tuned)
    models["base_template"] = Knowing(model, tokenizer, "plain")
    for name, tasks in knows.items():
        models[name].knows = tasks
    return models


SHOWN = "[...document.querySelectorAll('#questions tbody tr')].filter((row) => !row.hidden)"


@needs_browser
def test_the_list_is_folded_and_filtered_and_the_filter_is_shared(browser, tmp_path, tokenizer):
    rows = []
    for task in ("both", "base", "tuned", "none"):
        judged = {"check": {"world": task}}
        rows += [Row((Turn(f"question {i}", "", "yes"),), task, **judged) for i in range(3)]
    knows = {"base_raw": (), "base_template": ("both", "base"), "tuned": ("both", "tuned")}
    write_page(tmp_path / "page.html", models_that_know(tokenizer, **knows), rows)
    tasks = f"{SHOWN}.map((row) => row.task)"
    opened(browser, tmp_path / "page.html")
    assert not browser.run("document.getElementById('all').open")
    browser.click("#all > summary")
    assert values(browser, tasks) == ["tuned"] * 3
    browser.run("document.querySelector('#filters select').focus()")
    moves = (("ArrowDown", 40, 1, ["none"]), ("ArrowDown", 40, 1, ["base", "none"]),
             ("ArrowUp", 38, 3, ["base", "both", "none", "tuned"]))
    for key, code, n, expected in moves:
        for _ in range(n):
            browser.key(key, code=code)
        assert sorted(set(values(browser, tasks))) == expected
    for i, name in ((2, "split"), (3, "task")):
        select = f"#filters label:nth-child({i}) select"
        assert text_of(browser, f"#filters label:nth-child({i})").startswith(name)
        browser.run(f"document.querySelector('{select}').focus()")
        browser.key("ArrowDown", code=40)
    assert set(values(browser, tasks)) == {"both"}
    browser.key("ArrowUp", code=38)
    browser.click("#filters input")
    browser.type("question 2")
    assert values(browser, tasks) == ["both", "base", "tuned", "none"]
    assert text_of(browser, "#matches") == "4 questions"

    # Open the link.
    link = browser.run("document.getElementById('link').href")
    opened(browser, link)
    assert browser.run("document.getElementById('all').open")
    assert values(browser, tasks) == ["both", "base", "tuned", "none"]
    _, _, shared = link.partition("#")
    opened(browser, f"{tmp_path}/page.html#{shared.replace('task=', 'task=none')}")
    assert values(browser, tasks) == ["none"]


@needs_browser
def test_more_questions_are_shown_when_asked_for(browser, tmp_path, tokenizer):
    rows = [Row((Turn(f"question {i}", "", "yes"),), "task") for i in range(30)]
    knows = {"base_raw": (), "base_template": (), "tuned": ("task",)}
    write_page(tmp_path / "page.html", models_that_know(tokenizer, **knows), rows)
    opened(browser, tmp_path / "page.html")
    browser.click("#all > summary")
    assert browser.run(f"{SHOWN}.length") == 10
    browser.click("#more")
    assert browser.run(f"{SHOWN}.length") == 30 and browser.run("!more.offsetParent")


@needs_browser
def test_each_word_of_the_table_is_explained_where_it_is(browser, tmp_path, tokenizer):
    models = models_that_know(tokenizer, base_raw=(), base_template=(), tuned=())
    rows = [Row((Turn("question", "", "yes"),), "task")]
    splits = {name: rows for name in ("unseen_inputs", "unknown_things", "my.jsonl")}
    scores, answers = table.score_models(models, splits, SHORT)
    page.write(tmp_path / "page.html", models, splits, scores, answers, rows, "nowhere", SHORT)
    opened(browser, tmp_path / "page.html")
    heads = "[...document.querySelectorAll('.scores th')].map((head) => head.title.length > 10)"
    assert values(browser, heads) == [False, True, True, True, True, True, False]
    heads = texts_of(browser, ".scores tbody th")
    assert "in no" not in heads[0] and "about other things" in heads[0]
    assert heads[2] == "my.jsonl1 questions"
    assert texts_of(browser, "#words dt") == ["base raw", "base template", "tuned"]


@needs_browser
def test_moving_through_the_steps_moves_a_line_over_the_curves(browser, out):
    opened(browser, out / "page.html")
    log = (out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    records = [record for record in map(json.loads, log) if "answer" in record]
    assert {record["stage"] for record in records} == {"pretrain", "tune", "lora"}
    browser.run("document.querySelector('#slider input').focus()")
    places = []
    for record in records:
        start = f"{record['stage']}, step {record['step']}: "
        start += f"{record['prompt']} → {record['answer']}"
        assert text_of(browser, "#slider p").startswith(start)
        line = f"document.querySelector('.now[data-stage={record['stage']}]').getAttribute('d')"
        places.append((record["stage"], float(browser.run(line)[1:].split()[0])))
        browser.key("ArrowRight", code=39)
    assert places == sorted(places, key=lambda one: (places.index((one[0], 46.0)), one[1]))


@needs_browser
def test_the_curves_have_names_units_and_the_losses_of_the_log(browser, out):
    opened(browser, out / "page.html")
    log = (out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [record for record in map(json.loads, log) if "loss" in record]
    for i, stage in enumerate(("pretrain", "tune", "lora"), 1):
        points = [record for record in losses if record["stage"] == stage]
        figure = text_of(browser, f"#curves figure:nth-child({i})")
        first, last = points[0]["loss"], points[-1]["loss"]
        assert f"{stage}: loss {first:.2f} at step 0, {last:.2f} at step" in figure
        assert "loss per token (nats)" in figure and "step" in figure
        line = f"#curves figure:nth-child({i}) polyline"
        xy = browser.run(f"document.querySelector('{line}').getAttribute('points')").split()
        heights = [140 - float(one.split(",")[1]) for one in xy]
        expected = [record["loss"] / points[0]["loss"] for record in points]
        assert [one / heights[0] for one in heights] == pytest.approx(expected, abs=1e-3)


@needs_browser
def test_the_report_is_in_the_page(browser, out):
    opened(browser, out / "page.html")
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert json.loads(text_of(browser, "#report")) == report


@needs_browser
def test_every_link_and_every_fold_leads_somewhere(browser, out):
    opened(browser, out / "page.html")
    links = "[...document.querySelectorAll('.brand a, #parts a')]"
    n = browser.run(f"{links}.length")
    assert n == 7
    for i in range(n):
        browser.run(f"{links}[{i}].click()")
        assert browser.run(f"document.querySelector({links}[{i}].hash).offsetHeight > 0")
    assert "python train_sft.py" in text_of(browser, "#own pre")
    folds = browser.run("document.querySelectorAll('details').length")
    for i in range(folds):
        fold = f"document.querySelectorAll('details')[{i}]"
        browser.run(f"{fold}.querySelector('summary').click()")
        assert browser.run(f"{fold}.open && {fold}.querySelector('summary').textContent.length > 4")


# --------------------------------------------------------------------------------------------------
# What must not happen.

CUT = """[...document.querySelectorAll('body *')].filter((one) => {
    const box = one.getBoundingClientRect(), style = getComputedStyle(one);
    const inside = one.closest('.wide') || one.id === 'status';
    const beyond = box.width && (box.right > innerWidth + 1 || box.left < -1) && !inside;
    const narrow = one.clientWidth && one.scrollWidth > one.clientWidth + 1;
    const scrolls = one.classList.contains('wide') || one.tagName === 'SELECT';
    return beyond || style.overflowX !== 'visible' && narrow && !scrolls && one.id !== 'status';
}).map((one) => one.outerHTML.slice(0, 120))"""


@needs_browser
@pytest.mark.parametrize("width", [360, 800, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_no_request_no_complaint_and_nothing_cut_off(browser, out, width, dark):
    opened(browser, out / "page.html", width=width, dark=dark)
    browser.run("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    assert values(browser, CUT) == []
    cards = "[...document.querySelectorAll('.wide:has(.cards)')]"
    assert browser.run(f"{cards}.every((one) => one.scrollWidth <= one.clientWidth)")
    browser.run("performance.clearMarks()")
    browser.click("#examples button:nth-child(2)")
    browser.wait("performance.getEntriesByName('answered').length")
    assert browser.requests == [f"file://{out}/page.html"] and browser.complaints == []
    assert (out / "page.html").stat().st_size <= page.LIMIT


CONTRAST = """[...document.querySelectorAll('body *')].filter((one) => {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    return own && one.offsetParent && !(one instanceof SVGElement);
}).map((one) => {
    const colors = (name) => getComputedStyle(one)[name].match(/[\\d.]+/g).map(Number);
    let back = one;
    const clear = (node) => getComputedStyle(node).backgroundColor === 'rgba(0, 0, 0, 0)';
    while (back !== document.documentElement && clear(back)) back = back.parentElement;
    const light = (color) => {
        const linear = color.slice(0, 3).map((value) => value / 255)
            .map((value) => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const under = getComputedStyle(back).backgroundColor.match(/[\\d.]+/g).map(Number);
    const [dark, bright] = [light(colors('color')), light(under)].sort((a, b) => a - b);
    return [(bright + 0.05) / (dark + 0.05), one.outerHTML.slice(0, 100)];
}).filter(([ratio]) => ratio < 4.5)"""


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_all_text_can_be_read_by_its_contrast(browser, out, dark):
    """At least 4.5 to 1, as WCAG 2.1 asks for (level AA)."""
    opened(browser, out / "page.html", dark=dark)
    browser.run("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert values(browser, CONTRAST) == []


@needs_browser
def test_the_policy_forbids_requests_and_foreign_scripts(browser, out):
    opened(browser, out / "page.html")
    script = "Object.assign(document.createElement('script'), {textContent: 'hacked = 1'})"
    attempts = ["fetch('https://example.org')", "new Image().src = 'https://example.org/x.png'",
                f"document.body.append({script})"]
    for attempt in attempts:
        browser.run(f"""new Promise((end) => {{
            addEventListener('securitypolicyviolation', end, {{once: true}});
            Promise.resolve({attempt}).catch(() => 0) }}).then(() => 1)""")
    assert browser.run("typeof hacked") == "undefined" and browser.blocked == {"csp"}


@needs_browser
def test_hostile_data_template_and_prompt_stay_text(browser, tmp_path, monkeypatch):
    inner = HOSTILE.replace("{}", "")
    template = data.Template(HOSTILE + "\n", "{}" + inner, inner)
    monkeypatch.setitem(data.TEMPLATES, HOSTILE, template)
    rows = []
    for i in range(30):
        rows.append({"instruction": f"{HOSTILE} {i}", "input": HOSTILE, "output": HOSTILE,
                     "task": HOSTILE})
    lines = [*map(json.dumps, rows), '{"instruction": "\\ud800", "output": "\\ud800"}']
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    options = ["--block-size", "1024", "--template", HOSTILE, "--out", str(tmp_path)]
    assert train_sft.main([*TINY, *options, "--data", str(tmp_path / "rows.jsonl")]) == 0
    opened(browser, tmp_path / "page.html")
    hostile = json.dumps(HOSTILE)
    browser.run(f"ask({{ instruction: {hostile}, input: {hostile} }})")
    browser.run("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert browser.run("typeof hacked") == "undefined" and browser.complaints == []
    foreign = "document.querySelectorAll('img, section script, #questions b, #pairs b').length"
    assert browser.run(foreign) == 0
    for part in ("#pairs", "#questions", "#run", "#answers", "#examples", "#templates"):
        assert VISIBLE in text_of(browser, part), part


@needs_browser
def test_without_javascript_the_tables_are_there(browser, out):
    browser.open(out / "page.html", script=False)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    browser.run("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    shown = browser.run("document.body.innerText")
    assert "need JavaScript" in shown
    for words in ("unseen inputs", "kinds of questions in the tuning data", "95%", "<|endoftext|>",
                  "plain text that was not trained on", "in all", "python train_sft.py"):
        assert words in shown, words
    assert browser.run("document.querySelectorAll('#questions tbody tr').length") > 50
    shown = [record for record in read_log(out / "log.jsonl") if "answer" in record]
    n_rows = browser.run("document.querySelectorAll('#steps tbody tr').length")
    assert n_rows == len(shown) > 8
    assert "tokens_per_second" in text_of(browser, "#report")
    assert not browser.run("!!document.querySelector('#form').offsetParent")


# --------------------------------------------------------------------------------------------------
# Models that are too big for the page.


class OneModel:
    """Two Assistants that share one model, with the adapter on or off, and a tokenizer of which
    only four methods are known: all that the page may ask a big model for."""

    def __init__(self, assistant, base, adapter_on):
        tokenizer = assistant.tokenizer
        names = ("encode", "decode", "token_bytes", "eos_id")
        self.tokenizer = SimpleNamespace(**{name: getattr(tokenizer, name) for name in names})
        self.model, self.template = assistant.model, assistant.template
        current = assistant if adapter_on else base
        self.logits, self.complete, self.prompt = current.logits, current.complete, current.prompt
        self.answers, self.lora = current.answers, adapter_on


@needs_browser
def test_big_models_are_shown_with_answers_tokens_table_and_curves(
    browser, out, tmp_path, monkeypatch
):
    monkeypatch.setattr(page, "LIMIT", 30_000)
    own = models_of(out)
    models = {"base_raw": OneModel(own["lora"], own["base_raw"], False),
              "base_template": OneModel(own["lora"], own["base_template"], False),
              "tuned": OneModel(own["lora"], own["lora"], True)}
    rows = table.shown_rows(table.world_splits({}))
    write_page(tmp_path / "page.html", models, rows, out)
    browser.open(tmp_path / "page.html")
    assert browser.complaints == []
    assert "too big for this page" in text_of(browser, "#here")
    assert not browser.run("document.getElementById('form').offsetParent")
    assert not browser.run("document.getElementById('templates').offsetParent")

    # The answers, computed when the page was made.
    browser.click("#examples button:nth-child(2)")
    assert rows[1].turns[0].instruction in text_of(browser, "#question")
    assert texts_of(browser, "article h3") == ["base raw", "tuned", "base template"]
    for i, name in enumerate(("base_raw", "tuned", "base_template")):
        ((text, stopped),) = models[name].answers([rows[1]], SHORT)
        card = f"[...document.querySelectorAll('article')][{i}]"
        shown = browser.run(f"{card}.querySelector('.text').textContent")
        assert shown == text.strip() + " …" * (not stopped)

    # The tokens.
    prompt = own["lora"].prompt(rows[1].turns[:1])
    ((ids, stopped),) = own["lora"].complete([rows[1]], [prompt], SHORT)
    ids = ids + [own["lora"].tokenizer.eos_id] * stopped
    expected = trace.trace(own["base_raw"], own["lora"], prompt, ids)
    assert browser.run("document.querySelectorAll('#tokens button').length") == len(expected)
    browser.click("#tokens button:nth-child(2)")
    chances = [f"{100 * p:.1f}%" for name in ("base", "tuned") for _, p in expected[1][name]]
    assert texts_of(browser, "#choices td:last-child") == chances
    assert browser.run("document.querySelectorAll('#curves figure').length") == 3
    assert browser.run("document.querySelectorAll('.scores tbody tr').length") == 1
    assert values(browser, "data.models") == {} and "config" not in values(browser, "data")


@needs_browser
def test_answers_that_nothing_can_judge_are_never_called_right_or_wrong(
    browser, tmp_path, ten_models
):
    models, rows = ten_models
    scores, answers = table.score_models(models, {"mine": rows}, SHORT)
    for name, column in answers["mine"].items():
        answers["mine"][name] = [(text, stopped, None) for text, stopped, _ in column]
        scores["mine"][name] |= {"correct": None, "interval": None}
    page.write(tmp_path / "page.html", models, {"mine": rows}, scores, answers, rows, "nowhere",
               SHORT)
    opened(browser, tmp_path / "page.html")
    cells = browser.run("document.querySelector('.scores tbody').innerText")
    assert "stopped" in cells and "%" in cells and "0.0%" not in cells
    marks = "document.querySelectorAll('#questions .right, #questions .wrong').length"
    assert browser.run(marks) == 0


# --------------------------------------------------------------------------------------------------
# How a page is made.


def test_the_files_are_small_enough_to_read():
    """No file has over 250 lines of Python or 450 of JavaScript, and no long lines to get there."""
    lines = {path: path.read_text(encoding="utf-8").splitlines() for path in FILES}
    assert len(lines) == 8
    assert all(len(text) <= 250 for path, text in lines.items() if path.suffix == ".py")
    assert all(len(text) <= 450 for path, text in lines.items() if path.suffix == ".js")
    assert [line for text in lines.values() for line in text if len(line) > 100] == []


def test_a_command_makes_the_page_of_two_checkpoints(tiny_run, tmp_path, capsys):
    rows = tmp_path / "rows.jsonl"
    pair = '{"instruction": "Name the capital of France.", "output": "Paris."}\n'
    rows.write_text(pair * (2 * page.N_PAIRS))
    files = ["--tuned", tiny_run.out / "lora.pt", "--data", rows]
    files = [str(file) for file in files]
    assert make_page([*files, str(tmp_path / "page.html")]) == 0
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    content = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    assert list(content["models"]) == ["base", "tuned"]
    assert content["models"]["tuned"]["scale"] == 2
    assert content["threshold"] == 0  # own pairs: nobody has measured one
    assert [len(pair["turns"]) for pair in content["pairs"]] == [1] * page.N_PAIRS
    assert make_page([*files, "/dev/null/x"]) == 2
    assert "/dev/null/x: can't be written" in capsys.readouterr().err


def test_the_page_reads_the_log_and_no_log_is_no_mistake(tiny_run, tmp_path):
    models = load_three(tiny_run.out / "tuned.pt")
    rows = [Row((Turn("Is the cat red?", "", "The cat is red."),))]
    records = [{"stage": "pretrain", "step": n, "loss": 3.0 - n} for n in (0, 1)]
    records.append({"stage": "tune", "step": 0, "prompt": "p", "answer": "shown", "stopped": False})
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, records)))
    for folder, losses in ((tmp_path, 2), (tmp_path / "nothing", 0)):
        write_page(tmp_path / "page.html", models, rows, folder, built_in=True)
        text = (tmp_path / "page.html").read_text(encoding="utf-8")
        content = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
        assert len(content["losses"]) == losses and content["threshold"] == page.THRESHOLD
        assert ("<td>shown …</td>" in text) == (losses > 0)


def test_weights_come_back_within_half_a_step():
    state = {"matrix": torch.randn(6, 8), "zeros": torch.zeros(2, 2), "vector": torch.randn(5)}
    for bits in (7, 8, 14):
        rounded = weights.pack(state, bits)[1]
        step = state["matrix"].abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
        assert ((rounded["matrix"] - state["matrix"]).abs() <= 0.5001 * step).all()
        assert torch.equal(rounded["vector"], state["vector"]) and not rounded["zeros"].any()


def test_a_shifted_token_is_one_that_the_base_would_not_have_chosen():
    """Models of fixed logits: the base's order is 3 2 1 0, and the tuned one's 0 1 2 3."""
    def fixed(order):
        row = torch.tensor([float(-order.index(i)) for i in range(6)])
        return SimpleNamespace(logits=lambda ids: row.repeat(len(ids), 1))

    base, tuned = fixed([3, 2, 1, 0, 4, 5]), fixed([0, 1, 2, 3, 4, 5])
    tokens = trace.trace(base, tuned, [9, 9, 9], [0, 1, 3])
    assert [(token["id"], token["rank"]) for token in tokens] == [(0, 4), (1, 3), (3, 1)]
    assert [i for i, _ in tokens[0]["base"]] == [3, 2, 1, 0, 4]
    assert [i for i, _ in tokens[2]["tuned"]] == [0, 1, 2, 3, 4]


def test_the_shift_counts_beginnings_middles_and_ends():
    """A base that is the tuned model itself would choose every token; another model would not."""

    class Stub:
        """A model whose answer is 5 6 7 eos, and which prefers the tokens of `likes`."""

        tokenizer = type("T", (), {"eos_id": 0})

        def __init__(self, likes):
            self.likes = likes

        def prompt(self, turns, system):
            return [1, 2, 3]

        def complete(self, rows, prompts, sampling):
            return [([5, 6, 7], True)] * len(rows)

        def logits(self, ids):
            assert ids == [1, 2, 3, 5, 6, 7]
            return torch.nn.functional.one_hot(torch.tensor([9, 9, *self.likes]), 10).float()

    rows, tuned = [Row((Turn("a", "", "b"),))] * 2, Stub([5, 6, 7, 0])
    text = trace.describe_shift(Stub([5, 6, 7, 0]), tuned, rows, None)
    assert "2 of 2 beginnings, 4 of 4 in the middle, 2 of 2 ends" in text
    text = trace.describe_shift(Stub([4, 6, 8, 9]), tuned, rows, None)
    assert "0 of 2 beginnings, 2 of 4 in the middle, 0 of 2 ends" in text
