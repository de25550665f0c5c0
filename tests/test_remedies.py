"""What a message says to do must help. Each test makes the mistake and follows the remedy."""

import re
import shutil

import pytest
from helpers import tiny_model
from small import (
    SENTENCE,
    refusal,
    run_main,
    short_answers,  # noqa: F401  a fixture
    write_files,
    write_pairs,
)

import generate
import train_sft
from common import flags
from common.checkpoint import load_checkpoint, save_checkpoint
from common.cli import UserError
from data import Turn
from extras import evaluate, judge
from generate import Assistant


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    options = write_files(folder)
    run_main(*options, "--lora", 2, "--out", folder / "out")
    return options, folder / "out"


@pytest.fixture
def job(finished, tmp_path):
    """Return flags of the finished run, with an --out of its own, and that folder."""
    options, out = finished
    shutil.copytree(out, tmp_path / "out")
    return [*options, "--lora", "2", "--out", str(tmp_path / "out")], tmp_path / "out"


def ask(path):
    assert generate.main(["--tuned", str(path), "--max-new-tokens", "1", "Hi"]) == 0


def change(path, edit):
    """Rewrite a checkpoint after edit(content)."""
    content = load_checkpoint(path)
    edit(content)
    content.pop("format")
    save_checkpoint(path, **content)


def test_a_model_beside_another_base_gets_the_right_one_or_is_tuned_again(job, finished, capsys):
    options, out = job

    def edit(content):
        content["model"]["ln_f.bias"][0] += 1

    change(out / "base.pt", edit)
    for name in ("tuned.pt", "lora.pt"):
        message = refusal(capsys, "--tuned", out / name, "Hi", main=generate.main)
        assert f"another base than {out}/base.pt" in message
        assert "tune it again" in message.lower()
    shutil.copy(finished[1] / "base.pt", out / "base.pt")  # "put the right one there"
    ask(out / "tuned.pt")
    ask(out / "lora.pt")
    change(out / "base.pt", edit)
    run_main(*options)  # "tune it again"
    ask(out / "tuned.pt")
    ask(out / "lora.pt")


def test_a_damaged_checkpoint_is_deleted_and_made_again(job, capsys):
    options, out = job
    (out / "base.pt").write_bytes(b"not a checkpoint")
    assert "base.pt: not a checkpoint" in (message := refusal(capsys, *options))
    assert "Delete it and run again" in message
    (out / "base.pt").unlink()
    run_main(*options)
    (out / "tuned.pt").unlink()
    message = refusal(capsys, "--tuned", out / "tuned.pt", "Hi", main=generate.main)
    assert "Run `python train_sft.py` to make one" in message
    run_main(*options)
    ask(out / "tuned.pt")


@pytest.mark.parametrize(
    "name, part, entry, remedy",
    [
        ("lora", "lora", "rank", "Tune it again with --lora"),
        ("base", "config", "n_layer", "Delete it and run again"),
    ],
)
def test_weights_that_do_not_fit_their_sizes_are_made_again(job, capsys, name, part, entry, remedy):
    options, out = job
    change(out / f"{name}.pt", lambda content: content[part].update({entry: 3}))
    assert remedy in refusal(capsys, "--tuned", out / "lora.pt", "Hi", main=generate.main)
    if name == "base":
        (out / "base.pt").unlink()
    run_main(*options)
    ask(out / "lora.pt")


def test_a_base_of_other_settings_is_made_anew_or_has_another_folder(job, tmp_path, capsys):
    options, out = job
    message = refusal(capsys, *options, "--seed", 1)
    assert "--seed 1" in message and "--fresh" in message and "another --out" in message
    run_main(*options, "--seed", 1, "--out", tmp_path / "other")
    run_main(*options, "--seed", 1, "--fresh")


def test_a_stop_of_other_settings_starts_over_with_fresh(job, tmp_path, capsys):
    options, out = job
    save_checkpoint(out / "resume.pt", stage="tune", config={"other": 1}, state={})
    assert "--fresh without --resume" in refusal(capsys, *options, "--resume")
    run_main(*options, "--fresh")
    options[-1] = tmp_path / "new"
    assert "Run without --resume" in refusal(capsys, *options, "--resume")
    run_main(*options)


def test_a_row_that_is_too_long_fits_in_a_larger_block(tmp_path, capsys):
    options = [*write_files(tmp_path), "--out", tmp_path / "out"]
    write_pairs(tmp_path / "pairs.jsonl", answer="word " * 40)
    message = refusal(capsys, *options)
    assert "Use shorter rows, or --fresh and a larger --block-size" in message
    run_main(*options, "--fresh", "--block-size", 512)


def test_a_short_corpus_needs_more_text(tmp_path, capsys):
    options = [*write_files(tmp_path), "--out", tmp_path / "out"]
    (tmp_path / "text.txt").write_text(SENTENCE)
    assert "Add text" in refusal(capsys, *options)
    (tmp_path / "text.txt").write_text(SENTENCE * 99)
    run_main(*options)


def test_a_loss_that_is_not_finite_comes_back_with_a_lower_rate(tmp_path, capsys, monkeypatch):
    options = [*write_files(tmp_path), "--out", tmp_path / "out"]
    multiplier = train_sft.lr_multiplier
    monkeypatch.setattr(train_sft, "lr_multiplier", lambda *now: multiplier(*now) * 1e20)
    message = refusal(capsys, *options)
    assert re.search("the loss is (nan|inf) at step .*Lower --pretrain-lr, --tune-lr", message)
    monkeypatch.setattr(train_sft, "lr_multiplier", lambda *now: multiplier(*now) * 1e3)
    run_main(*options, "--pretrain-lr", 1e-8, "--tune-lr", 1e-8)


def test_a_judge_that_prints_one_of_three_words_is_heard(finished, tmp_path, capsys):
    options, out = finished
    models = [out / "tuned.pt", out / "lora.pt", "--data", options[options.index("--data") + 1]]
    models += ["--verdicts", tmp_path / "v.jsonl", "--command"]
    with pytest.raises(UserError, match="It must print 1, 2 or tie"):
        judge.ask_command("echo both")({})
    assert judge.main([*map(str, models), "echo tie"]) == 0
    assert "60 pairs" in capsys.readouterr().out


def test_a_model_of_own_pairs_is_evaluated_on_rows_that_are_given(finished, capsys):
    options, out = finished
    tuned = ["--tuned", str(out / "tuned.pt")]
    assert "Give held-out rows as --data" in refusal(capsys, *tuned, main=evaluate.main)
    assert evaluate.main([*tuned, "--data", options[options.index("--data") + 1]]) == 0
    assert "not judged" in capsys.readouterr().out


def test_names_that_a_message_lists_are_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for flag in ("--hold-out", "--template", "--device"):
        with pytest.raises(UserError) as error:
            flags.parse_train([flag, "nope"])
        known = re.search("(?:Known: |choose from |There is: )(.+?)[.)]", str(error.value)).group(1)
        for name in known.split(", "):
            flags.parse_train([flag, name.strip("'")])


def test_a_template_that_does_not_fit_gives_way_to_a_shorter_one(tokenizer):
    model = tiny_model(vocab_size=tokenizer.vocab_size, block_size=64)
    with pytest.raises(UserError, match="Tune with another --template"):
        Assistant(model, tokenizer, "llama3").prompt([Turn("Hi")])
    assert len(Assistant(model, tokenizer, "alpaca").prompt([Turn("Hi")])) < 64
