"""The loop: the same rows give the same gradient however they are split; a stop costs nothing; mistakes end in a line."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch
from helpers import ROOT, TINY, examples, gradient, run, tiny_model, weights

import data
import train_sft
from data import UserError
from common import flags, muon as optim, speed
from common.checkpoint import load_checkpoint
from common.run import Run
from generate import Assistant
from model import IGNORE
from train_sft import adamw, train


def test_the_same_rows_give_the_same_gradient_however_they_are_split_and_padded():
    model, rows = tiny_model(), examples()
    n = sum(sum(mask) for _, mask in rows)
    whole = gradient(model, data.collate(rows, 59), n=n)
    for size in (1, 2, 5):
        parts = [data.collate(rows[i : i + size], 59) for i in range(0, len(rows), size)]
        torch.testing.assert_close(gradient(model, *parts, n=n), whole, atol=1e-6, rtol=1e-4)
    backwards = gradient(model, data.collate(rows[::-1], 59), n=n)
    torch.testing.assert_close(backwards, whole, atol=1e-6, rtol=1e-4)


def batch_at(step):
    return data.collate(examples()[step % 5 : step % 5 + 4], 59)


def trained(steps=6, lr=1e-3, model=None, **options):
    model = model or tiny_model()
    train(model, options.pop("batch_at", batch_at), steps, [adamw(model.parameters(), lr)], **options)
    return model


def trained_plainly(**options):
    """Three steps of plain gradient descent, unclipped, so that a gradient's size is seen in the weights."""
    model = tiny_model()
    optimizers = [torch.optim.SGD(model.parameters(), 0.3)]
    train(model, lambda step: data.collate(examples()[step : step + 5], 59), 3, optimizers, clip=math.inf, **options)
    return weights(model)


def _one_process(rank, file, queue):
    from extras.parallel import backward

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    # three rows and two: the processes have different numbers of micro-batches
    queue.put(trained_plainly(micro_batch=1, backward=backward).tolist())
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_gradient_of_one(tmp_path):
    context = torch.multiprocessing.get_context("spawn")
    queue = context.Queue()
    workers = [context.Process(target=_one_process, args=(rank, tmp_path / "store", queue)) for rank in (0, 1)]
    for worker in workers:
        worker.start()
    both = [torch.tensor(queue.get(timeout=60)) for _ in workers]
    for worker in workers:
        worker.join(60)
    assert torch.equal(*both)
    torch.testing.assert_close(both[0], trained_plainly(micro_batch=64), atol=1e-6, rtol=1e-4)


def test_any_module_with_a_summed_loss_can_be_trained_with_any_optimizer():
    """What a learner writes in ten lines: a bigram model."""

    class Bigram(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Parameter(torch.zeros(60, 60))

        def forward(self, ids, targets):
            return torch.nn.functional.cross_entropy(self.table[ids].mT, targets, reduction="sum")

    model, losses = Bigram(), []
    optimizers = [torch.optim.Adam(model.parameters(), 0.1)]
    train(model, lambda step: batch_at(0), 30, optimizers, on_step=lambda done, steps, loss, tokens: losses.append(loss))
    assert len(losses) == 30 and losses[-1] < losses[0] / 2


def test_micro_batches_do_not_change_what_is_learned():
    """In what the model says: the bias of keys that do not turn has no gradient but rounding, and Adam makes steps of it."""
    one, other = trained(micro_batch=64), trained(micro_batch=1)
    ids = torch.randint(0, 59, (4, 9), generator=torch.Generator().manual_seed(1))
    assert (weights(one) - weights(other)).abs().mean() < 1e-6
    torch.testing.assert_close(one(ids), other(ids), atol=1e-4, rtol=1e-3)


def test_lengths_that_are_rounded_up_change_no_loss():
    model, rows = tiny_model(), examples()[:5]
    plain, rounded = data.collate(rows, 59), data.collate(rows, 59, multiple=20)
    assert rounded[0].shape[1] % 20 == 0 and rounded[0].shape[1] > plain[0].shape[1]
    torch.testing.assert_close(model(*rounded), model(*plain))


def test_the_two_stages_are_the_same_loop(monkeypatch):
    """On rows of one length with a mask of ones, tuning takes the very steps of pretraining."""
    stream = torch.randint(0, 59, (16 * 4 + 1,), generator=torch.Generator().manual_seed(0))
    rows = [(stream[i : i + 17].tolist(), [1] * 17) for i in range(0, 64, 16)]
    monkeypatch.setattr(train_sft, "epoch_batches", lambda rows, *_: [rows[:2], rows[2:]] if rows else [])
    one, other = tiny_model(), tiny_model()
    train_sft.pretrain(one, stream, 4, [adamw(one.parameters(), 1e-3)], batch_size=2, seq_len=16)
    train_sft.tune(other, rows, 4, [adamw(other.parameters(), 1e-3)], batch_size=2)
    assert torch.equal(weights(one), weights(other))


def test_examples_of_the_first_chapter_come_before_the_others_in_every_epoch(monkeypatch):
    seen, first, rest = [], [([i] * 3, [1] * 3) for i in range(1, 5)], [([i] * 3, [1] * 3) for i in range(5, 11)]

    def note(model, batch_at, steps, optimizers, **options):
        seen.extend(batch_at(step)[0][:, 0].tolist() for step in range(steps))

    monkeypatch.setattr(train_sft, "train", note)
    train_sft.tune(None, rest, 10, [], batch_size=2, first=first)
    for epoch in (seen[:5], seen[5:]):
        assert sorted(sum(epoch[:2], [])) == [1, 2, 3, 4] and sorted(sum(epoch[2:], [])) == [5, 6, 7, 8, 9, 10]
    assert seen[:5] != seen[5:]  # drawn anew


def test_replayed_pages_are_whole_pages_with_every_token_supervised(tokenizer):
    pages = ["the cat sat", "on the mat", "the cat sat on the mat " * 9]
    found = train_sft.replayed(pages, tokenizer, 3, 20, random.Random(0))
    for ids, mask in found:
        assert mask == [1] * len(ids) and len(ids) <= 21 and ids[0] == tokenizer.eos_id
    texts = {tokenizer.decode(ids[1:-1]) for ids, _ in found if ids[-1] == tokenizer.eos_id}
    assert texts == set(pages[:2])


def new_run(folder, *more):
    return Run(flags.train([*TINY, "--out", str(folder), *more]))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_ctrl_c_saves_and_a_resume_gives_the_same_bits_as_no_stop(dtype, tmp_path, tokenizer):
    whole, stopped, resumed = tiny_model(), tiny_model(), tiny_model(seed=9)

    def press_ctrl_c(step):
        if step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return batch_at(step)

    def in_stage(model, batch_at, *more):
        assistant, optimizers = Assistant(model, tokenizer, None), [adamw(model.parameters(), 1e-3)]
        assistant.answers = lambda *_: [("what it says", True)]
        with new_run(tmp_path, "--dtype", dtype, *more).stage("tune", assistant, optimizers) as options:
            train(model, batch_at, 11, optimizers, **options)

    trained(11, model=whole, dtype=dtype)
    with pytest.raises(KeyboardInterrupt):
        in_stage(stopped, press_ctrl_c)
    assert load_checkpoint(tmp_path / "resume.pt")["state"]["step"] == 5
    in_stage(resumed, batch_at, "--resume")
    assert torch.equal(weights(whole), weights(resumed))


def test_bfloat16_is_for_products_only_and_learns_as_much():
    plain, mixed, seen, losses = tiny_model(), tiny_model(), set(), []
    mixed.h[0].mlp.c_fc.register_forward_hook(lambda module, given, out: seen.add(out.dtype))
    for model, dtype in ((plain, "float32"), (mixed, "bfloat16")):
        optimizers = optim.muon_and_adamw(model, 3e-3, lambda parameters, _: adamw(parameters, 1e-2))
        train(model, batch_at, 30, optimizers, dtype=dtype, on_step=lambda *now: losses.append(now[2]))
    (first, last), (mixed_first, mixed_last) = (losses[0], losses[29]), (losses[30], losses[59])
    assert seen == {torch.bfloat16}
    assert {weight.dtype for weight in mixed.state_dict().values()} == {torch.float32}
    assert not torch.equal(weights(plain), weights(mixed))
    assert last < 0.7 * first
    assert (mixed_first, mixed_last) == pytest.approx((first, last), rel=0.05)


@pytest.mark.parametrize(
    "known, dtype", [({}, "float32"), ({"avx512_bf16": True}, "bfloat16"), ({"amx_bf16": True}, "bfloat16")]
)
def test_auto_takes_bfloat16_only_where_the_processor_knows_it(known, dtype, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)  # torch 2.4 has none
    assert flags.train(["--device", "cpu"]).dtype == dtype
    for chosen in ("float32", "bfloat16"):
        assert flags.train(["--device", "cpu", "--dtype", chosen]).dtype == chosen


def test_a_batch_without_a_supervised_token_changes_no_weight_to_nan():
    inputs, _ = batch_at(0)
    model = trained(2, batch_at=lambda step: (inputs, torch.full_like(inputs, IGNORE)))
    assert torch.isfinite(weights(model)).all()


def test_a_loss_that_is_not_finite_is_said_and_not_trained_on():
    model = tiny_model()
    model.wte.weight.data[3] = float("nan")
    with pytest.raises(UserError, match="the loss is nan at step 0"):
        trained(2, model=model)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """One tiny run of the main job, with an adapter, for all that need its files."""
    out = tmp_path_factory.mktemp("run")
    screen = run("train_sft.py", *TINY, "--lora", "2", "--out", out)
    return out, screen


def test_the_main_job_shows_its_parts_in_order(tuned):
    out, screen = tuned
    parts = ["Configuration", "No base model yet", "step", "One pair", "rows kept", "0 of the held-out prompts", "Tuning",
             "Did it work?", "unseen inputs", "unseen phrasings", "unseen tasks", "What tuning cost", "Side by side",
             "What is the capital of France?", "report.json", "page.html", "python generate.py"]
    places = [screen.index(parts[0])]
    for part in parts[1:]:
        places.append(screen.index(part, places[-1]))
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    for split in ("unseen_inputs", "unseen_phrasings", "unseen_tasks", "unseen_words"):
        columns = report["held_out"][split]
        assert list(columns) == ["n", "base_raw", "base_template", "base_rules", "base_copy", "tuned", "lora"]
        for column in list(columns)[1:]:
            assert {"correct", "begins", "stopped", "interval", "tasks"} <= set(columns[column])
            assert columns[column]["correct"] <= columns[column]["begins"] <= columns["n"]
    assert {"base", "tuned", "lora"} == set(report["corpus_loss"])
    assert all(json.loads(line) for line in (out / "log.jsonl").read_text().splitlines())
    assert not list(out.glob("*.tmp")) and not (out / "resume.pt").exists()


def test_the_base_is_used_again(tuned, tmp_path):
    out, _ = tuned
    (tmp_path / "base.pt").write_bytes((out / "base.pt").read_bytes())
    assert "is used again" in run("train_sft.py", *TINY, "--out", tmp_path)


def test_generate_asks_evaluates_saves_and_chats(tuned, tmp_path):
    out, _ = tuned
    files = ["--base", out / "base.pt", "--tuned", out / "tuned.pt", "--max-new", "6"]
    shown = run("generate.py", *files, "What is the capital of France?")
    assert "base raw" in shown and "base template" in shown and "tuned" in shown
    assert "unseen inputs" in run("generate.py", *files, "--eval", "--max-new", "1")
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"instruction": "Name the capital of France.", "output": "x"}\n')
    run("generate.py", *files, "--data", rows, "--save", tmp_path / "answers.json")
    (saved,) = json.loads((tmp_path / "answers.json").read_text())
    assert set(saved) == {"instruction", "output", "generator"}
    talk = run("generate.py", *files, input="hello\n/raw\nOnce\n/nonsense\n/quit\n")
    assert "raw>" in talk.replace("base_", "") and talk.count("/quit") >= 2
    assert "lora" not in run(
        "generate.py", "--base", out / "base.pt", "--tuned", out / "lora.pt", "--max-new", "3", "Hi"
    )


def test_a_teachers_own_files_go_in_and_come_out(tmp_path):
    run("world.py", tmp_path / "w")
    rows = (tmp_path / "w" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()[:40]
    (tmp_path / "few.jsonl").write_text(
        "\n".join([*rows, "not json", '{"instruction": "", "output": "x"}']), encoding="utf-8"
    )
    screen = run("train_sft.py", *TINY, "--corpus", tmp_path / "w" / "corpus.txt", "--data", tmp_path / "few.jsonl",
                 "--out", tmp_path / "o")
    assert "few.jsonl:41" in screen and "few.jsonl:42" in screen


def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_happened(tmp_path):
    options = [*TINY, "--pretrain-steps", "40", "--save-every", "5"]
    run("train_sft.py", *options, "--out", tmp_path / "whole")
    out = tmp_path / "killed"
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "train_sft.py", *options, "--out", str(out)]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    while not (out / "resume.pt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (out / "base.pt").exists()
    run("train_sft.py", *options, "--out", out, "--resume")
    for name in ("base.pt", "tuned.pt"):
        one, other = load_checkpoint(tmp_path / "whole" / name)["model"], load_checkpoint(out / name)["model"]
        assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    "options, said",
    [
        (["--data", "missing.jsonl"], "missing.jsonl: cannot be read"),
        (["--data", "."], "cannot be read"),
        (["--corpus", "missing.txt"], "missing.txt: cannot be read"),
        (["--tune-lr", "7"], "--tune-lr: 7: choose from"),
        (["--dtype", "half"], "--dtype: invalid choice"),
        (["--n-embd", "30"], "--n-embd 30: must be a multiple of"),
        (["--block-size", "100"], "--block-size 100: must be a multiple of 16"),
        (["--template", "nope"], "nope': unknown. Known: alpaca"),
        (["--hold-out", "nope"], "--hold-out: nope: no such task"),
        (["--device", "abacus"], "--device abacus: not on this machine"),
        (["--resume"], "nothing to resume"),
        (["--out", "/dev/null/x"], "cannot be written"),
    ],
)
def test_a_mistake_ends_in_one_line_that_names_it(options, said, tmp_path, capsys):
    out = [] if "--out" in options else ["--out", str(tmp_path)]
    assert train_sft.main([*TINY, *out, *options]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and error.startswith("error: ")
    assert not (tmp_path / "base.pt").exists()


def test_a_damaged_base_is_named_and_not_overwritten(tmp_path, capsys):
    (tmp_path / "base.pt").write_bytes(b"not a checkpoint")
    assert train_sft.main([*TINY, "--out", str(tmp_path)]) == 2
    assert "not a checkpoint of this project" in capsys.readouterr().err
    assert (tmp_path / "base.pt").read_bytes() == b"not a checkpoint"


def test_ctrl_c_between_the_loops_says_how_to_go_on_and_that_works(tmp_path, monkeypatch, capsys):
    def ctrl_c(*_):
        raise KeyboardInterrupt

    options = [*TINY, "--fresh", "--save-every", "1", "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(train_sft, "train_tokenizer", ctrl_c)
        assert train_sft.main(options) == 130
    assert "nothing to keep yet" in capsys.readouterr().out
    for module, name in ((train_sft, "prepare"), (train_sft.table, "score_models")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, ctrl_c)
            assert train_sft.main(options) == 130
        assert "--resume" in capsys.readouterr().out.splitlines()[-1]
        base = (tmp_path / "base.pt").read_bytes()
        assert train_sft.main([*options, "--resume"]) == 0
        assert (tmp_path / "base.pt").read_bytes() == base, "the base must not be trained again"


@pytest.mark.parametrize("cost, best", [({1: 4, 2: 2, 4: 3}, 2), ({1: 4, 2: 3, 4: 2}, 4), ({1: 1, 2: 4, 4: 4}, 1)])
def test_as_many_threads_are_taken_as_are_fastest_unless_they_were_asked_for(cost, best, monkeypatch):
    class Slow:
        def __call__(self, *_):
            return self

        def backward(self):
            time.sleep(0.01 * cost[threads[-1]])

    threads = [4]  # of a machine with four cores
    monkeypatch.setattr(speed, "GPT", lambda config: Slow())
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    speed.choose_threads("float32")
    assert threads == [4]
    monkeypatch.delenv("OMP_NUM_THREADS")
    speed.choose_threads("float32")
    assert threads[-1] == best
