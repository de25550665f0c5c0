"""The loop: gradients don't depend on how rows are split, a stop costs nothing, and a mistake ends
in one line."""

import json
import math
import os
import signal
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from helpers import close, encode_turns, examples, row_of, same_bits, tiny_model, weights

import data
import generate
import train_sft
from common import flags, speed
from common.checkpoint import load_checkpoint
from common.cli import UserError
from common.muon import muon_and_adamw
from common.pairs import Corpus, Pairs, with_replay
from common.run import Run
from generate import Assistant
from model import IGNORE
from train_sft import adamw, train

# --------------------------------------------------------------------------------------------------
# The loop


def batch_at(step):
    return data.collate(examples()[step % 5 : step % 5 + 4], 59)


def trained(steps=6, lr=1e-3, model=None, **options):
    model = model or tiny_model()
    batches = options.pop("batch_at", batch_at)
    train(model, batches, steps, [adamw(model.parameters(), lr)], **options)
    return model


def test_micro_batches_and_order_do_not_change_the_mean_gradient():
    model, rows = tiny_model(), examples()
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=False)

    def gradient(loss):
        vector = torch.cat([p.grad.flatten() for p in model.parameters()])
        model.zero_grad()
        return vector, loss

    # the oracle: PyTorch's mean over the supervised tokens
    inputs, targets = data.collate(rows, 59)
    mean = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), ignore_index=IGNORE)
    mean.backward()
    expected = gradient(mean.item())
    for micro_batch, order in ((1, rows), (5, rows), (64, rows), (2, rows[::-1])):
        batch = data.collate(order, 59)
        vector, loss = gradient(train_sft.backward(model, batch, micro_batch, autocast))
        assert close(vector, expected[0], atol=1e-6)
        assert loss == pytest.approx(expected[1], rel=1e-5)


def test_the_learning_rate_rises_then_falls_to_zero():
    rates = [train_sft.lr_multiplier(step, 20) for step in range(21)]
    assert rates[:2] == [0.5, 1.0] and rates[-1] == 0
    falls = [a - b for a, b in zip(rates[1:], rates[2:])]
    assert falls == pytest.approx([1 / 19] * 19)
    rates = [train_sft.lr_multiplier(step, 1000) for step in range(1000)]
    assert rates.index(max(rates)) == 49 and max(rates) == 1
    assert train_sft.lr_multiplier(0, 1) == 1


def test_only_trainable_matrices_get_weight_decay():
    model = tiny_model()
    model.wte.requires_grad_(False)
    groups = adamw(model.parameters(), 1e-3).param_groups
    decay = {p: group["weight_decay"] for group in groups for p in group["params"]}
    for name, p in model.named_parameters():
        expected = None if name == "wte.weight" else 0.01 * (p.dim() == 2)
        assert decay.get(p) == expected, name


def test_any_module_with_a_summed_loss_can_be_trained_with_any_optimizer():
    """A bigram model: ten lines of a learner."""

    class Bigram(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Parameter(torch.zeros(60, 60))

        def forward(self, ids, targets):
            return F.cross_entropy(self.table[ids].mT, targets, reduction="sum")

    model, losses = Bigram(), []
    optimizers = [torch.optim.Adam(model.parameters(), 0.1)]
    log = {"on_step": lambda *now: losses.append(now[2])}
    train(model, lambda step: batch_at(0), 30, optimizers, **log)
    assert len(losses) == 30 and losses[-1] < losses[0] / 2


def test_bfloat16_is_for_products_only_and_learns_as_much():
    plain, mixed, dtypes, losses = tiny_model(), tiny_model(), set(), []
    mixed.h[0].mlp.c_fc.register_forward_hook(lambda module, x, y: dtypes.add(y.dtype))
    for model, dtype in ((plain, "float32"), (mixed, "bfloat16")):
        optimizers = muon_and_adamw(model, 3e-3, lambda parameters, _: adamw(parameters, 1e-2))
        log = {"on_step": lambda *now: losses.append(now[2])}
        train(model, batch_at, 20, optimizers, dtype=dtype, **log)
    assert dtypes == {torch.bfloat16}
    assert {weight.dtype for weight in mixed.state_dict().values()} == {torch.float32}
    assert not torch.equal(weights(plain), weights(mixed))
    assert losses[19] < 0.8 * losses[0]
    assert losses[20::19] == pytest.approx(losses[:20:19], rel=0.05)


def test_a_batch_without_a_supervised_token_changes_no_weight_to_nan():
    inputs, _ = batch_at(0)
    model = trained(2, batch_at=lambda step: (inputs, torch.full_like(inputs, IGNORE)))
    assert torch.isfinite(weights(model)).all()


def test_a_loss_that_is_not_finite_stops_before_it_changes_a_weight():
    model = tiny_model()
    model.wte.weight.data[3] = float("nan")
    before = model.h[0].mlp.c_fc.weight.clone()
    with pytest.raises(UserError, match="the loss is nan at step 0"):
        trained(2, model=model)
    assert torch.equal(model.h[0].mlp.c_fc.weight, before)


# --------------------------------------------------------------------------------------------------
# The two stages


def test_the_two_stages_are_the_same_loop(monkeypatch):
    """On rows of one length with a mask of ones, tuning takes the very steps of pretraining."""
    stream = torch.randint(0, 59, (16 * 4 + 1,), generator=torch.Generator().manual_seed(0))
    rows = [(stream[i : i + 17].tolist(), [1] * 17) for i in range(0, 64, 16)]
    monkeypatch.setattr(train_sft, "epoch_batches", lambda rows, *_: [rows[:2], rows[2:]])
    one, other = tiny_model(), tiny_model()
    optimizers = [adamw(one.parameters(), 1e-3)]
    train_sft.pretrain(one, stream, 4, optimizers, batch_size=2, seq_len=16)
    train_sft.tune(other, rows, 4, [adamw(other.parameters(), 1e-3)], batch_size=2)
    assert torch.equal(weights(one), weights(other))


def test_tuning_reads_every_example_once_an_epoch_in_another_order(monkeypatch):
    batches, rows = [], [([i] * 3, [1] * 3) for i in range(10)]

    def note(model, batch_at, steps, optimizers):
        batches.extend(batch_at(step)[0][:, 0].tolist() for step in range(steps))

    monkeypatch.setattr(train_sft, "train", note)
    train_sft.tune(None, rows, 10, [], batch_size=2)
    for epoch in (batches[:5], batches[5:]):
        assert sorted(sum(epoch, [])) == list(range(10))
    assert batches[:5] != batches[5:]


def test_replay_is_whole_documents_and_other_pairs(tokenizer):
    documents = ["the cat sat", "on the mat", "the cat sat on the mat " * 9]
    config = SimpleNamespace(seed=0, replay=0.5, min_rows=0, template="plain")
    corpus = Corpus("text", documents, None)
    arguments = (corpus, tokenizer, 20)
    rows = examples(6)
    mixed = with_replay(config, rows, Pairs([], {}), *arguments)
    assert mixed[:6] == rows and len(mixed) == 6 + 3  # a half of six
    for ids, mask in mixed[6:]:
        assert mask == [1] * len(ids) and len(ids) <= 21 and ids[0] == tokenizer.eos_id
    whole = {tokenizer.decode(ids[1:-1]) for ids, _ in mixed[6:] if ids[-1] == tokenizer.eos_id}
    assert whole == set(documents[:2])

    # few pairs are repeated; three quarters of the replay are other pairs
    config.min_rows = 12
    other = row_of(("q", "", "a"))
    mixed = with_replay(config, rows, Pairs([], {}, replay=[other] * 9), *arguments)
    prompt = encode_turns(tokenizer, "plain", [other.turns[0]], 20)[:2]
    assert mixed[:12] == rows * 2 and mixed[12:16] == [prompt] * 4 and len(mixed) == 18


# --------------------------------------------------------------------------------------------------
# The main job


def same_models(folder, other, name):
    return same_bits(*(load_checkpoint(path / name)["model"] for path in (folder, other)))


def test_the_main_job_shows_its_parts_in_order_in_80_columns(tiny_run):
    parts = ["1. Pretraining", "step", "2. One pair", "rows kept", "0 held-out prompts"]
    parts += ["3. Tuning", "LoRA of rank 2", "4. Did it work?", "Loss on held-back text"]
    parts += ["5. Side by side", "page.html", "python generate.py"]
    at = 0
    for part in parts:
        at = tiny_run.screen.index(part, at)
    assert [line for line in tiny_run.screen.splitlines() if len(line) > 80] == []


def test_the_main_job_leaves_its_files_and_nothing_else(tiny_run):
    report = json.loads((tiny_run.out / "report.json").read_text(encoding="utf-8"))
    for columns in report["held_out"].values():
        assert list(columns) == ["n", "base_raw", "base_template", "tuned", "lora"]
        for name in list(columns)[1:]:
            column = columns[name]
            assert column["correct"] <= column["begins"] <= columns["n"]
    assert set(report["corpus_loss"]) == {"base", "tuned", "lora"}
    assert set(report["stages"]) == {"pretrain", "tune", "lora"}
    log = (tiny_run.out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["stage"] for line in log} == {"pretrain", "tune", "lora"}
    names = {path.name for path in tiny_run.out.iterdir()}
    assert {"base.pt", "tuned.pt", "lora.pt", "page.html"} <= names and "resume.pt" not in names
    assert not [name for name in names if name.endswith(".tmp")]


def test_generate_answers_a_question_and_chats(tiny_run, monkeypatch, capsys):
    options = ["--tuned", str(tiny_run.out / "tuned.pt"), "--max-new-tokens", "6"]
    assert generate.main([*options, "Is the cat red?"]) == 0
    screen = capsys.readouterr().out
    assert all(label in screen for label in ("> Is the cat red?", "base+template", "tuned"))
    lines = iter(["hello", "/raw", "Once", "/quit"])
    monkeypatch.setattr("builtins.input", lambda prompt: print(prompt) or next(lines))
    assert generate.main(options) == 0
    assert "base> " in capsys.readouterr().out


# --------------------------------------------------------------------------------------------------
# Stops


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_ctrl_c_saves_and_a_resume_gives_the_same_bits_as_no_stop(dtype, tmp_path, tokenizer):
    whole, stopped, resumed = tiny_model(), tiny_model(), tiny_model(seed=9)

    def press_ctrl_c(step):
        if step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return batch_at(step)

    def in_stage(model, batch_at, *more):
        config = flags.parse_train(["--out", str(tmp_path), "--dtype", dtype, *more])
        run = Run(config)
        run.start()
        assistant, optimizers = Assistant(model, tokenizer, None), [adamw(model.parameters(), 1e-3)]
        assistant.ask = lambda *_, **__: ("an answer", True)
        with run.track("tune", assistant, optimizers, "hash") as options:
            train(model, batch_at, 11, optimizers, **options)

    trained(11, model=whole, dtype=dtype)
    with pytest.raises(KeyboardInterrupt):
        in_stage(stopped, press_ctrl_c)
    assert load_checkpoint(tmp_path / "resume.pt")["state"]["step"] == 5
    in_stage(resumed, batch_at, "--resume")
    assert torch.equal(weights(whole), weights(resumed))


def test_ctrl_c_between_the_stages_says_how_to_continue(tiny_run, tmp_path, monkeypatch, capsys):
    def ctrl_c(*_):
        raise KeyboardInterrupt

    options = [*tiny_run.flags, "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(train_sft, "train_tokenizer", ctrl_c)
        assert train_sft.main(options) == 130
    assert capsys.readouterr().out.endswith("\nStopped.\n"), "there is nothing to continue"
    with monkeypatch.context() as patch:
        patch.setattr(train_sft.table, "score_models", ctrl_c)
        assert train_sft.main(options) == 130
    assert capsys.readouterr().out.splitlines()[-1].endswith("--resume.")
    base = (tmp_path / "base.pt").read_bytes()
    assert train_sft.main([*options, "--resume"]) == 0
    assert f"1. The base is {tmp_path}/base.pt." in capsys.readouterr().out
    assert (tmp_path / "base.pt").read_bytes() == base
    assert same_models(tiny_run.out, tmp_path, "tuned.pt")


# --------------------------------------------------------------------------------------------------
# Settings and mistakes


def test_auto_takes_bfloat16_only_where_the_processor_multiplies_it(monkeypatch):
    auto = {}
    for known in ((), ("avx512_bf16",), ("amx_bf16",)):
        capabilities = dict.fromkeys(known, True)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
        auto[known] = flags.parse_train(["--device", "cpu"]).dtype
        for dtype in ("float32", "bfloat16"):
            assert flags.parse_train(["--device", "cpu", "--dtype", dtype]).dtype == dtype
    assert list(auto.values()) == ["float32", "bfloat16", "bfloat16"]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--data", "missing.jsonl"], "missing.jsonl: can"),
        (["--corpus", "missing.txt"], "missing.txt: can"),
        (["--tune-lr", "7"], "--tune-lr: 7: choose from"),
        (["--dtype", "half"], "--dtype: invalid choice"),
        (["--resume"], "nothing to resume"),
        (["--out", "/dev/null/x"], "/dev/null/x: can't be written"),
    ],
)
def test_a_mistake_ends_in_one_line_that_names_it(options, message, own_flags, tmp_path, capsys):
    out = [] if "--out" in options else ["--out", str(tmp_path)]
    assert train_sft.main([*own_flags, *out, *options]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and error.startswith("error: ")
    assert not list(tmp_path.iterdir()), "nothing is written before everything is checked"


def test_a_damaged_base_is_named_and_not_overwritten(own_flags, tmp_path, capsys):
    (tmp_path / "base.pt").write_bytes(b"not a checkpoint")
    assert train_sft.main([*own_flags, "--out", str(tmp_path)]) == 2
    assert "base.pt: not a checkpoint" in capsys.readouterr().err
    assert (tmp_path / "base.pt").read_bytes() == b"not a checkpoint"


# --------------------------------------------------------------------------------------------------
# Threads and processes


@pytest.mark.parametrize(
    "cost, fastest",
    [({1: 4, 2: 2, 4: 3}, 2), ({1: 4, 2: 3, 4: 2}, 4), ({1: 1, 2: 4, 4: 4}, 1)],
)
def test_the_fastest_number_of_threads_is_taken_unless_you_chose_one(cost, fastest, monkeypatch):
    threads, clock = [4], [0.0]  # a machine with four cores

    class Slow:
        def __call__(self, *_):
            return self

        def backward(self):
            clock[0] += cost[threads[-1]]

    def repeat(call, number, repeat):
        start = clock[0]
        call()
        return [clock[0] - start]

    monkeypatch.setattr(speed, "GPT", lambda config: Slow())
    monkeypatch.setattr(speed.timeit, "repeat", repeat)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    speed.choose_threads("float32")
    assert threads == [4]
    monkeypatch.delenv("OMP_NUM_THREADS")
    speed.choose_threads("float32")
    assert threads[-1] == fastest


def plain_descent(**options):
    """Three unclipped steps of gradient descent: the size of a gradient shows in the weights."""
    model = tiny_model()
    optimizers = [torch.optim.SGD(model.parameters(), 0.3)]

    def batch_at(step):
        return data.collate(examples()[step : step + 5], 59)

    train(model, batch_at, 3, optimizers, clip=math.inf, **options)
    return weights(model)


def one_process(rank, file, queue):
    from extras.parallel import backward

    torch.set_num_threads(1)
    store = f"file://{file}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    # three rows and two: the processes have different numbers of micro-batches
    queue.put(plain_descent(micro_batch=1, backward=backward).tolist())
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tmp_path):
    context = torch.multiprocessing.get_context("spawn")
    queue = context.Queue()
    arguments = [(rank, tmp_path / "store", queue) for rank in (0, 1)]
    workers = [context.Process(target=one_process, args=these) for these in arguments]
    for worker in workers:
        worker.start()
    results = [torch.tensor(queue.get(timeout=120)) for _ in workers]
    for worker in workers:
        worker.join(60)
    assert torch.equal(*results)
    assert close(results[0], plain_descent(micro_batch=64), atol=1e-5)
