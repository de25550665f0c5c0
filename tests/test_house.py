"""The house itself: small enough for an evening, nothing imported that is not used, remedies that work."""

import ast
import json
import re
import shutil
import sys

import pytest
from helpers import ROOT, TINY, run, tiny_model

import generate
import train_sft
from data import Turn, UserError
from common import flags
from extras import gpt2, judge
from common.checkpoint import load_checkpoint, save_checkpoint
from extras.datasets import load_rows, read_documents
from generate import Assistant

STORY = ["data.py", "model.py", "train_sft.py", "generate.py"]
LEAN = ["flags", "gpt2", "optim", "packing", "parallel", "rules", "run", "speed", "table"]
FILES = [ROOT / name for name in STORY] + sorted((ROOT / "extras").glob("[a-z]*.py"))


def test_the_story_has_at_most_1200_lines():
    lines = {name: len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in STORY}
    assert sum(lines.values()) <= 1200, lines


@pytest.mark.parametrize("name", STORY)
def test_the_one_idea_is_on_the_first_screen(name):
    assert "The one idea" in "".join((ROOT / name).read_text(encoding="utf-8").splitlines(True)[:24])


def test_the_files_that_can_be_skipped_do_not_grow():
    lines = {name: len((ROOT / "extras" / f"{name}.py").read_text(encoding="utf-8").splitlines()) for name in LEAN}
    assert sum(lines.values()) <= 920, lines


def test_train_has_at_most_40_lines_and_the_two_stages_fit_on_one_screen():
    tree = ast.parse((ROOT / "train_sft.py").read_text(encoding="utf-8"))
    found = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert found["train"].end_lineno - found["train"].lineno < 40
    assert found["tune"].end_lineno - found["pretrain"].lineno < 30


def test_there_are_at_most_30_flags_and_help_shows_them_in_groups():
    actions = [action for action in flags.train_parser()._actions if action.dest not in ("help", "save_every")]
    assert len(actions) <= 30
    shown = run("train_sft.py", "--help")
    assert all(title in shown for title in ("data and files:", "pretraining:", "tuning:"))
    assert all("--" + action.dest.replace("_", "-") in shown for action in actions)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_says_what_it_is_and_no_docstring_begins_with_an_arrow(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert not [node.name for node in nodes if (ast.get_docstring(node) or "").startswith("->")]
    about = ast.get_docstring(tree)
    said = ("what it adds", "You can skip this") if path.parent.name == "extras" else ("The one idea",)
    assert all(phrase in about for phrase in said)
    assert "fmt: skip" not in path.read_text(encoding="utf-8")


IMPORTS = """
import sys, train_sft
code = train_sft.main({flags})
print("CODE", code, "EXTRAS", *sorted(name for name in sys.modules if name.startswith("extras.")))
"""


def test_the_default_run_imports_nothing_that_it_does_not_use(tmp_path):
    options = [*TINY, "--out", str(tmp_path / "out")]
    said = run("-c", IMPORTS.format(flags=options)).splitlines()[-1]
    used = ["audit", "checkpoint", "datasets", "flags", "optim", "page", "rules", "run", "screen", "speed", "table"]
    assert said == "CODE 0 EXTRAS " + " ".join(f"extras.{name}" for name in used)


def test_a_constant_is_changed_by_one_command(monkeypatch):
    """What was a flag once: sequences of 64 tokens, no weight decay, another learning rate of Muon."""
    results = (ROOT / "bench" / "RESULTS.md").read_text(encoding="utf-8")
    commands = re.findall(r'python -c "(import train_sft as t; .+?)" (.+)', results)
    changed = {("flags", "SEQ_LEN"), ("optim", "WEIGHT_DECAY"), ("optim", "LR")}
    before = {(module, name): getattr(getattr(train_sft, module), name) for module, name in changed}
    found = []

    def note(config):
        muon = train_sft.optim.muon_and_adamw(tiny_model(), 3e-3, train_sft.adamw)[1].param_groups[0]
        found.append((config.seq_len, muon["weight_decay"], round(muon["lr"], 6)))

    monkeypatch.setattr(train_sft, "main_job", note)
    for code, options in commands:
        monkeypatch.setattr(sys, "argv", ["-c", *options.split()])
        exec(code, {})
        for (module, name), value in before.items():
            setattr(getattr(train_sft, module), name, value)
    assert found == [(64, 0.1, 0.02), (128, 0, 0.02), (128, 0.1, 0.01)]


def test_no_line_of_the_show_is_longer_than_80_columns(tmp_path):
    for name in ("train_sft.py", "model.py", "data.py", "generate.py", "world.py", "facts.py"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "extras", tmp_path / "extras")
    said = run("train_sft.py", "--quick", "--lora", "2", cwd=tmp_path)  # its output is piped
    assert said.startswith("Configuration: quick=True, lora=2\nMachine: ")
    assert [line for line in said.splitlines() if len(line) > 80] == []


def test_quick_settings_give_way_to_what_is_typed():
    assert flags.train(["--quick"]).n_layer == 2 and flags.train([]).n_layer == 3
    config = flags.train(["--quick", "--n-layer", "3"])
    assert config.n_layer == 3 and config.n_embd == 64 and config.given == {"quick": True, "n_layer": 3}


# ------------------------------------------------------------------------------------------------------------
# What a message says to do must help. Each test makes the mistake, reads the remedy, and follows it.


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    assert train_sft.main([*TINY, "--lora", "2", "--out", str(out)]) == 0
    return out


def mistake(capsys, *options, main=train_sft.main):
    """Returns the one line that the mistake ends in"""
    capsys.readouterr()
    assert main(list(map(str, options))) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1, error
    return error


def ask(out, name, *more):
    assert 0 == generate.main(["--base", f"{out}/base.pt", "--tuned", f"{out}/{name}", "--max-new", "3", *more, "Hi"])


def copy_of(out, folder):
    shutil.copytree(out, folder)
    return folder


def test_an_adapter_beside_another_base_runs_with_the_right_one_or_is_tuned_again(tuned, tmp_path, capsys):
    out = copy_of(tuned, tmp_path / "out")
    content = load_checkpoint(out / "base.pt")
    content["model"]["ln_f.bias"][0] += 1
    content.pop("format")
    save_checkpoint(out / "base.pt", **content)
    options = ("--base", f"{out}/base.pt", "--tuned", f"{out}/lora.pt", "Hi")
    said = mistake(capsys, *options, main=generate.main)
    assert f"another base than {out}/base.pt" in said and "tune it again" in said
    shutil.copy(tuned / "base.pt", out / "base.pt")
    ask(out, "lora.pt")
    save_checkpoint(out / "base.pt", **content)
    assert train_sft.main([*TINY, "--lora", "2", "--out", str(out)]) == 0
    ask(out, "lora.pt")


def test_a_damaged_checkpoint_is_deleted_and_made_again(tuned, tmp_path, capsys):
    out = copy_of(tuned, tmp_path / "out")
    (out / "base.pt").write_bytes(b"not a checkpoint")
    assert "Delete it and run again" in mistake(capsys, *TINY, "--out", out)
    (out / "base.pt").unlink()
    assert train_sft.main([*TINY, "--out", str(out)]) == 0
    (out / "tuned.pt").unlink()
    assert "Run `python train_sft.py`" in mistake(capsys, "--tuned", out / "tuned.pt", "--base", out / "base.pt", "Hi", main=generate.main)
    assert train_sft.main([*TINY, "--out", str(out)]) == 0
    ask(out, "tuned.pt")


def test_weights_that_do_not_fit_their_description_are_made_again(tuned, tmp_path, capsys):
    out = copy_of(tuned, tmp_path / "out")
    for name, part, entry, remedy in (("lora", "lora", "rank", "Tune it again with --lora"),
                                      ("base", "config", "n_layer", "Delete it and run again")):
        content = load_checkpoint(out / f"{name}.pt")
        content[part][entry] += 1
        content.pop("format")
        save_checkpoint(out / f"{name}.pt", **content)
        files = ("--base", out / "base.pt", "--tuned", out / "lora.pt")
        assert remedy in mistake(capsys, *files, "Hi", main=generate.main)
        if name == "base":
            (out / "base.pt").unlink()
        assert train_sft.main([*TINY, "--lora", "2", "--out", str(out)]) == 0
        ask(out, "lora.pt")


def test_a_run_of_other_settings_starts_over_with_fresh(tuned, tmp_path, capsys):
    out = copy_of(tuned, tmp_path / "out")
    save_checkpoint(out / "resume.pt", stage="tune", config={"other": 1}, state={})
    assert "--fresh without --resume" in mistake(capsys, *TINY, "--out", out, "--resume")
    assert train_sft.main([*TINY, "--out", str(out), "--fresh"]) == 0
    assert "Run without --resume" in mistake(capsys, *TINY, "--out", tmp_path / "new", "--resume")
    assert train_sft.main([*TINY, "--out", str(tmp_path / "new")]) == 0


def test_rows_that_do_not_fit_fit_in_a_larger_block(tmp_path, capsys):
    (tmp_path / "long.jsonl").write_text(json.dumps({"instruction": "say it", "output": "word " * 40}) + "\n")
    options = [*TINY, "--data", f"{tmp_path}/long.jsonl", "--out", f"{tmp_path}/out"]
    said = mistake(capsys, *options, "--block-size", "32")
    assert "--fresh and a larger --block-size" in said
    assert train_sft.main([*options, "--fresh", "--block-size", "512"]) == 0


def test_a_short_corpus_needs_more_text(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("one two three. " * 20)
    options = [*TINY, "--corpus", f"{tmp_path}/text.txt", "--out", f"{tmp_path}/out"]
    assert "Add text" in mistake(capsys, *options)
    (tmp_path / "text.txt").write_text("one two three four, five. " * 2000)
    assert train_sft.main(options) == 0


def test_a_loss_that_is_not_finite_comes_back_with_a_lower_rate(tmp_path, capsys, monkeypatch):
    real = train_sft.lr_multiplier
    monkeypatch.setattr(train_sft, "lr_multiplier", lambda *now: real(*now) * 1e20)
    said = mistake(capsys, *TINY, "--out", tmp_path / "out")
    assert re.search("the loss is (nan|inf) at step .*--pretrain-lr", said)
    lower = ["--pretrain-lr", "1e-8", "--tune-lr", "1e-8"]
    monkeypatch.setattr(train_sft, "lr_multiplier", lambda *now: real(*now) * 1e3)  # the same mistake, smaller
    assert train_sft.main([*TINY, *lower, "--out", str(tmp_path / "out")]) == 0


def test_only_gpt2s_shape_is_exported_and_unknown_names_are_listed(tuned, tmp_path, capsys):
    out = tuned
    files = ("--base", out / "base.pt", "--tuned", out / "tuned.pt")
    said = mistake(capsys, *files, "--export", out / "e", main=generate.main)
    assert "--base gpt2" in said  # test_reach.py tunes such a model and exports it
    said = mistake(capsys, *files, "--template-at-inference", "nope", "Hi", main=generate.main)
    known = said.split("Known: ")[1].strip().rstrip(".").split(", ")
    for name in known:
        ask(out, "tuned.pt", "--template-at-inference", name)
    judged = ["--judge", f"{out}/tuned.pt", f"{out}/lora.pt", "--judge-command", "echo tie", "--verdicts", f"{tmp_path}/v"]
    assert "Give --data FILE" in mistake(capsys, *judged, main=generate.main)
    (tmp_path / "rows.jsonl").write_text('{"instruction": "i", "output": "o"}\n')
    generate.main([*judged, "--data", f"{tmp_path}/rows.jsonl"])
    assert "1 pairs" in capsys.readouterr().out


def test_a_strict_audit_goes_on_without_strict(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"instruction": "i", "output": "o"}\nnonsense\n')
    said = run("data.py", tmp_path / "a.jsonl", "--strict", code=2)
    assert "a.jsonl:2: not JSON" in said and "leave out --strict" in said
    assert "1 of 2 rows kept" in run("data.py", tmp_path / "a.jsonl")
    found = json.loads(run("data.py", tmp_path / "a.jsonl", "--json"))[str(tmp_path / "a.jsonl")]
    assert found["dropped"] == {"not JSON": [f"{tmp_path}/a.jsonl:2"]} and found["formats"] == {"alpaca": 1}


def test_an_experiment_on_the_world_is_a_folder_to_tune_on(tmp_path):
    out = run("world.py", tmp_path / "w", "--without", "echoes,unknown", "--bare")
    command = out.strip().splitlines()[-1].split()
    assert command[:2] == ["python", "train_sft.py"]
    said = run(*command[1:], *TINY, "--out", tmp_path / "out")
    assert all(split in said for split in ("unseen inputs", "unseen phrasings", "unseen tasks"))


def said_by(call, *args):
    with pytest.raises(UserError) as error:
        call(*args)
    return str(error.value)


def test_a_flag_out_of_its_range_is_right_at_the_ends_that_are_named():
    low, high = re.search("choose from (.+) to (.+)", said_by(flags.train, ["--tune-lr", "7"])).groups()
    assert flags.train(["--tune-lr", low]).tune_lr == float(low) and flags.train(["--tune-lr", high]).tune_lr == float(high)
    assert "choose from 0 to" in said_by(flags.train, ["--seed", "many"])
    multiple = int(re.search("multiple of (\\d+)", said_by(flags.train, ["--n-embd", "36", "--n-head", "5"])).group(1))
    assert flags.train(["--n-embd", str(3 * multiple), "--n-head", "5"]).n_embd == 3 * multiple
    for flag, wrong in (("--hold-out", "nope"), ("--template", "nope"), ("--device", "abacus")):
        known = re.search("(?:Known: |choose from |There is: )(.+?)[.)]*$", said_by(flags.train, [flag, wrong])).group(1).split(", ")
        for name in known:
            flags.train([flag, name.strip("'")])


def test_files_of_rows_and_texts_are_read_once_they_are_corrected(tmp_path):
    rows, text = tmp_path / "rows.json", tmp_path / "text.txt"
    row = json.dumps({"instruction": "i", "output": "o"})
    assert "Correct it, or use JSON Lines" in (rows.write_text(f"[{row}\n{row}]"), said_by(load_rows, rows))[1]
    for corrected in (f"[{row},\n{row}]", f"{row}\n{row}\n"):
        rows.write_text(corrected)
        assert len(load_rows(rows)[0]) == 2
    assert "too long" in (rows.write_text("[" + "1" * 5000 + "]"), said_by(load_rows, rows))[1]
    assert "It should hold text" in (rows.write_text(" "), said_by(load_rows, rows))[1]
    assert "needs an instruction and an output" in (rows.write_text('{"a": 1}'), said_by(load_rows, rows))[1]
    assert "Give the path of a text file" in said_by(load_rows, tmp_path)
    text.write_bytes("café\n".encode("latin-1"))
    assert "Save the file as UTF-8" in said_by(lambda: list(read_documents(text)))
    text.write_bytes(text.read_bytes().decode("latin-1").encode())
    assert list(read_documents(text)) == ["café"]


def test_gpt2s_files_work_once_they_are_put_there(tmp_path):
    model = tiny_model(position="learned", smear=0)
    gpt2.export_gpt2(model, tmp_path)
    said = said_by(gpt2.load_base, tmp_path, tmp_path)
    assert "vocab.json: cannot be read" in said and "Put config.json, vocab.json, model.safetensors in one folder" in said
    letters = gpt2.byte_letters()
    ids = {letters[byte]: i for i, byte in enumerate(sorted(range(256), key=lambda byte: ord(letters[byte])))}
    (tmp_path / "vocab.json").write_text(json.dumps(ids))
    assert "weights for 60 tokens, but a vocabulary of 257. Fetch both again." in said_by(gpt2.load_base, tmp_path, tmp_path)
    gpt2.export_gpt2(tiny_model(position="learned", smear=0, vocab_size=257), tmp_path)
    assert gpt2.load_base(tmp_path, tmp_path)[1].vocab_size == 257
    (tmp_path / "vocab.json").write_text("[]")
    assert "Fetch it again" in said_by(gpt2.load_base, tmp_path, tmp_path)
    (tmp_path / "vocab.json").write_text(json.dumps(ids))
    (tmp_path / "config.json").rename(tmp_path / "lost")
    assert "config.json: cannot be read" in said_by(gpt2.load_base, tmp_path, tmp_path)
    (tmp_path / "lost").rename(tmp_path / "config.json")
    assert "no.bin: cannot be read" in said_by(gpt2.load_gpt2, tmp_path / "no.bin")
    for path in (tmp_path, tmp_path / "model.safetensors"):
        assert gpt2.load_base(path, tmp_path)[0].config.vocab_size == 257
    assert "choose another place" in said_by(gpt2.export_gpt2, model, tmp_path / "vocab.json")
    gpt2.export_gpt2(model, tmp_path / "another")


def test_a_judge_that_says_1_2_or_tie_is_heard():
    assert "It must print 1, 2 or tie" in said_by(judge.ask_command("echo both"), {})
    assert judge.ask_command("echo tie")({}) == "tie"


def test_a_template_that_does_not_fit_gives_way_to_a_shorter_one(tokenizer):
    model = tiny_model(vocab_size=tokenizer.vocab_size, block_size=64)
    said = said_by(Assistant(model, tokenizer, "llama3").prompt, [Turn("Hi")])
    assert "Tune with another --template" in said
    assert len(Assistant(model, tokenizer, "alpaca").prompt([Turn("Hi")])) < 64
