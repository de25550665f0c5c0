"""The loop: the same rows give the same gradient however they are split; a stop costs nothing; mistakes end in a line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import data
import train_sft
from model import GPT, IGNORE, GPTConfig, UserError, load_checkpoint

ROOT = Path(__file__).parents[1]
TINY = [
    "--quick",
    "--n-embd",
    "16",
    "--n-head",
    "2",
    "--pretrain-steps",
    "12",
    "--tune-epochs",
    "0.03",
    "--vocab-size",
    "300",
]


def tiny_model(seed=0):
    torch.manual_seed(seed)
    return GPT(GPTConfig(60, 32, n_layer=2, n_head=2, n_embd=16))


def examples(n=12):
    generator = torch.Generator().manual_seed(1)
    out = []
    for i in range(n):
        ids = torch.randint(0, 59, (6 + i,), generator=generator).tolist()
        out.append((ids, [0] * (2 + i // 2) + [1] * (4 + i - i // 2)))
    return out


def gradient(model, parts, n_learned):
    model.zero_grad()
    for inputs, targets in parts:
        (model.loss_sum(inputs, targets) / n_learned).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def test_the_same_rows_give_the_same_gradient_however_they_are_split_and_padded():
    model, rows = tiny_model(), examples()
    n = sum(sum(mask) for _, mask in rows)
    whole = gradient(model, [data.collate(rows, 59)], n)
    for size in (1, 2, 5):
        parts = [data.collate(rows[i : i + size], 59) for i in range(0, len(rows), size)]
        torch.testing.assert_close(gradient(model, parts, n), whole, atol=1e-6, rtol=1e-4)
    backwards = gradient(model, [data.collate(rows[::-1], 59)], n)
    torch.testing.assert_close(backwards, whole, atol=1e-6, rtol=1e-4)


def trained_plainly(micro_batch):
    """Three steps of plain gradient descent, unclipped, so that a gradient's size is seen in the weights."""
    before = train_sft.optimizers_for, torch.nn.utils.clip_grad_norm_
    train_sft.optimizers_for = lambda model, lr, *_: [torch.optim.SGD(model.parameters(), lr)]
    torch.nn.utils.clip_grad_norm_ = lambda *args: None
    try:
        model = tiny_model()
        train_sft.train(
            model, lambda step: data.collate(examples()[step : step + 5], 59), 3, 0.3, micro_batch=micro_batch
        )
        return torch.cat([p.detach().flatten() for p in model.parameters()])
    finally:
        train_sft.optimizers_for, torch.nn.utils.clip_grad_norm_ = before


def _one_process(rank, file, queue):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    mine = trained_plainly(micro_batch=1)  # three rows and two: the processes have different numbers of micro-batches
    queue.put(mine.tolist())
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


def batch_at(step):
    return data.collate(examples()[step % 5 : step % 5 + 4], 59)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_micro_batches_do_not_change_what_is_learned():
    one, other = tiny_model(), tiny_model()
    train_sft.train(one, batch_at, 6, 1e-3, micro_batch=64)
    train_sft.train(other, batch_at, 6, 1e-3, micro_batch=1)
    torch.testing.assert_close(weights(one), weights(other), atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_ctrl_c_saves_and_a_resume_gives_the_same_bits_as_no_stop(dtype):
    whole, stopped, resumed, saved = tiny_model(), tiny_model(), tiny_model(seed=9), []

    def press_ctrl_c(step):
        if step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return batch_at(step)

    train_sft.train(whole, batch_at, 11, 1e-3, dtype=dtype)
    with pytest.raises(train_sft.Interrupted):
        train_sft.train(stopped, press_ctrl_c, 11, 1e-3, dtype=dtype, save=saved.append)
    assert saved[-1]["step"] == 5
    train_sft.train(resumed, batch_at, 11, 1e-3, dtype=dtype, state=saved[-1])
    assert torch.equal(weights(whole), weights(resumed))


def test_bfloat16_is_for_products_only_and_learns_as_much():
    plain, mixed, seen, losses = tiny_model(), tiny_model(), set(), []
    mixed.h[0].mlp.c_fc.register_forward_hook(lambda module, given, out: seen.add(out.dtype))
    for model, dtype in ((plain, "float32"), (mixed, "bfloat16")):
        train_sft.train(model, batch_at, 30, 1e-2, muon_lr=0.02, dtype=dtype, log=losses.append)
    first, last, mixed_first, mixed_last = (losses[i]["loss"] for i in (0, 3, 4, 7))
    assert seen == {torch.bfloat16}
    assert {weight.dtype for weight in mixed.state_dict().values()} == {torch.float32}
    assert not torch.equal(weights(plain), weights(mixed))
    assert last < 0.7 * first
    assert (mixed_first, mixed_last) == pytest.approx((first, last), rel=0.05)


@pytest.mark.parametrize(
    "known, dtype", [({}, "float32"), ({"avx512_bf16": True}, "bfloat16"), ({"amx_bf16": True}, "bfloat16")]
)
def test_auto_takes_bfloat16_only_where_the_processor_knows_it(known, dtype, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    assert train_sft.parse(["--device", "cpu"]).dtype == dtype
    for chosen in ("float32", "bfloat16"):
        assert train_sft.parse(["--device", "cpu", "--dtype", chosen]).dtype == chosen


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 24, 8), (2, 8, 24)])
def test_muon_moves_every_direction_of_a_matrix_about_equally_far(shape):
    torch.manual_seed(0)
    matrices = torch.randn(shape)
    moved = train_sft.orthogonal(matrices)
    left, sizes, right = torch.linalg.svd(matrices, full_matrices=False)
    along = (left.mT @ moved @ right.mT).diagonal(dim1=1, dim2=2)  # how far in each direction of the matrix
    assert sizes.max() / sizes.min() > 2 and along.min() > 0.6 and along.max() < 1.3
    assert torch.allclose(left * along.unsqueeze(1) @ right, moved, atol=1e-4), "and in no other"


@pytest.mark.parametrize("shape", [(16, 16), (32, 16), (16, 32)])
def test_muon_is_torchs_muon_in_float32(shape):
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.ones(shape)) for _ in range(2))
    settings = {"lr": 0.02, "momentum": 0.95, "weight_decay": 0.1}
    optimizers = train_sft.Muon([ours], **settings), torch.optim.Muon([theirs], **settings, adjust_lr_fn="original")
    for _ in range(5):
        ours.grad = torch.randn(shape)
        theirs.grad = ours.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert (ours - theirs).norm() < 0.03 * (theirs - 1).norm()


def test_a_batch_without_a_learned_token_changes_no_weight_to_nan():
    model = tiny_model()
    inputs, _ = batch_at(0)
    train_sft.train(model, lambda step: (inputs, torch.full_like(inputs, IGNORE)), 2, 1e-3)
    assert torch.isfinite(weights(model)).all()


def test_a_loss_that_is_not_finite_is_said_and_not_trained_on():
    model = tiny_model()
    model.wte.weight.data[3] = float("nan")
    with pytest.raises(UserError, match="the loss is nan at step 0"):
        train_sft.train(model, batch_at, 2, 1e-3)


def run(*command, cwd=ROOT, code=0, **kwargs):
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, **kwargs
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


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
             "What is the capital of France?", "report.json", "python generate.py"]  # fmt: skip
    places = [screen.index(parts[0])]
    for part in parts[1:]:
        places.append(screen.index(part, places[-1]))
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    for split in ("unseen_inputs", "unseen_phrasings", "unseen_tasks"):
        for column in ("base_raw", "base_template", "tuned", "lora"):
            assert {"correct", "stopped", "continued", "interval", "tasks"} <= set(report["held_out"][split][column])
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
    run("world.py", tmp_path / "w", timeout=100)
    rows = (tmp_path / "w" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()[:40]
    (tmp_path / "few.jsonl").write_text(
        "\n".join([*rows, "not json", '{"instruction": "", "output": "x"}']), encoding="utf-8"
    )
    screen = run("train_sft.py", *TINY, "--corpus", tmp_path / "w" / "corpus.txt", "--data", tmp_path / "few.jsonl",
                 "--out", tmp_path / "o")  # fmt: skip
    assert "few.jsonl:41" in screen and "few.jsonl:42" in screen


def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_happened(tmp_path):
    flags = [*TINY, "--pretrain-steps", "40", "--save-every", "5"]
    run("train_sft.py", *flags, "--out", tmp_path / "whole")
    out = tmp_path / "killed"
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "train_sft.py", *flags, "--out", str(out)]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    while not (out / "resume.pt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (out / "base.pt").exists()
    run("train_sft.py", *flags, "--out", out, "--resume")
    for name in ("base.pt", "tuned.pt"):
        one, other = load_checkpoint(tmp_path / "whole" / name)["model"], load_checkpoint(out / name)["model"]
        assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--data", "missing.jsonl"], "missing.jsonl: cannot be read"),
        (["--data", "."], "cannot be read"),
        (["--corpus", "missing.txt"], "missing.txt: cannot be read"),
        (["--tune-lr", "7"], "--tune-lr 7.0: choose from"),
        (["--dtype", "half"], "--dtype half: unknown"),
        (["--n-embd", "30"], "--n-embd 30: must be a multiple of"),
        (["--window", "500"], "--window 500: must not be longer"),
        (["--template", "nope"], "--template nope: unknown. Known: alpaca"),
        (["--hold-out", "nope"], "--hold-out nope: no such task"),
        (["--device", "abacus"], "--device abacus: not there"),
        (["--resume"], "nothing to resume"),
        (["--out", "/dev/null/x"], "cannot be written"),
    ],
)
def test_a_mistake_ends_in_one_line_that_names_it(flags, said, tmp_path, capsys):
    out = [] if "--out" in flags else ["--out", str(tmp_path)]
    assert train_sft.main([*TINY, *out, *flags]) == 2
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

    flags = [*TINY, "--fresh", "--save-every", "1", "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(train_sft, "tokenizer_for", ctrl_c)
        assert train_sft.main(flags) == 130
    assert "nothing to keep yet" in capsys.readouterr().out
    for place in ("prepare", "score_columns"):
        with monkeypatch.context() as patch:
            patch.setattr(train_sft, place, ctrl_c)
            assert train_sft.main(flags) == 130
        assert "--resume" in capsys.readouterr().out.splitlines()[-1]
        base = (tmp_path / "base.pt").read_bytes()
        assert train_sft.main([*flags, "--resume"]) == 0
        assert (tmp_path / "base.pt").read_bytes() == base, "the base must not be trained again"
