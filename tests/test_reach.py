"""Beyond the tiny world: GPT-2's files, packing, Muon, several processes, big texts, judges."""

import json
import os
import shutil
import sys

import pytest
import torch
from helpers import SHARED, examples, gradient, logits_of, row_of, run, tiny_model
from small import losses, refusal, run_main, short_answers, write_files, write_pairs  # noqa: F401

import data
import generate
import train_sft
from common import sources
from common.checkpoint import load_checkpoint
from common.cli import UserError
from common.muon import Muon, orthogonalize
from common.pairs import Corpus
from data import collate
from extras import evaluate, gpt2, judge
from extras.gpt2 import load_gpt2
from extras.packing import collate_packed, pack
from extras.parallel import shard
from model import GPT, GPTConfig

BPE = SHARED / "gpt2_bpe"

# --------------------------------------------------------------------------------------------------
# GPT-2. We write its files here in the way that the transformers library does.


def gpt2_shaped(vocab_size=300, block_size=32):
    torch.manual_seed(0)
    shape = {"n_layer": 2, "n_head": 2, "n_embd": 16, "position": "learned", "smear": 0}
    return GPT(GPTConfig(vocab_size, block_size, **shape, gelu="tanh")).eval()


def write_gpt2(folder, model, safetensors=True):
    """Write config.json and the weights; those of a block's four products as (in, out)."""
    folder.mkdir(exist_ok=True)
    c = model.config
    about = {"model_type": "gpt2", "vocab_size": c.vocab_size, "n_positions": c.block_size}
    about |= {"n_layer": c.n_layer, "n_head": c.n_head, "n_embd": c.n_embd}
    (folder / "config.json").write_text(json.dumps(about), encoding="utf-8")
    tensors = {}
    for name, weight in model.state_dict().items():
        is_product = name.split(".")[-2] in ("c_attn", "c_proj", "c_fc") and weight.dim() == 2
        tensors[f"transformer.{name}"] = (weight.T if is_product else weight).contiguous()
    if safetensors:
        tensors["transformer.h.0.attn.bias"] = torch.zeros(4, dtype=torch.bool)  # not a weight
        write_safetensors(folder / "model.safetensors", tensors)
    else:
        torch.save(tensors, folder / "pytorch_model.bin")


def write_safetensors(path, tensors):
    """Write the length of a header, the header and the numbers, in the published format."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        raw = tensor.numpy().tobytes()
        dtype = {torch.float32: "F32", torch.bool: "BOOL"}[tensor.dtype]
        ends = [len(content), len(content) + len(raw)]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": ends}
        content += raw
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)


def write_vocabulary(folder, n=256):
    """Write a vocabulary in GPT-2's form: n of the 256 bytes and the end of text."""
    letters = gpt2.byte_letters()
    order = sorted(range(256), key=lambda byte: ord(letters[byte]))[:n]
    ids = {letters[byte]: i for i, byte in enumerate(order)} | {"<|endoftext|>": n}
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")


@pytest.mark.oracle
def test_gpt2_has_the_logits_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(vocab_size=97, n_positions=24, n_embd=32, n_layer=3, n_head=4)
    torch.manual_seed(0)
    theirs = transformers.GPT2LMHeadModel(config).eval()
    ids = torch.randint(0, 97, (2, 24))
    with torch.no_grad():
        expected = theirs(ids).logits
    theirs.save_pretrained(tmp_path / "a")
    (tmp_path / "b").mkdir()
    shutil.copy(tmp_path / "a" / "config.json", tmp_path / "b")
    torch.save(theirs.state_dict(), tmp_path / "b" / "pytorch_model.bin")
    for name in "ab":
        ours = load_gpt2(tmp_path / name).eval()
        torch.testing.assert_close(logits_of(ours, ids), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("safetensors", [True, False])
def test_gpt2s_files_are_its_weights(tmp_path, safetensors):
    model, ids = gpt2_shaped(), torch.randint(0, 300, (2, 20))
    write_gpt2(tmp_path, model, safetensors)
    assert torch.equal(logits_of(load_gpt2(tmp_path).eval(), ids), logits_of(model, ids))


@pytest.mark.parametrize("content", [b"", b"\x10\0\0\0\0\0\0\0{}", os.urandom(64)])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_files_that_are_no_weights_are_named(tmp_path, name, content):
    write_gpt2(tmp_path, gpt2_shaped(), name == "model.safetensors")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: not GPT-2's, or cut off"):
        load_gpt2(tmp_path)


def test_weights_that_were_cut_off_are_named(tmp_path):
    write_gpt2(tmp_path, gpt2_shaped())
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(UserError, match="cut off"):
        load_gpt2(tmp_path)


ODD_CONFIGS = [
    {"activation_function": "relu"},
    {"layer_norm_epsilon": 1e-3},
    {"scale_attn_by_inverse_layer_idx": True},
    {"model_type": "opt"},
    {"scale_attn_weights": False},
]


@pytest.mark.parametrize("change", ODD_CONFIGS, ids=str)
def test_a_config_of_another_model_is_refused(tmp_path, change):
    write_gpt2(tmp_path, gpt2_shaped())
    about = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(about | change))
    with pytest.raises(UserError, match=next(iter(change))):
        load_gpt2(tmp_path)


def test_gpt2s_own_tokenizer_from_its_file(tmp_path):
    if not BPE.exists():
        pytest.skip("no vocabulary here")
    shutil.copy(BPE / "encoder.json", tmp_path / "vocab.json")  # its name beside the weights
    tokenizer = gpt2.gpt2_tokenizer(tmp_path)
    assert (tokenizer.vocab_size, tokenizer.eos_id) == (50257, 50256)
    assert tokenizer.encode("Every effort moves you") == [6109, 3626, 6100, 345]
    assert tokenizer.encode("\n\n### Response:\n") == [198, 198, 21017, 18261, 25, 198]
    assert tokenizer.encode("<|endoftext|>") == [27, 91, 437, 1659, 5239, 91, 29], "it stays text"
    assert tokenizer.encode("\U0001f600 caf\u00e9") == [47249, 222, 40304]


def test_gpt2s_files_are_read_once_they_are_complete(tmp_path):
    folder = tmp_path / "gpt2"

    def message():
        with pytest.raises(UserError) as error:
            gpt2.load_base(folder)
        return str(error.value)

    assert "gpt2: not found. Give gemma" in message()
    folder.mkdir()
    assert "Put config.json, vocab.json and model.safetensors in one folder" in message()
    write_gpt2(folder, gpt2_shaped(vocab_size=257))
    assert "vocab.json: can't be read" in message()
    (folder / "vocab.json").write_text("[]")
    assert "Get it again" in message()
    write_vocabulary(folder, 100)
    assert "257 tokens in the weights, 101 in vocab.json" in message()
    write_vocabulary(folder)
    model, tokenizer = gpt2.load_base(folder)
    assert tokenizer.decode(tokenizer.encode("caf\u00e9")) == "caf\u00e9"
    assert model.config.vocab_size == tokenizer.vocab_size == 257


def test_a_gpt2_base_is_tuned_and_asked(tmp_path, capsys, monkeypatch):
    documents = ["One two three four, five."] * 100  # instead of the world's two million tokens
    corpus = Corpus("text", documents, lambda tokenizer: data.encode_corpus(tokenizer, documents))
    monkeypatch.setattr(sources, "load_corpus", lambda config: corpus)
    folder, out = tmp_path / "gpt2", tmp_path / "out"
    write_gpt2(folder, gpt2_shaped(vocab_size=257, block_size=64))
    write_vocabulary(folder)
    write_pairs(tmp_path / "a.jsonl")
    flags = ["--base", folder, "--data", tmp_path / "a.jsonl", "--replay", 0, "--tune-batch", 60]
    flags += ["--device", "cpu", "--out", out]
    run_main(*flags, "--lora", 2, "--tune-epochs", 0.1)
    assert generate.main(["--tuned", f"{out}/lora.pt", "--max-new-tokens", "2", "Say 1."]) == 0

    # the base in the folder is that one, and no other is taken for it
    base = load_checkpoint(out / "base.pt")["model"]
    assert all(torch.equal(base[name], w) for name, w in load_gpt2(folder).state_dict().items())
    other = [tmp_path / "other" if flag == folder else flag for flag in flags]
    assert "was made with" in refusal(capsys, *other)


# --------------------------------------------------------------------------------------------------
# Packing


@pytest.mark.parametrize("position, smear", [("rotary", 1), ("rotary", 0), ("learned", 0)])
def test_packed_rows_have_the_gradient_of_padded_ones(position, smear):
    model, rows = tiny_model(position=position, smear=smear), examples()
    packed = collate_packed(rows, 59, 40)
    assert len(packed[0]) < len(rows) / 2
    torch.testing.assert_close(
        gradient(model, packed), gradient(model, collate(rows, 59)), atol=2e-5, rtol=1e-4
    )


def test_an_example_in_a_packed_row_cannot_see_its_neighbor():
    model = tiny_model().eval()
    inputs, _, positions, mask = collate_packed(examples(), 59, 40)
    changed = inputs.clone()
    start = (
        (positions[0] == 0).nonzero()[1].item()
    )  # where the second example of the first row begins
    changed[0, :start] = (changed[0, :start] + 7) % 59
    with torch.no_grad():
        one, other = model.hidden(inputs, positions, mask), model.hidden(changed, positions, mask)
    assert torch.equal(one[0, start:], other[0, start:]) and not torch.allclose(
        one[0, :start], other[0, :start]
    )


@pytest.mark.parametrize("block_size", [17, 20, 40, 1000])
def test_packing_keeps_every_example_whole_and_once(block_size):
    rows = examples()
    packed = pack(rows, block_size)
    assert sorted(map(str, sum(packed, []))) == sorted(map(str, rows))
    assert all(sum(len(ids) - 1 for ids, _ in row) <= block_size for row in packed)


# --------------------------------------------------------------------------------------------------
# Muon


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 24, 8), (2, 8, 24)])
def test_muon_moves_every_direction_of_a_matrix_about_equally_far(shape):
    torch.manual_seed(0)
    matrices = torch.randn(shape)
    moved = orthogonalize(matrices)
    left, sizes, right = torch.linalg.svd(matrices, full_matrices=False)
    along = (left.mT @ moved @ right.mT).diagonal(
        dim1=1, dim2=2
    )  # how far in each direction of the matrix
    assert sizes.max() / sizes.min() > 2 and along.min() > 0.6 and along.max() < 1.3
    assert torch.allclose(left * along.unsqueeze(1) @ right, moved, atol=1e-4), "and in no other"


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="older releases of torch have no Muon")
@pytest.mark.parametrize("shape", [(16, 16), (32, 16), (16, 32)])
def test_muon_is_torchs_muon_in_float32(shape):
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.ones(shape)) for _ in range(2))
    settings = {"lr": 0.02, "weight_decay": 0.1}
    optimizers = (
        Muon([ours], **settings),
        torch.optim.Muon([theirs], momentum=0.95, **settings, adjust_lr_fn="original"),
    )
    for _ in range(5):
        ours.grad = torch.randn(shape)
        theirs.grad = ours.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert (ours - theirs).norm() < 0.03 * (theirs - 1).norm()


# --------------------------------------------------------------------------------------------------
# Several processes

TWO = ("-m", "torch.distributed.run", "--nproc_per_node=2")


@pytest.mark.slow
def test_two_processes_learn_as_one_and_only_one_speaks(tmp_path):
    flags = write_files(tmp_path)
    one, two = tmp_path / "one", tmp_path / "two"
    run("train_sft.py", *flags, "--micro-batch", "5", "--out", one)
    screen = run(*TWO, "train_sft.py", *flags, "--micro-batch", "3", "--out", two)
    assert screen.count("3. Tuning") == screen.count("4. Did it work?") == 1
    expected = [loss for _, _, loss in losses(one)]
    assert [loss for _, _, loss in losses(two)] == pytest.approx(expected, rel=1e-3)
    check_alike(two / "tuned.pt", one / "tuned.pt")


@pytest.mark.slow
def test_a_run_of_one_process_goes_on_with_two(tmp_path, monkeypatch):
    flags = [*write_files(tmp_path), "--save-every", "2"]
    run_main(*flags, "--out", tmp_path / "whole")
    right = train_sft.corpus_batch

    def stopped(stream, step, *rest):
        if step == 4:
            raise KeyboardInterrupt
        return right(stream, step, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(train_sft, "corpus_batch", stopped)
        run_main(*flags, "--out", tmp_path / "out", code=130)
    run(*TWO, "train_sft.py", *flags, "--resume", "--out", tmp_path / "out")
    check_alike(tmp_path / "out" / "base.pt", tmp_path / "whole" / "base.pt")


def check_alike(path, other):
    """Compare weights. The bias of the keys has no gradient but rounding, so we leave it out."""
    weights, expected = load_checkpoint(path)["model"], load_checkpoint(other)["model"]
    for name, weight in expected.items():
        if name.endswith("c_attn.bias"):
            n = len(weight) // 3
            weight[n : 2 * n] = weights[name][n : 2 * n] = 0
        torch.testing.assert_close(weights[name], weight, atol=3e-3, rtol=1e-2)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_the_shards_of_all_processes_are_the_batch(ranks):
    inputs, targets = collate(examples(5), 59)
    shares = [shard((inputs, targets), ranks, rank) for rank in range(ranks)]
    assert (
        sum((share[1] != data.IGNORE).sum() for share in shares) == (targets != data.IGNORE).sum()
    )
    alone = shard((inputs[:1], targets[:1]), 2, 1)
    assert alone[0].shape == inputs[:1].shape and (alone[1] == data.IGNORE).all()


# --------------------------------------------------------------------------------------------------
# Judging


class Parrot:
    """Answers every question with the same word."""

    template = "alpaca"

    def __init__(self, word):
        self.word, self.model = word, tiny_model(seed=len(word))

    def answers(self, rows, how):
        return [(self.word if i % 5 else "same", True) for i, _ in enumerate(rows)]


def test_a_blind_judge_is_asked_in_random_order_and_can_go_on(tmp_path, capsys):
    rows = [row_of((f"q{i}", "", "a")) for i in range(200)]
    seen, path = [], tmp_path / "verdicts.jsonl"

    def prefers_good(pair):
        if len(seen) == 50:
            return "quit"
        seen.append(pair["output_1"])
        return "1" if pair["output_1"] == "good" else "2"

    assistants, names = [Parrot("good"), Parrot("bad")], ["A", "B"]
    judge.judge(assistants, names, rows, None, prefers_good, path)
    assert len(path.read_text().splitlines()) == 50 + 13, (
        "13 of the pairs up to there are equal: ties unasked"
    )
    assert 15 < seen.count("good") < 35, "who is shown first is drawn"
    seen.clear()
    judge.judge(
        assistants,
        names,
        rows[:60],
        None,
        lambda pair: "1" if pair["output_1"] == "good" else "2",
        path,
    )
    assert "A wins 100% of the decided pairs" in capsys.readouterr().out
    assert len({json.loads(line)["instruction"] for line in path.read_text().splitlines()}) == 63


def test_verdicts_of_other_models_are_not_reused_and_not_counted(tmp_path, capsys):
    rows, path = [row_of((f"q{i}", "", "a")) for i in range(10)], tmp_path / "verdicts.jsonl"

    def good(pair):
        return "1" if pair["output_1"] == "good" else "2"

    judge.judge([Parrot("good"), Parrot("bad")], ["A", "B"], rows, None, good, path)
    judge.judge(
        [Parrot("worse"), Parrot("bad")], ["C", "B"], rows, None, lambda pair: "tie", path
    )
    judge.judge(
        [Parrot("bad"), Parrot("good")], ["x", "y"], rows, None, lambda pair: 1 / 0, path
    )
    said = capsys.readouterr().out
    assert "A better 8, B better 0, ties 2" in said and "C better 0, B better 0, ties 10" in said
    assert "x better 0, y better 8, ties 2" in said, "the same two models in the other order"


BAD_VERDICTS = [
    b'{"instruction": "a", "inp',
    b"text\n",
    bytes(range(200, 256)),
    b'{"a": 1}\n',
    b"[1]",
    b"\0" * 99,
    b"[" * 9999,
]


@pytest.mark.parametrize("content", BAD_VERDICTS)
def test_a_broken_file_of_verdicts_is_named_and_stays_as_it_was(tmp_path, content):
    path = tmp_path / "verdicts.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path}:1: .*"):
        judge.judge(
            [Parrot("good"), Parrot("bad")],
            ["A", "B"],
            [row_of(("q", "", "a"))],
            None,
            lambda pair: "1",
            path,
        )
    assert path.read_bytes() == content
    with pytest.raises(IsADirectoryError):
        judge.read_verdicts(tmp_path)


def test_a_judge_may_print_any_byte():
    with pytest.raises(UserError, match="must print 1, 2 or tie"):
        judge.ask_command("printf '\\377'")({})


def test_any_program_can_judge():
    verdict = "1 if len(json.load(sys.stdin)['output_1']) < 3 else 2"
    program = f'{sys.executable} -c "import json, sys; print({verdict})"'
    ask = judge.ask_command(program)
    assert (ask({"output_1": "ab"}), ask({"output_1": "abcd"})) == ("1", "2")
    with pytest.raises(UserError, match="must print 1, 2 or tie"):
        judge.ask_command("echo maybe")({})


def test_answers_are_saved_as_judges_read_them(tmp_path, capsys):
    run_main(*write_files(tmp_path), "--out", tmp_path / "out")
    tuned = f"{tmp_path}/out/tuned.pt"
    options = ["--data", f"{tmp_path}/pairs.jsonl", "--save", f"{tmp_path}/a.json"]
    assert evaluate.main(["--tuned", tuned, *options]) == 0
    answers = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert [a["instruction"] for a in answers] == [f"Say {i}." for i in range(60)]
    assert {a["generator"] for a in answers} == {tuned} and "output" in answers[0]
