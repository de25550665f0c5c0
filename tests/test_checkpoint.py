"""Checkpoints: a file is whole or refused, never run as code, and survives errors and kill -9."""

import copy
import os
import pickle
import random
import resource
import subprocess
import sys

import pytest
import torch
from helpers import (
    ROOT,
    both_positions,
    gpt_config,
    is_adapter,
    logits_of,
    noisy_gpt,
    random_ids,
    same_bits,
    snapshot,
    with_lora,
)

import model as m
from common import lora
from common.checkpoint import (
    FORMAT,
    base_state,
    build_model,
    fingerprint,
    load_adapter,
    load_checkpoint,
    load_model,
    lora_state,
    save_checkpoint,
)
from common.cli import UserError
from data import Tokenizer


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def refused(call, *args, names=None):
    """The call raises UserError, and its message is one line (that names the file)."""
    with pytest.raises(UserError) as error:
        call(*args)
    message = str(error.value)
    assert message and "\n" not in message
    assert names is None or str(names) in message


def test_lora_state_is_only_a_and_b_and_base_state_is_the_rest():
    base = noisy_gpt()
    gpt = with_lora(base)
    assert all(is_adapter(name) for name in lora_state(gpt))
    assert len(lora_state(gpt)) == 2 * 4 * 2  # A and B, for four layers of two blocks
    assert lora_state(gpt).keys() == {
        name for name, weight in gpt.named_parameters() if weight.requires_grad
    }
    assert same_bits(base_state(gpt), base.state_dict())
    assert lora_state(base) == {}


def saved_adapter(path, gpt):
    save_checkpoint(path, lora=gpt.lora, adapter=lora_state(gpt), fingerprint=fingerprint(gpt))
    return load_checkpoint(path)


@pytest.mark.parametrize("targets", [lora.LORA_TARGETS, ("c_attn",)], ids=str)
def test_an_adapter_comes_back_from_its_file_on_its_base(tmp_path, targets):
    base, ids = noisy_gpt(), random_ids(2, 8)
    gpt = with_lora(base, targets=targets)
    checkpoint = saved_adapter(tmp_path / "adapter.pt", gpt)
    load_adapter(base, checkpoint)
    assert torch.equal(logits_of(base, ids), logits_of(gpt, ids))
    assert base.lora == gpt.lora


def test_an_adapter_is_refused_by_another_base_which_stays_as_it_was(tmp_path):
    base = noisy_gpt()
    checkpoint = saved_adapter(tmp_path / "adapter.pt", with_lora(base))
    other = copy.deepcopy(base)
    other.h[1].mlp.c_fc.bias.data[3] += 1e-3
    weights, path = snapshot(other), "runs/adapter.pt"
    refused(load_adapter, other, checkpoint, path, names=path)
    assert same_bits(other.state_dict(), weights)
    no_adapter = saved_model(tmp_path / "model.pt", base)
    refused(load_adapter, base, no_adapter, path, names=path)


DAMAGES_OF_ADAPTERS = (
    "one weight missing", "a weight of the base", "rank 0", "rank 2**40", "targets",
    "one name wrong", "another rank", "no rank",
)  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES_OF_ADAPTERS)
def test_an_adapter_that_does_not_fit_its_own_description_is_refused(tmp_path, damage):
    base = noisy_gpt()
    checkpoint = saved_adapter(tmp_path / "adapter.pt", with_lora(base))
    name = next(iter(checkpoint["adapter"]))
    if damage == "one weight missing":
        del checkpoint["adapter"][name]
    elif damage == "one name wrong":
        checkpoint["adapter"]["x" + name] = checkpoint["adapter"].pop(name)
    elif damage == "a weight of the base":
        checkpoint["adapter"]["wte.weight"] = torch.zeros(50, 16)
    elif damage.startswith("rank"):
        checkpoint["lora"]["rank"] = 0 if damage == "rank 0" else 2**40
    elif damage == "targets":
        checkpoint["lora"]["targets"] = ["wte"]
    elif damage == "another rank":
        checkpoint["lora"]["rank"] += 1
    else:
        del checkpoint["lora"]["rank"]
    refused(load_adapter, base, checkpoint, "a.pt", names="a.pt")


def test_fingerprint_is_the_same_with_an_adapter_and_tells_one_changed_weight():
    base = noisy_gpt()
    mark = fingerprint(base)
    gpt = with_lora(base)
    assert fingerprint(gpt) == mark
    assert fingerprint(gpt) == mark == fingerprint(copy.deepcopy(base))
    for name in base.state_dict():
        changed = copy.deepcopy(base)
        changed.state_dict()[name].view(-1)[-1] += 1e-4
        assert fingerprint(changed) != mark, name


def test_fingerprint_tells_two_configs_with_the_same_weights():
    base = noisy_gpt(n_head=2)
    other = m.GPT(gpt_config(n_head=4))
    other.load_state_dict(base.state_dict())
    assert fingerprint(other) != fingerprint(base)


# --------------------------------------------------------------------------------------------------
# Checkpoints.


def saved_model(path, gpt):
    save_checkpoint(path, config=vars(gpt.config), model=gpt.state_dict(), step=7, name="Zoë")
    return load_checkpoint(path)


@both_positions
def test_a_model_comes_back_from_its_file_to_the_bit(tmp_path, position):
    gpt, ids, path = (
        noisy_gpt(position=position),
        random_ids(2, 8),
        tmp_path / "new" / "folder" / "model.pt",
    )
    checkpoint = saved_model(path, gpt)
    assert checkpoint["step"] == 7 and checkpoint["name"] == "Zoë"
    again = build_model(checkpoint)
    assert again.config == gpt.config
    assert same_bits(again.state_dict(), gpt.state_dict())
    assert torch.equal(logits_of(again, ids), logits_of(gpt, ids))
    assert os.listdir(path.parent) == ["model.pt"], "no temporary file stays"


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    gpt = noisy_gpt()
    gpt.wte.weight.data[3, 3] = float(value)
    refused(build_model, saved_model(tmp_path / "c.pt", gpt), "c.pt", names="c.pt")


def test_saving_again_replaces_the_old_content(tmp_path):
    path = tmp_path / "c.pt"
    save_checkpoint(path, old=torch.zeros(1000))
    save_checkpoint(path, new=1)
    assert load_checkpoint(path) == {"format": FORMAT, "new": 1}
    assert os.listdir(tmp_path) == ["c.pt"]


def test_a_reader_of_the_old_file_still_finds_all_of_it_while_a_new_one_is_saved(tmp_path):
    path = tmp_path / "c.pt"
    save_checkpoint(path, old=torch.zeros(1000))
    before = path.read_bytes()
    with open(path, "rb") as reader:
        save_checkpoint(path, new=1)
        assert reader.read() == before
    assert path.read_bytes() != before


def test_a_bare_file_name_is_saved_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_checkpoint("c.pt", step=1)
    assert load_checkpoint("c.pt")["step"] == 1


def test_a_cut_file_is_refused_at_any_length(tmp_path):
    path = tmp_path / "c.pt"
    saved_model(path, noisy_gpt(n_layer=1))
    whole = path.read_bytes()
    n = len(whole)
    for length in (0, 1, 100, n // 2, n - 22, n - 1):
        path.write_bytes(whole[:length])
        refused(load_checkpoint, path, names=path)


@pytest.mark.parametrize(
    "content",
    [
        b"just some text\n" * 50,
        b"\0" * 500,
        b'{"format": 3}',
        b"PK\x03\x04",
        pickle.dumps(None, protocol=2),
        bytes(range(256)),
    ],
    ids=["text", "zeros", "json", "zip head", "pickle", "bytes"],
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "c.pt"
    path.write_bytes(content)
    refused(load_checkpoint, path, names=path)


@pytest.mark.parametrize(
    "content", [{}, {"format": FORMAT - 1}, {"model": {}}, [1], 1, "format", None], ids=repr
)
def test_a_torch_file_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "c.pt"
    torch.save(content, path)
    refused(load_checkpoint, path, names=path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    refused(load_checkpoint, tmp_path / "none.pt", names=tmp_path / "none.pt")
    refused(load_checkpoint, tmp_path, names=tmp_path)


class Bomb:
    """Unpickling this makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, writer, legacy):
    path, crater = tmp_path / "c.pt", tmp_path / "crater"
    content = {"format": FORMAT, "config": Bomb(crater)}
    if writer == "torch":
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    else:
        path.write_bytes(pickle.dumps(content, protocol=0 if legacy else 2))
    refused(load_checkpoint, path, names=path)
    assert not crater.exists()
    torch.load(path, weights_only=False) if writer == "torch" else pickle.loads(path.read_bytes())
    assert crater.exists(), "otherwise the bomb is a dud and this test proves nothing"


@pytest.mark.parametrize(
    "change",
    [
        {"n_embd": 32},
        {"n_layer": 1},
        {"n_layer": 3},
        {"vocab_size": 51},
        {"position": "learned"},
        {"position": "sinus"},
        {"n_head": 3},
        {"n_head": 0},
        {"n_embd": -16},
        {"vocab_size": "fifty"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_config_that_does_not_fit_the_weights_is_refused(tmp_path, change):
    checkpoint = saved_model(tmp_path / "c.pt", noisy_gpt())
    checkpoint["config"].update(change)
    refused(build_model, checkpoint, "runs/c.pt", names="runs/c.pt")


@pytest.mark.parametrize(
    "change",
    [{"config": None}, {"config": {}}, {"model": None}, {"model": {"wte.weight": 1}}],
    ids=str,
)
def test_a_checkpoint_without_a_model_in_it_is_refused(tmp_path, change):
    checkpoint = saved_model(tmp_path / "c.pt", noisy_gpt())
    refused(build_model, {**checkpoint, **change}, "runs/c.pt", names="runs/c.pt")
    for key in change:
        del checkpoint[key]
    refused(build_model, checkpoint, "runs/c.pt", names="runs/c.pt")


def save(path, content=2):
    save_checkpoint(path, content=content)


def test_an_unwritable_place_is_refused_and_nothing_is_lost(tmp_path):
    old = tmp_path / "c.pt"
    save_checkpoint(old, step=1)
    before = old.read_bytes()
    for path in (
        old / "below.pt",
        old / "far" / "below.pt",
    ):  # under a file: root may not write there either
        refused(save, path, names=path)
    assert old.read_bytes() == before
    assert os.listdir(tmp_path) == ["c.pt"]


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "c.pt").mkdir()
    refused(save, tmp_path / "c.pt", names=tmp_path / "c.pt")
    assert os.listdir(tmp_path) == ["c.pt"], "no temporary file stays"


@pytest.mark.parametrize("room", [0, 1000, 100_000])
def test_no_space_left_is_refused_and_the_old_file_stays(tmp_path, room):
    path = tmp_path / "c.pt"
    save_checkpoint(path, step=1)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    big = torch.zeros(100_000)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (room, hard)
    )  # stands for a full disk: a write beyond `room` fails
    try:
        refused(save, path, big, names=path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["c.pt"], "no temporary file stays"


KILLER = """
import os, random, signal, sys, time
import torch
from common import checkpoint
path = sys.argv[1]

def load():
    content = checkpoint.load_checkpoint(path)
    assert (content["weights"]["w"] == content["step"]).all()

torch.set_num_threads(1)  # a fork loses the other threads and would wait for them
for round in range(2):
    if os.path.exists(path):
        os.remove(path)
    parent, child = os.getpid(), os.fork()  # a fork spares two imports of torch
    if child == 0:
        step = 0
        while os.getppid() == parent:
            step += 1
            weights = {"w": torch.full((200_000,), float(step))}
            checkpoint.save_checkpoint(path, step=step, weights=weights)
        os._exit(1)
    while not os.path.exists(path):
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "the writer has died by itself"
        time.sleep(0.001)
    end = time.time() + random.uniform(0, 0.1)
    while time.time() < end:
        load()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    load()
    print("loaded")
"""


@pytest.mark.slow
def test_the_file_loads_at_any_moment_of_saving_and_after_kill_9(tmp_path):
    command = [sys.executable, "-c", KILLER, str(tmp_path / "c.pt")]
    done = subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("loaded") == 2


def test_no_flipped_bit_of_a_file_gives_other_weights(tmp_path):
    path, rng = tmp_path / "c.pt", random.Random(0)
    gpt = noisy_gpt(n_layer=1)
    saved_model(path, gpt)
    whole, n_refused = path.read_bytes(), 0
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            again = build_model(load_checkpoint(path))
        except UserError:
            n_refused += 1
        else:  # the bit stood between the parts of the file, or in a date
            assert same_bits(again.state_dict(), gpt.state_dict())
    assert n_refused > 80


WRONG_PARTS = [
    ("tokenizer", None),
    ("tokenizer", {"tokens": 5, "pattern": "x"}),
    ("tokenizer", {"tokens": ["a", "a"], "pattern": "."}),
    ("tokenizer", {"tokens": [chr(i) for i in range(256)], "pattern": "("}),
    ("template", ["alpaca"]),
    ("template", 3),
    ("tokenizer", {"tokens": [chr(i) for i in range(1, 257)], "pattern": r"."}),
    ("tokenizer", {"tokens": [chr(i) for i in range(255)], "pattern": r"\w+|\W+"}),
    ("template", "nope"),
]


@pytest.mark.parametrize(("part", "value"), WRONG_PARTS, ids=repr)
def test_a_wrong_part_beside_the_weights_is_refused(tmp_path, part, value):
    path = tmp_path / "c.pt"
    content = model_content(noisy_gpt(vocab_size=257))
    save_checkpoint(path, **content)
    load_model(path)
    save_checkpoint(path, **content | {part: value})
    refused(load_model, path, names=path)


BYTES = Tokenizer([bytes([byte]) for byte in range(256)])


def model_content(gpt, **more):
    """What a checkpoint of a model says, with the bytes as tokens."""
    about = {"tokenizer": BYTES.state(), "template": "alpaca", "trained_on": {"seed": 0}}
    return about | {"config": vars(gpt.config), "model": gpt.state_dict()} | more


def test_a_tuned_model_finds_its_base_beside_itself_wherever_the_folder_goes(tmp_path):
    base = noisy_gpt(vocab_size=257)
    gpt = with_lora(base)
    save_checkpoint(tmp_path / "a" / "base.pt", **model_content(base))
    names = {"base": "../base.pt", "fingerprint": fingerprint(base), "lora": gpt.lora}
    content = model_content(gpt, adapter=lora_state(gpt), **names)
    del content["model"]
    save_checkpoint(tmp_path / "a" / "runs" / "lora.pt", **content)
    (tmp_path / "a").rename(tmp_path / "b")
    model, _, _ = load_model(tmp_path / "b" / "runs" / "lora.pt")
    assert same_bits(model.state_dict(), gpt.state_dict())
    (tmp_path / "b" / "base.pt").unlink()
    refused(load_model, tmp_path / "b" / "runs" / "lora.pt", names="base.pt")


DAMAGES = """
import sys
import torch
from common.checkpoint import load_checkpoint, save_checkpoint
from generate import main
assert False  # nothing happens under python -O
path = sys.argv[1]
content = load_checkpoint(path)
del content["format"]

def ask(**changes):
    save_checkpoint(path, **content | changes)
    return main(["--tuned", path, "Hi"])

print(ask(config=content["config"] | {"n_layer": 1}), ask(template="nope"))
save_checkpoint(path, **content)
with open(path, "r+b") as file:
    at = file.read().index(content["model"]["wte.weight"].numpy().tobytes())
    file.seek(at)
    file.write(bytes([255]))
print(main(["--tuned", path, "Hi"]))
"""


@pytest.mark.slow  # Python compiles all of torch anew
def test_checks_of_files_are_there_with_python_O_too(tmp_path):
    gpt = noisy_gpt(vocab_size=257, block_size=128)
    save_checkpoint(tmp_path / "base.pt", **model_content(gpt))
    path = tmp_path / "tuned.pt"
    save_checkpoint(path, **model_content(gpt, base="base.pt", fingerprint=fingerprint(gpt)))
    command = [sys.executable, "-O", "-c", DAMAGES, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["2"] * 3, done.stdout + done.stderr
    assert done.stderr.count("error: ") == done.stderr.count(str(path)) == 3
