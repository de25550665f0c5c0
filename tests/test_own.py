"""Your own pairs: the probe and the examples are your held-out rows, and their loss is the plainest one."""

import json
import math
import types

import pytest
import torch
from helpers import TINY, row_of, run, tiny_model

from data import prepare
from common import flags, table
from extras import own
from common.checkpoint import load_checkpoint


def test_the_loss_of_answers_is_the_mean_of_minus_log_probability(byte_tokenizer):
    model = tiny_model(vocab_size=257, block_size=128).eval()
    rows = [row_of(("Say yes.", "", "yes")), row_of(("Say no.", "", "oh no"))]
    examples = prepare(rows, byte_tokenizer, "plain", 128)[0]
    logs = []
    for ids, mask in examples:
        with torch.inference_mode():
            probabilities = model(torch.tensor([ids]))[0].softmax(-1)
        logs += [math.log(probabilities[i - 1, ids[i]]) for i in range(1, len(ids)) if mask[i]]
    assert len(logs) == len("yes" + "oh no") + 2
    assert own.answer_loss(model, examples, 256, batch_size=1) == pytest.approx(-sum(logs) / len(logs), rel=1e-4)


@pytest.mark.parametrize("text, right", [("The forest was dark.", True), ("In many forests", True), ("It was so.", False)])
def test_a_word_of_the_question_is_found_in_another_form(text, right):
    assert own.takes_up(row_of(("Write about a forest in May.", "", "x")), text) == right


def test_eight_rows_are_shown_also_of_rows_without_the_worlds_words():
    rows = [row_of((f"Write a story about {i}.", "", "x")) for i in range(20)]
    assert len(table.shown_rows({"mine": rows})) == 8
    assert len(table.shown_rows({"mine": rows[:3]})) == 3


def test_a_run_on_free_text_probes_and_measures_its_own_rows(tmp_path):
    rows = [{"instruction": f"Describe number {i} in a forest.", "output": f"It is a tree, {i} years old."} for i in range(60)]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    said = run("train_sft.py", *TINY, "--data", tmp_path / "mine.jsonl", "--out", tmp_path / "out")
    assert "capital of France?" not in said.split("Try next")[0] and "Describe number" in said
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert set(report["own"]) == {"base_template", "tuned"} and "Expect, from" in said
    assert {"loss", "perplexity", "stopped", "takes_up", "different"} == set(report["own"]["tuned"])
    measured = said[said.index("  The 6 held-out") : said.index("5. Side by side")] + said[said.index("Expect, ") :][:160]
    measured += said[: said.index("1. No base")]
    assert max(map(len, measured.splitlines())) <= 80


def test_so_few_rows_that_none_is_held_out_end_in_a_sentence():
    said = []
    own.tell(types.SimpleNamespace(say=said.append), {}, {"mine": []}, {}, "alpaca")
    assert "none is held out" in said[0]


def sizes_for(rows, text, **given):
    """What choose_sizes makes of the default settings and `given`, and what it says."""
    said, typed = [], [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    config = flags.train([*typed, "--corpus", "text.txt"])
    own.choose_sizes(config, types.SimpleNamespace(say=said.append, reuses=False), rows, [text])
    return config, "".join(said)


def test_sizes_that_were_not_typed_fit_the_text_and_the_pairs():
    short, long = row_of(("Say yes.", "", "yes")), row_of(("Tell a story.", "", "word " * 120))
    config, _ = sizes_for([short] * 10, "a" * 2_000_000)
    assert (config.block_size, config.vocab_size, config.pretrain_steps, config.tune_epochs) == (128, 4096, 1302, 4)
    config, said = sizes_for([short] * 5 + [long] * 5, "a" * 10**8)
    assert (config.block_size, config.seq_len, config.pretrain_batch, config.pretrain_steps) == (256, 256, 8, 2500)
    assert "--block-size 256" in said and max(map(len, said.splitlines())) <= 80
    assert sizes_for([long] * 10, "a" * 10**6, block_size=128, pretrain_steps=7)[0].pretrain_steps == 7
    assert sizes_for([long] * 10, "a" * 10**6, block_size=128)[0].block_size == 128


def test_sizes_are_left_alone_where_a_base_is_there():
    config = flags.train(["--corpus", "text.txt"])
    own.choose_sizes(config, types.SimpleNamespace(reuses=True), [row_of(("a", "", "b"))], ["text"])
    assert config.pretrain_steps == flags.train([]).pretrain_steps


def test_the_table_of_tokens_is_tuned_on_your_own_pairs_only(tmp_path):
    rows = [{"instruction": f"Describe number {i} in a forest.", "output": f"It is a tree, {i} years old."} for i in range(60)]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for data, moved in (((), False), (("--data", tmp_path / "mine.jsonl"), True)):
        run("train_sft.py", *TINY, *data, "--fresh", "--out", tmp_path / "out")
        before, after = (load_checkpoint(tmp_path / "out" / f"{name}.pt")["model"]["wte.weight"] for name in ("base", "tuned"))
        assert torch.equal(before, after) != moved
