"""Beyond the tiny world: GPT-2's files in and out, downloads, packing, Muon, several processes, big texts, blind judging."""

import hashlib
import http.server
import json
import os
import shutil
import sys
import threading

import pytest
import torch
from helpers import SHARED, TINY, examples, gradient, logits_of, row_of, run, tiny_model

import data
import generate
import train_sft
from data import Tokenizer, UserError, collate
from extras import datasets, gpt2, judge
from common.checkpoint import load_checkpoint
from extras.gpt2 import export_gpt2, load_gpt2
from common.muon import Muon, orthogonalize
from extras.packing import collate_packed, pack
from extras.parallel import shard
from common.lora import add_lora, merge_lora
from model import GPT, GPTConfig

BPE = SHARED / "gpt2_bpe"


def gpt2_shaped(seed=0, vocab_size=300, block_size=32):
    torch.manual_seed(seed)
    return GPT(GPTConfig(vocab_size, block_size, n_layer=2, n_head=2, n_embd=16, position="learned", smear=0)).eval()


# ------------------------------------------------------------------------------------------------------------
# GPT-2


def test_gpt2_from_transformers_gives_equal_logits_and_goes_back(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(vocab_size=97, n_positions=24, n_embd=32, n_layer=3, n_head=4)
    torch.manual_seed(0)
    theirs = transformers.GPT2LMHeadModel(config).eval()
    ids = torch.randint(0, 97, (2, 24))
    theirs.save_pretrained(tmp_path / "theirs")
    torch.save(theirs.state_dict(), tmp_path / "theirs" / "pytorch_model.bin")
    with torch.no_grad():
        expected = theirs(ids).logits
    for path in ("theirs", "theirs/model.safetensors", "theirs/pytorch_model.bin"):
        ours = load_gpt2(tmp_path / path).eval()
        torch.testing.assert_close(logits_of(ours, ids), expected, atol=1e-4, rtol=1e-4)
    add_lora(ours, 2, 4)
    for name, p in ours.named_parameters():
        if name.endswith("lora_B"):
            torch.nn.init.normal_(p, std=0.1)
    tuned = logits_of(ours, ids)
    assert not torch.allclose(tuned, expected, atol=1e-2)
    merge_lora(ours)
    export_gpt2(ours, tmp_path / "back")
    back = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "back").eval()
    with torch.no_grad():
        torch.testing.assert_close(back(ids).logits, tuned, atol=1e-4, rtol=1e-4)


def test_what_is_exported_is_what_is_loaded(tmp_path):
    model, ids = gpt2_shaped(), torch.randint(0, 300, (2, 20))
    export_gpt2(model, tmp_path)
    assert torch.equal(logits_of(load_gpt2(tmp_path).eval(), ids), logits_of(model, ids))
    header = (tmp_path / "model.safetensors").read_bytes()
    names = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])
    assert names["transformer.h.0.mlp.c_fc.weight"]["shape"] == [16, 64], "GPT-2's files keep (in, out)"


def test_only_gpt2s_shape_can_be_exported(tmp_path):
    with pytest.raises(UserError, match="GPT-2's shape"):
        export_gpt2(GPT(GPTConfig(300, 32, n_layer=1, n_head=2, n_embd=16)), tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x10\0\0\0\0\0\0\0{}", os.urandom(64)])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_files_that_are_no_weights_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        load_gpt2(tmp_path)


def test_weights_that_were_cut_off_are_named(tmp_path):
    export_gpt2(gpt2_shaped(), tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(UserError, match="cut off"):
        load_gpt2(tmp_path)


def test_gpt2s_own_tokenizer_from_its_file(tmp_path):
    if not BPE.exists():
        pytest.skip("no vocabulary here")
    shutil.copy(BPE / "encoder.json", tmp_path / "vocab.json")  # the name it has beside the weights
    tokenizer = gpt2.gpt2_tokenizer(tmp_path)
    assert (tokenizer.vocab_size, tokenizer.eos_id) == (50257, 50256)
    assert tokenizer.encode("Every effort moves you") == [6109, 3626, 6100, 345]
    assert tokenizer.encode("\n\n### Response:\n") == [198, 198, 21017, 18261, 25, 198]
    assert tokenizer.encode("<|endoftext|>") == [27, 91, 437, 1659, 5239, 91, 29], "it stays text"
    assert tokenizer.encode("\U0001f600 café") == [47249, 222, 40304]


def small_vocabulary(folder):
    """A vocabulary in GPT-2's file form: the 256 bytes and the end token."""
    letters = gpt2.byte_letters()
    order = sorted(range(256), key=lambda byte: ord(letters[byte]))
    ids = {letters[byte]: i for i, byte in enumerate(order)} | {"<|endoftext|>": 256}
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")


def test_a_gpt2_base_is_tuned_and_asked_and_exported(tmp_path, capsys):
    folder, out = tmp_path / "gpt2", tmp_path / "out"
    export_gpt2(gpt2_shaped(vocab_size=257, block_size=256), folder)
    small_vocabulary(folder)
    rows = [{"instruction": f"say {i}", "output": str(i)} for i in range(60)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "text.txt").write_text("some prose. " * 200)
    flags = ["--quick", "--base", str(folder), "--data", f"{tmp_path}/a.jsonl", "--corpus", f"{tmp_path}/text.txt"]
    assert train_sft.main([*flags, "--lora", "2", "--recompute", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "estimate:" in said and "measured:" in said
    generate.main(["--tuned", str(out / "lora.pt"), "--export", str(tmp_path / "exported")])
    exported, bot = load_gpt2(tmp_path / "exported").eval(), generate.load_assistant(out / "lora.pt")
    ids = torch.randint(0, 257, (1, 9))
    torch.testing.assert_close(logits_of(exported, ids), logits_of(bot.model.eval(), ids), atol=1e-5, rtol=1e-4)


class Server(http.server.BaseHTTPRequestHandler):
    content, cut, seen, length = b"0123456789" * 1000, None, [], None

    def do_GET(self):
        start = int(self.headers.get("Range", "bytes=0-").split("=")[1].rstrip("-"))
        self.seen.append(start)
        if start >= len(self.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(self.content)}")
            return self.end_headers()
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", self.length or str(len(self.content) - start))
        self.end_headers()
        self.wfile.write(self.content[start : self.cut])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    Server.cut, Server.seen = None, []
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}/file"
    serving.shutdown()


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    right = hashlib.sha256(Server.content).hexdigest()
    Server.cut = 4000
    with pytest.raises(UserError, match="Run again to continue"):
        gpt2.fetch(server, tmp_path / "file", right)
    assert not (tmp_path / "file").exists()
    Server.cut = None
    gpt2.fetch(server, tmp_path / "file", right)
    assert (tmp_path / "file").read_bytes() == Server.content and Server.seen == [0, 4000]
    gpt2.fetch(server, tmp_path / "file", right)
    assert len(Server.seen) == 2, "what is there is not fetched again"


def test_a_download_that_stopped_just_before_its_last_step_is_finished(server, tmp_path):
    (tmp_path / "file.part").write_bytes(Server.content)
    gpt2.fetch(server, tmp_path / "file", hashlib.sha256(Server.content).hexdigest())
    assert (tmp_path / "file").read_bytes() == Server.content and not (tmp_path / "file.part").exists()


def test_a_length_that_is_no_number_ends_in_one_line(server, tmp_path, monkeypatch):
    monkeypatch.setattr(Server, "length", "abc")
    with pytest.raises(UserError, match="cannot be fetched"):
        gpt2.fetch(server, tmp_path / "file")


ODD_CONFIGS = [{"activation_function": "relu"}, {"layer_norm_epsilon": 1e-3}, {"scale_attn_by_inverse_layer_idx": True},
               {"model_type": "opt"}, {"scale_attn_weights": False}]


@pytest.mark.parametrize("change", ODD_CONFIGS, ids=str)
def test_a_config_that_says_another_model_is_refused(tmp_path, change):
    export_gpt2(gpt2_shaped(), tmp_path)
    about = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(about | change))
    with pytest.raises(UserError, match=next(iter(change))):
        load_gpt2(tmp_path)


def test_masks_in_a_file_of_weights_are_not_weights(tmp_path):
    export_gpt2(gpt2_shaped(), tmp_path)
    raw = (tmp_path / "model.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size]) | {"h.0.attn.bias": {"dtype": "BOOL", "shape": [4], "data_offsets": [0, 4]}}
    text = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + size :])
    load_gpt2(tmp_path)


def test_a_damaged_download_is_refused_and_fetched_anew(server, tmp_path):
    with pytest.raises(UserError, match="damaged"):
        gpt2.fetch(server, tmp_path / "file", "0" * 64)
    assert not list(tmp_path.iterdir())


def test_without_a_network_the_remedy_is_said(tmp_path):
    with pytest.raises(UserError, match="--base FOLDER"):
        gpt2.fetch("http://127.0.0.1:9/file", tmp_path / "file")


# ------------------------------------------------------------------------------------------------------------
# Packing


@pytest.mark.parametrize("position, smear", [("rotary", 1), ("rotary", 0), ("learned", 0)])
def test_packed_rows_have_the_gradient_of_padded_ones(position, smear):
    model, rows = tiny_model(position=position, smear=smear), examples()
    packed = collate_packed(rows, 59, 40)
    assert len(packed[0]) < len(rows) / 2
    torch.testing.assert_close(gradient(model, packed), gradient(model, collate(rows, 59)), atol=2e-5, rtol=1e-4)


def test_an_example_in_a_packed_row_cannot_see_its_neighbour():
    model = tiny_model().eval()
    inputs, _, positions, mask = collate_packed(examples(), 59, 40)
    changed = inputs.clone()
    start = (positions[0] == 0).nonzero()[1].item()  # where the second example of the first row begins
    changed[0, :start] = (changed[0, :start] + 7) % 59
    with torch.no_grad():
        one, other = model.hidden(inputs, positions, mask), model.hidden(changed, positions, mask)
    assert torch.equal(one[0, start:], other[0, start:]) and not torch.allclose(one[0, :start], other[0, :start])


@pytest.mark.parametrize("block_size", [17, 20, 40, 1000])
def test_packing_keeps_every_example_whole_and_once(block_size):
    rows = examples()
    packed = pack(rows, block_size)
    assert sorted(map(str, sum(packed, []))) == sorted(map(str, rows))
    assert all(sum(len(ids) - 1 for ids, _ in row) <= block_size for row in packed)


def test_recomputing_activations_changes_no_gradient():
    model, batch = tiny_model().train(), collate(examples(), 59)
    plain = gradient(model, batch)
    model.recompute = True
    torch.testing.assert_close(gradient(model, batch), plain, atol=1e-6, rtol=1e-5)


# ------------------------------------------------------------------------------------------------------------
# Muon


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 24, 8), (2, 8, 24)])
def test_muon_moves_every_direction_of_a_matrix_about_equally_far(shape):
    torch.manual_seed(0)
    matrices = torch.randn(shape)
    moved = orthogonalize(matrices)
    left, sizes, right = torch.linalg.svd(matrices, full_matrices=False)
    along = (left.mT @ moved @ right.mT).diagonal(dim1=1, dim2=2)  # how far in each direction of the matrix
    assert sizes.max() / sizes.min() > 2 and along.min() > 0.6 and along.max() < 1.3
    assert torch.allclose(left * along.unsqueeze(1) @ right, moved, atol=1e-4), "and in no other"


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="older releases of torch have no Muon")
@pytest.mark.parametrize("shape", [(16, 16), (32, 16), (16, 32)])
def test_muon_is_torchs_muon_in_float32(shape):
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.ones(shape)) for _ in range(2))
    settings = {"lr": 0.02, "momentum": 0.95, "weight_decay": 0.1}
    optimizers = Muon([ours], **settings), torch.optim.Muon([theirs], **settings, adjust_lr_fn="original")
    for _ in range(5):
        ours.grad = torch.randn(shape)
        theirs.grad = ours.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert (ours - theirs).norm() < 0.03 * (theirs - 1).norm()


# ------------------------------------------------------------------------------------------------------------
# Several processes


TWO = ("-m", "torch.distributed.run", "--nproc_per_node=2")


def losses(out):
    return [line["loss"] for line in map(json.loads, (out / "log.jsonl").read_text().splitlines()) if "loss" in line]


def test_two_processes_learn_as_one_and_only_one_speaks(tmp_path):
    flags = [*TINY, "--save-every", "5", "--dtype", "float32"]
    run("train_sft.py", *flags, "--micro-batch", "5", "--out", tmp_path / "one")
    said = run(*TWO, "train_sft.py", *flags, "--micro-batch", "3", "--out", tmp_path / "two")
    assert said.count("3. Tuning") == said.count("4. Did it work?") == 1
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-3)
    one, two = (load_checkpoint(tmp_path / name / "tuned.pt")["model"] for name in ("one", "two"))
    for name in one:
        torch.testing.assert_close(two[name], one[name], atol=3e-3, rtol=1e-2)


def test_a_run_of_one_process_goes_on_with_two(tmp_path, monkeypatch):
    flags = [*TINY, "--save-every", "5"]
    assert train_sft.main([*flags, "--out", str(tmp_path / "whole")]) == 0
    right = train_sft.corpus_batch

    def stopped(stream, step, *rest):
        if step == 8:
            raise KeyboardInterrupt
        return right(stream, step, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(train_sft, "corpus_batch", stopped)
        assert train_sft.main([*flags, "--out", str(tmp_path / "out")]) == 130
    run(*TWO, "train_sft.py", *flags, "--resume", "--out", tmp_path / "out")
    one, two = (load_checkpoint(tmp_path / name / "base.pt")["model"] for name in ("whole", "out"))
    for name in one:  # but the bias of the keys: it has no gradient but rounding, and AdamW makes steps of it
        keys = slice(len(one[name]) // 3, 2 * len(one[name]) // 3) if name.endswith("c_attn.bias") else slice(0)
        one[name][keys] = two[name][keys] = 0
        torch.testing.assert_close(two[name], one[name], atol=3e-3, rtol=1e-2)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_the_shards_of_all_processes_are_the_batch(ranks):
    inputs, targets = collate(examples(5), 59)
    shares = [shard((inputs, targets), ranks, rank) for rank in range(ranks)]
    assert sum((share[1] != data.IGNORE).sum() for share in shares) == (targets != data.IGNORE).sum()
    alone = shard((inputs[:1], targets[:1]), 2, 1)
    assert alone[0].shape == inputs[:1].shape and (alone[1] == data.IGNORE).all()


# ------------------------------------------------------------------------------------------------------------
# Big texts


def test_the_documents_of_a_file_are_those_between_blank_lines(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffone\nline\n\n\n  two \r\n\r\nthree".encode())
    assert list(datasets.read_documents(tmp_path / "a.txt")) == ["one\nline", "two", "three"]


def test_a_text_without_a_blank_line_comes_in_pieces_and_loses_nothing(tmp_path):
    (tmp_path / "a.txt").write_text("가나다 " * 1_000_000, encoding="utf-8")
    pieces = list(datasets.read_documents(tmp_path / "a.txt"))
    assert len(pieces) >= 2 and max(map(len, pieces)) < 3 * 2**20
    assert "".join(pieces).replace(" ", "") == "가나다" * 1_000_000


def test_tokens_on_disk_are_the_tokens_in_memory_and_are_used_again(tmp_path):
    tokenizer, passages = Tokenizer(data.train_bpe("abc abd " * 50, 300)), ["abc abd", "가", "abd " * 30]
    stream = datasets.encode_corpus_to(tmp_path / "s", tokenizer, passages)
    assert stream.tolist() == data.encode_corpus(tokenizer, passages).tolist() and stream.dtype == "uint16"
    assert len(datasets.encode_corpus_to(tmp_path / "s", tokenizer, ["other"])) == len(stream)
    for step in range(5):
        mine, other = (data.corpus_batch(s, step, 2, 4) for s in (stream, torch.tensor(stream.tolist())))
        assert all(torch.equal(a, b) and a.dtype == torch.long for a, b in zip(mine, other))


def test_a_changed_text_is_tokenized_again(tmp_path):
    text, flags = tmp_path / "t.txt", [*TINY, "--fresh", "--corpus", f"{tmp_path}/t.txt", "--out", f"{tmp_path}/out"]
    kept = []
    for content in ("one two three. " * 300, "three two one. " * 300):
        text.write_text(content)
        assert train_sft.main(flags) == 0
        kept.append((tmp_path / "out" / "corpus.tokens").read_bytes())
    assert kept[0] != kept[1]


# ------------------------------------------------------------------------------------------------------------
# Mixing, judging, the wrong template


def test_files_are_mixed_and_the_mixture_is_reported(tmp_path, capsys):
    for name, n in (("a", 100), ("b", 40)):
        rows = [{"instruction": f"{name} {i}", "output": str(i)} for i in range(n)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    flags = [*TINY, "--data", f"{tmp_path}/a.jsonl:0.5:20", "--data", f"{tmp_path}/b.jsonl:1:20", "--pack"]
    assert train_sft.main([*flags, "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["mixture"]["taken"] == {"a": 20, "b": 20} and report["audit"]["overlap"] == 0
    assert report["mixture"][f"{tmp_path}/a.jsonl"] == {"rows": 100, "weight": 0.5}
    assert "40 rows (a 20, b 20)" in " ".join(capsys.readouterr().out.split())


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

    bots, names = [Parrot("good"), Parrot("bad")], ["A", "B"]
    judge.judge(bots, names, rows, None, prefers_good, path, 0)
    assert len(path.read_text().splitlines()) == 50 + 13, "13 of the pairs up to there are equal: ties unasked"
    assert 15 < seen.count("good") < 35, "who is shown first is drawn"
    seen.clear()
    judge.judge(bots, names, rows[:60], None, lambda pair: "1" if pair["output_1"] == "good" else "2", path, 0)
    assert "A wins 100% of the decided ones" in capsys.readouterr().out
    assert len({json.loads(line)["instruction"] for line in path.read_text().splitlines()}) == 63


def test_verdicts_of_other_models_are_not_reused_and_not_counted(tmp_path, capsys):
    rows, path = [row_of((f"q{i}", "", "a")) for i in range(10)], tmp_path / "verdicts.jsonl"

    def good(pair):
        return "1" if pair["output_1"] == "good" else "2"

    judge.judge([Parrot("good"), Parrot("bad")], ["A", "B"], rows, None, good, path, 0)
    judge.judge([Parrot("worse"), Parrot("bad")], ["C", "B"], rows, None, lambda pair: "tie", path, 0)
    judge.judge([Parrot("bad"), Parrot("good")], ["x", "y"], rows, None, lambda pair: 1 / 0, path, 0)
    said = capsys.readouterr().out
    assert "A better 8, B better 0, ties 2" in said and "C better 0, B better 0, ties 10" in said
    assert "x better 0, y better 8, ties 2" in said, "the same two models in the other order"


BAD_VERDICTS = [b'{"instruction": "a", "inp', b"text\n", bytes(range(200, 256)), b'{"a": 1}\n', b"[1]", b"\0" * 99, b"[" * 9999,
                b'{"instruction": [], "input": "", "models": [], "better": "tie"}', b'{"instruction": "a", "input": "", '
                b'"models": 3, "better": "tie"}', b'{"instruction": "a", "input": "", "models": [3, "a"], "better": "tie"}']


@pytest.mark.parametrize("content", BAD_VERDICTS)
def test_a_broken_file_of_verdicts_is_named_and_stays_as_it_was(tmp_path, content):
    path = tmp_path / "verdicts.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path}:1: .*"):
        judge.judge([Parrot("good"), Parrot("bad")], ["A", "B"], [row_of(("q", "", "a"))], None, lambda pair: "1", path, 0)
    assert path.read_bytes() == content
    with pytest.raises(UserError, match="cannot be read"):
        judge.read_verdicts(tmp_path)


def test_a_judge_may_print_any_byte():
    with pytest.raises(UserError, match="must print 1, 2 or tie"):
        judge.ask_command("printf '\\377'")({})


def test_any_program_can_judge():
    program = f"{sys.executable} -c \"import json, sys; print(1 if len(json.load(sys.stdin)['output_1']) < 3 else 2)\""
    ask = judge.ask_command(program)
    assert (ask({"output_1": "ab"}), ask({"output_1": "abcd"})) == ("1", "2")
    with pytest.raises(UserError, match="must print 1, 2 or tie"):
        judge.ask_command("echo maybe")({})
