"""The page of a run, opened in a real browser: it computes what torch computes, works by mouse and by keyboard, asks for
nothing, runs nothing that stands in data, and nothing in it is cut off on a telephone."""

import json
import re
from pathlib import Path

import pytest
import torch
from browser import CHROMIUM, Browser
from helpers import ROOT, TINY, run, tiny_model

import train_sft
from data import Row, Tokenizer, Turn, UserError, render
from extras import page
from extras.datasets import TEMPLATES
from generate import Assistant, Sampling, load_assistant, three_models
from model import merge_lora

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no browser")
LETTERS = "aé가각힣한국 \n\t 12٣ _-!?'\"<>&😀👩‍🔬ﬁⅧ‿\u200d\u0301\u3000\u2028İß\x00"
HOSTILE = "</script><script>hacked=1</script><img src=x onerror=hacked=1><!--script-->{}\u2028<b>&amp;"


@pytest.fixture(scope="module")
def browser():
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A small run of the main job, with an adapter."""
    out = tmp_path_factory.mktemp("run")
    options = "--quick --n-layer 1 --pretrain-steps 40 --lora 2 --replay 0".split()
    assert train_sft.main([*options, "--out", str(out)]) == 0
    return out


def opened(browser, path, **how):
    """Open a page and wait for its first answers."""
    browser.open(path, **how)
    browser.wait("performance.getEntriesByName('answered').length || !data.models.base")
    return browser


def values(browser, script):
    return browser.run(f"JSON.stringify({script})") and json.loads(browser.run(f"JSON.stringify({script})"))


def models_of(out):
    models = three_models(load_assistant(out / "base.pt"), load_assistant(out / "tuned.pt"))
    return models | {"lora": load_assistant(out / "lora.pt")}


def as_in_the_page(models):
    """The models with the weights that the page has."""
    kept = page.pack(models["base_raw"].model.state_dict(), 12)[1]
    for name in ("tuned", "lora"):
        model = models[name].model
        if model.lora:
            added = page.pack(page.lora_state(model), 12)[1]
            model.load_state_dict({k: added.get(k, kept.get(k.replace(".linear.", "."))) for k in model.state_dict()})
            merge_lora(model)
        else:
            added = page.pack({k: w - kept[k] for k, w in model.state_dict().items()}, 7)[1]
            model.load_state_dict({k: kept[k] + w for k, w in added.items()})
    models["base_raw"].model.load_state_dict(kept)
    return models


def test_the_logits_are_those_of_torch(browser, out):
    opened(browser, out / "page.html")
    models = as_in_the_page(models_of(out))
    generator = torch.Generator().manual_seed(0)
    prompts = [torch.randint(0, 2560, (1 + i,), generator=generator).tolist() for i in range(50)]
    for name, assistant in (("base", models["base_raw"]), ("tuned", models["tuned"]), ("lora", models["lora"])):
        found = values(browser, f"{prompts}.map((ids) => Array.from(stream(models.{name}, ids).next().value))")
        for prompt, logits in zip(prompts, found):
            expected = assistant.model(torch.tensor([prompt]), last=True)[0]
            assert (torch.tensor(logits) - expected).abs().max() < 1e-3
