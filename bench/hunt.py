"""A hunt for what breaks: thousands of damaged files, odd flags, poor environments and killed runs, and what became of them.

    python bench/hunt.py                        all of it, some minutes on one thread
    python bench/hunt.py --only data flags      some of it
    python bench/hunt.py --seed 7               other damage than usual

A case is fine if it works, or ends in one line that names the mistake. Counted are tracebacks, silent losses (rows read
are not rows kept and dropped; other weights than were saved), damaged files, hangs over a minute, and the memory held.
"""

import argparse
import contextlib
import copy
import gzip
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ["OMP_NUM_THREADS"] = "1"

import torch  # noqa: E402
from helpers import TINY, audited  # noqa: E402

import generate  # noqa: E402
import train_sft  # noqa: E402
from common import flags  # noqa: E402
from common.audit import show_mask  # noqa: E402
from common.checkpoint import build_model, load_checkpoint  # noqa: E402
from common.cli import UserError  # noqa: E402
from data import TEMPLATES, Tokenizer, collate, train_bpe  # noqa: E402
from extras import evaluate, judge  # noqa: E402
from extras.datasets import load_rows  # noqa: E402

LIMIT, WALL = 60, 600  # seconds of computing for a case, and of waiting, where the machine is busy with other things
FAST = [*TINY, "--pretrain-steps", "2", "--tune-epochs", "0.002"]


class Hang(BaseException):
    """Not an Exception, so that nothing catches it."""


def hang(*_):
    raise Hang


@contextlib.contextmanager
def case(found, name):
    """Counts what comes out of one case; what was expected to come out is a UserError or nothing."""
    found["cases"] += 1
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    signal.alarm(WALL)
    try:
        yield
    except UserError as error:
        found["refused"] += 1
        if "\n" in str(error) or len(str(error)) < 10:
            found["tracebacks"] += 1
            print(f"  {name}: {error!r}")
    except Hang:
        found["hangs"] += 1
        print(f"  {name}: more than {LIMIT} s")
    except BaseException as error:
        found["tracebacks"] += 1
        print(f"  {name}: {''.join(traceback.format_exception(error))[-1500:]}")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)


def lost(found, name, what):
    found["losses"] += 1
    print(f"  {name}: {what}")


# ----------------------------------------------------------------------------------------------------------------
# Files of rows.

TURNS = [{"role": "user", "content": "i"}, {"role": "assistant", "content": "o"}]
SAID = [{"from": "human", "value": "i"}, {"from": "gpt", "value": "o"}]
ROWS = [
    {"instruction": "Name it.", "input": "a map", "output": "Paris.", "task": "capital"}, {"instruction": "i", "output": "o"},
    {"instruction": "i", "context": "", "response": "o", "category": "qa"}, {"inputs": "i", "targets": "o"},
    {"messages": [{"role": "system", "content": "S"}, *TURNS, *TURNS]}, {"conversations": SAID, "system": "S"},
    {"messages": [TURNS[0], TURNS[1] | {"weight": 0}]}, {"prompt": "i", "completion": "o", "label": True},
    {"prompt": "i", "chosen": "o", "rejected": "r"}, {"chosen": TURNS, "rejected": TURNS}, {"input": "i", "output": "o"},
    {"conversations": SAID[:1], "chosen": SAID[1], "rejected": SAID[1]}, {"prompt": TURNS[:1], "completion": TURNS[1:]},
    {"Definition": ["d"], "Instances": [{"input": str(n), "output": ["o", "p"]} for n in range(4)], "Source": ["x"]},
    {"instruction": "i", "instances": [{"input": "", "output": "o"}] * 3}, TURNS, {"instruction": "한국의 수도는?", "output": "서울 😀"},
    {"messages": [TURNS[0], {"role": "assistant", "content": [{"type": "text", "text": "o"}, {"type": "text", "value": "p"}]}]},
    {"instruction": "i", "output": "o", "history": [["a", "b"], ["c", "d"]], "tools": "[]", "images": ["a.png"]},
]
ODD = [None, True, False, 0, -1, 1.5, 10**30, float("nan"), "", " \n", "\ud83d", "\udcff", "\x1b[2J\x00", "a" * 3000, [], {}, [[]],
       ["a"], [None], {"a": 1}, {"role": 5}, [{"role": ["x"]}], "<|endoftext|>", "### Response:\n", "None", "\u2028\u0085\ufeff"]
SIGNS = ["\n", "\r", "\x00", '"', "{", "}", "[", "]", ",", ":", "\\", "\\ud83d", "\\u0000", "\ufeff", "\u2028", "NaN", "9" * 5000, "[" * 999]


def places(value):
    """All (holder, key) in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in items for place in [(value, key), *places(inner)]]


def mutate(value, rng):
    for holder, key in rng.sample(some := places(value), min(len(some), rng.choice((1, 1, 2, 4)))):
        how = rng.randrange(4)
        if how == 0 and isinstance(holder, dict):
            holder.pop(key, None)
        elif how == 1 and isinstance(holder, dict):
            holder[rng.choice(("input", "output", "messages", "role", "extra", "system", "history"))] = holder.get(key)
        elif isinstance(holder, dict) or key < len(holder):
            holder[key] = copy.deepcopy(rng.choice(ODD))
    return value


def hunt_data(n, rng, folder, found):
    tokenizer = Tokenizer(train_bpe("the cat sat on the mat, i and o. " * 9, 300))
    for i in range(n):
        rows = [mutate(copy.deepcopy(rng.choice(ROWS)), rng) if rng.random() < 0.7 else rng.choice(ROWS)
                for _ in range(rng.randint(2, 9))]
        form, kind = rng.choice(("lines", "lines", "array")), rng.choice(("structure", "structure", "text", "bytes"))
        ascii_only = rng.random() < 0.8
        if form == "lines":
            text = "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
        else:
            text = json.dumps(rows, ensure_ascii=ascii_only, indent=rng.choice((None, 0, 2)))
        for _ in range(rng.randint(1, 5) if kind == "text" else 0):
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice(SIGNS) + text[at + rng.randrange(3) :]
        raw = bytearray(text.encode("utf-8", "surrogatepass"))
        for _ in range(rng.randint(1, 8) if kind == "bytes" else 0):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        raw = bytes(raw) if rng.random() < 0.9 else b"\xef\xbb\xbf" + bytes(raw)
        raw = raw[: rng.randrange(len(raw))] if kind == "bytes" and rng.random() < 0.2 else raw
        packed = rng.random() < 0.15
        path = folder / f"rows.json{'l' * (form == 'lines')}{'.gz' * packed}"
        path.write_bytes(gzip.compress(raw, 1) if packed else raw)
        with case(found, f"data {i}"):
            loaded, dropped = load_rows(path)
            examples, audit = audited(loaded, tokenizer, rng.choice(list(TEMPLATES)), 256, dropped)
            json.dumps([vars(audit), list(audit.lines())], ensure_ascii=False).encode()
            for ids, mask in examples[:2]:
                assert "\x1b" not in show_mask(tokenizer, ids, mask, False)
                assert 0 < sum(mask) < len(mask)
            collate(examples, 0) if examples else None
            if i % 20 == 0:
                train_bpe("\n".join(" ".join(turn) for row in loaded for turn in row.turns), 400)
            read = len(loaded) + sum(map(len, dropped.values()))
            assert audit.rows == read and audit.n_eos == audit.answers
            if kind == "structure" and b"\xed" not in raw and read != len(rows):
                lost(found, f"data {i}", f"{len(rows)} rows held, {read} read: {raw[:300]}")
            if form == "lines" and kind != "structure" and read < len([1 for line in text.split("\n") if line.strip()]) * (kind == "text"):
                lost(found, f"data {i}", f"fewer rows read than lines: {raw[:300]}")


# ----------------------------------------------------------------------------------------------------------------
# Checkpoints and adapters.

WRONG = [None, True, -1, 0, 1, 2**20, 10**9, 2**63, 0.5, float("nan"), float("inf"), "", "x", "a" * 5000, "../base.pt", "\x1b[2J", [], ["a"],
         {}, {"a": 1}, [[]], (1, 2), torch.zeros(0), torch.zeros(3), torch.full((2, 2), float("nan")), torch.ones(1).expand(9, 9),
         torch.zeros(4, dtype=torch.int64), torch.zeros(4, dtype=torch.complex64)]


def hunt_checkpoints(n, rng, folder, found):
    out = made(folder)
    originals = {name: (out / name).read_bytes() for name in ("base.pt", "tuned.pt", "lora.pt")}
    weights = {name: generate.load_assistant(out / name).model.state_dict() for name in originals}
    for i in range(n):
        name, flip = rng.choice(list(originals)), rng.random() < 0.5
        if flip:
            raw = bytearray(originals[name])
            for _ in range(rng.choice((1, 1, 1, 3, 50))):
                raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
            raw = bytes(raw[: rng.randrange(len(raw))] if rng.random() < 0.1 else raw)
        else:
            content = torch.load(io.BytesIO(originals[name]), weights_only=True)
            for holder, key in rng.sample(places(content), rng.choice((1, 1, 2))):
                if rng.random() < 0.2 and isinstance(holder, dict):
                    holder.pop(key, None)
                else:
                    holder[key] = rng.choice(WRONG)
            torch.save(content, file := io.BytesIO())
            raw = file.getvalue()
        (out / name).write_bytes(raw)
        with case(found, f"checkpoint {i} ({name})"):
            if name == "base.pt":  # as train_sft.py reads it
                flags.parse_train([*TINY, "--out", str(out)])
                build_model(load_checkpoint(out / name), out / name)
            assistant = generate.load_assistant(out / name)
            assistant.template = assistant.template or "alpaca"
            list(assistant.answers(generate.table.world_splits(assistant.trained_on)["unseen_inputs"][:1] if i % 40 == 0 else [],
                                   generate.Sampling(max_new_tokens=2)))
            state = assistant.model.state_dict()
            if flip and not all(torch.equal(state[key], value) for key, value in weights[name].items()):
                lost(found, f"checkpoint {i}", "other weights than were saved")
        if (out / name).read_bytes() != raw:
            found["damaged"] += 1
        (out / name).write_bytes(originals[name])


def made(folder):
    """A folder with the three checkpoints of a tiny run."""
    out = folder / "made"
    if not (out / "lora.pt").exists():
        with quiet():
            assert train_sft.main([*FAST, "--lora", "2", "--out", str(out)]) == 0
    return out


@contextlib.contextmanager
def quiet():
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as err:
        yield err


# ----------------------------------------------------------------------------------------------------------------
# Flags: of train_sft.py and generate.py, some of them with odd values.

FILES = {"good.jsonl": '{"instruction": "say %d", "output": "%d"}\n', "bad.jsonl": "nonsense %d\n", "empty.jsonl": "",
         "text.txt": "one two three four, five %d. \n\n"}
TRAIN = {
    "--data": ["good.jsonl", "good.jsonl:0.5", "good.jsonl:2:5", "good.jsonl:-0.5", "good.jsonl:nan", "good.jsonl:1e9", "good.jsonl:0",
               "bad.jsonl", "empty.jsonl", "missing.jsonl", ".", "", "good.jsonl:0.001", "\x1b[2J", "a\nb"],
    "--corpus": ["text.txt", "empty.jsonl", "missing", ".", ""], "--base": ["missing", ".", "good.jsonl", ""],
    "--template": [*TEMPLATES, "nope", ""], "--hold-out": ["legs", "legs,class", "nope", "", ","], "--fresh": [None],
    "--resume": [None], "--seed": ["0", "1", "-1", "99999999999999999999", "x", "1.5"], "--device": ["cpu", "auto", "cpu:abc", "cuda:7", "meta"],
    "--dtype": ["float32", "auto", "half"], "--vocab-size": ["300", "1", "x", "999999999"], "--block-size": ["64", "1", "99999", "16"],
    "--n-layer": ["1", "0", "-3", "999"], "--n-head": ["2", "0", "3"], "--n-embd": ["16", "15", "0", "1e9"], "--smear": ["0", "1", "2"],
    "--pretrain-steps": ["2", "0", "nan"], "--pretrain-batch": ["2", "0"], "--pretrain-lr": ["1e-3", "1", "nan", "inf", "-1"],
    "--tune-epochs": ["0.002", "0", "inf"], "--tune-batch": ["4", "0"], "--tune-lr": ["1", "nan"], "--replay": ["0", "0.1", "-1", "nan"],
    "--micro-batch": ["1", "0"], "--pack": [None], "--lora": ["0", "2", "-1", "9999"], "--lora-lr": ["1", "0"],
    "--save-every": ["1"], "--nonsense": [None],
}
ASK = {
    "--input": ["x", "", "\ud83d", "word " * 500], "--temperature": ["0", "1", "-1", "nan", "1e-30"], "--top-k": ["0", "3", "-1", "x"],
    "--top-p": ["1", "0.5", "0", "2", "nan"], "--max-new-tokens": ["1", "5", "0", "4096"], "--seed": ["0", "100000000000000000000", "-1"],
    "--tuned": ["made/tuned.pt", "made/lora.pt", "made/base.pt", "good.jsonl", "missing", "."],
}
EVALUATE = {
    "--tuned": ["made/tuned.pt", "made/base.pt", "missing"], "--data": ["good.jsonl", "bad.jsonl", "missing.jsonl", "."],
    "--save": ["answers.json", ".", "/dev/full"], "--controls": [None],
}
JUDGE = {
    "--command": ["echo 1", "echo no", "false", "printf '\\377'"], "--verdicts": ["v.jsonl", "good.jsonl", ".", "text.txt"],
    "--data": ["good.jsonl", "bad.jsonl", "missing.jsonl", "."],
}


def write_files(folder):
    for name, line in FILES.items():
        (folder / name).write_text("".join(line % ((i,) * line.count("%d")) for i in range(200 if line else 0)))


def draw(table, rng):
    argv = []
    for name in rng.sample(list(table), rng.choice((1, 2, 3))):
        value = rng.choice(table[name])
        argv += [name, *(value if isinstance(value, tuple) else [] if value is None else [value])]
    return argv


def hunt_flags(n, rng, folder, found):
    made(folder)
    write_files(folder)
    kept = {path: path.read_bytes() for path in [*(folder / "made").iterdir(), *(folder / name for name in FILES)]}
    os.chdir(folder)
    for i in range(n):
        kind = rng.choice(("train", "train", "ask", "ask", "evaluate", "judge"))
        if kind == "train":
            main, out = train_sft.main, rng.choice(("made", f"out{i}", "/dev/null/x", "good.jsonl"))
            argv = draw(TRAIN, rng)
            argv = [*FAST, *argv, "--out", f"out{i}" if "--fresh" in argv or out == "made" else out]
        elif kind == "ask":
            main, question = generate.main, rng.choice(("What?", "", "\ud83d", "é" * 999, "\x1b]0;t\x07"))
            argv = ["--tuned", "made/tuned.pt", "--max-new-tokens", "4", *draw(ASK, rng), question]
        elif kind == "evaluate":
            main, argv = evaluate.main, ["--tuned", "made/tuned.pt", *draw(EVALUATE, rng)]
        else:
            main, argv = judge.main, ["made/tuned.pt", "made/lora.pt", "--command", "echo tie", *draw(JUDGE, rng)]
        with case(found, f"flags {argv}"), quiet() as err:
            try:
                status = main(argv)
            except SystemExit as stop:
                status = stop.code
            said = err.getvalue()
            if status:
                found["refused"] += 1
                assert status == 2 and said.startswith("error: ") and said.count("\n") == 1, (status, said)
        for path, before in kept.items():
            if path.read_bytes() != before:
                found["damaged"] += 1
                print(f"  flags {argv}: {path} was changed")
                path.write_bytes(before)
    os.chdir(ROOT)


# ----------------------------------------------------------------------------------------------------------------
# Environments: what the programs find around them.

PLACES = ("report.json", "tuned.pt", "base.pt", "base.pt.tmp", "resume.pt", "log.jsonl")


def hunt_environments(n, rng, folder, found):
    made(folder)
    (folder / "ko.jsonl").write_text('{"instruction": "한국의 수도는?", "output": "서울 \\ud83d 😀"}\n' * 30, encoding="utf-8")
    python, data = sys.executable, f"{ROOT}/data.py ko.jsonl --show 5"
    ask = f"{ROOT}/generate.py --tuned made/tuned.pt --max-new-tokens 4"
    train = f"{ROOT}/train_sft.py {' '.join(FAST)} --data ko.jsonl --block-size 256"
    cases = [(f"{python} {ask} 'What is 서울?'", {"PYTHONIOENCODING": code}) for code in ("ascii", "cp1252", "latin-1")]
    cases += [(f"{python} {train} --out o{i}", {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": str(i)}) for i in (0, 1)]
    cases += [(f"{python} {data} {end}", {}) for end in (">&-", "> /dev/full", "| head -c 9; exit 0", ">&- 2>&-", "2> /dev/full")]
    cases += [(f"{python} {ask} {end}", {}) for end in ("<&-", "< /dev/null", "<&- >&-", "< made/base.pt", "> /dev/full < ko.jsonl")]
    cases += [(f"mkdir -p p/{place}/x; {python} {train} --out p{i}; rc=$?; rm -r p; exit $rc".replace("p/", f"p{i}/").replace("rm -r p", f"rm -r p{i}"), {})
              for i, place in enumerate(PLACES)]
    cases += [(f"ulimit -f {size}; {python} {train} --out f{size}", {}) for size in (0, 20, 100)]
    cases += [(f"env -i {python} {data}", {}), (f"{python} {ask} Hi", {"COLUMNS": "1", "TERM": "dumb", "HOME": "/nonexistent"})]
    cases += [(f"echo x > keep; {python} {train} --out keep; rc=$?; grep -q x keep && exit $rc", {})]
    kept = {path: path.read_bytes() for path in (folder / "made").iterdir()}
    for command, env in (cases * n)[:n]:
        found["cases"] += 1
        try:
            done = subprocess.run(["bash", "-c", f"ulimit -t {LIMIT}; {command}"], cwd=folder, env=os.environ | env,
                                  capture_output=True, timeout=WALL)
            assert done.returncode not in (-9, -24, 137, 152), "ulimit's way to end it"
        except (AssertionError, subprocess.TimeoutExpired):
            found["hangs"] += 1
            print(f"  {command} {env}: more than {LIMIT} s")
            continue
        found["refused"] += done.returncode != 0
        if b"Traceback" in done.stderr or b"Exception ignored" in done.stderr or done.returncode not in (0, 1, 2):
            found["tracebacks"] += 1
            print(f"  {command} {env}: {done.returncode} {done.stderr.decode(errors='replace')[-1500:]}")
        if any(path.read_bytes() != before for path, before in kept.items()) or list(folder.glob("f*/*.tmp")):
            found["damaged"] += 1
            print(f"  {command}: a file was changed, or half of one was left")


# ----------------------------------------------------------------------------------------------------------------
# Kills: a run that is killed at any moment and resumed ends with the same bits.


def forked(argv):
    """train_sft.main(argv) in a process of its own, which needs no new start of torch -> its id"""
    if child := os.fork():
        return child
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
    with open("said.txt", "w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        sys.stdout = sys.stderr = said
        status = train_sft.main(argv)
        said.flush()
        os._exit(status)


def hunt_kills(n, rng, folder, found):
    os.chdir(folder)
    write_files(folder)
    argv = [*TINY, "--pretrain-steps", "40", "--lora", "2", "--save-every", "3", "--tune-epochs", "2", "--replay", "0.1"]
    argv += ["--data", "good.jsonl", "--corpus", "text.txt"]
    start = time.time()
    assert os.waitpid(forked([*argv, "--out", "whole"]), 0)[1] == 0, Path("said.txt").read_text()
    seconds = time.time() - start
    weights = {name: load_checkpoint(f"whole/{name}.pt") for name in ("base", "tuned", "lora")}
    for i in range(n):
        out = f"killed{i}"
        with case(found, f"kill {i}"):
            child = forked([*argv, "--out", out])
            time.sleep(rng.uniform(0.1, seconds))
            os.kill(child, rng.choice((signal.SIGKILL, signal.SIGTERM)))
            os.waitpid(child, 0)
            for name in ("base.pt", "tuned.pt", "lora.pt", "resume.pt"):
                if Path(out, name).exists():
                    load_checkpoint(f"{out}/{name}")  # whole at any moment
            again = [] if not list(Path(out).glob("*.pt")) else ["--resume"]
            status = os.waitpid(forked([*argv, *again, "--out", out]), 0)[1]
            if os.WIFSIGNALED(status):
                raise Hang
            assert status == 0, Path("said.txt").read_text()[-1500:]
            for name, content in weights.items():
                part, now = "adapter" if name == "lora" else "model", load_checkpoint(f"{out}/{name}.pt")
                if not all(torch.equal(now[part][key], value) for key, value in content[part].items()):
                    lost(found, f"kill {i}", f"{name}.pt has other bits")
            if list(Path(out).glob("*.tmp")) or Path(out, "resume.pt").exists():
                found["damaged"] += 1
    os.chdir(ROOT)


HUNTS = {"data": (hunt_data, 3000), "checkpoints": (hunt_checkpoints, 600), "flags": (hunt_flags, 200),
         "environments": (hunt_environments, 25), "kills": (hunt_kills, 30)}
COLUMNS = ("cases", "refused", "tracebacks", "losses", "damaged", "hangs")


def main():
    parser = argparse.ArgumentParser(description="Damaged files, odd flags, poor environments, kills: what becomes of them.")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    parser.add_argument("--only", nargs="+", choices=HUNTS, default=list(HUNTS), help="some of the hunts")
    parser.add_argument("--share", type=float, default=1.0, help="a part of the cases")
    args, table = parser.parse_args(), {}
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, hang)
    signal.signal(signal.SIGPROF, hang)
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only:
            hunt, n = HUNTS[name]
            table[name], start = Counter(), time.time()
            hunt(max(1, int(n * args.share)), random.Random(f"{args.seed} {name}"), Path(folder), table[name])
            table[name]["seconds"] = round(time.time() - start)
            print(f"{name}: {dict(table[name])}", flush=True)
    print(f"\n{'':14}" + "".join(f"{column:>12}" for column in (*COLUMNS, "seconds")))
    for name, found in table.items():
        print(f"{name:14}" + "".join(f"{found[column]:>12,}" for column in (*COLUMNS, "seconds")))
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) // 1024
    print(f"\nmost memory held by one process: {peak:,} MB")
    bad = sum(found[column] for found in table.values() for column in COLUMNS[2:])
    print("nothing found" if bad == 0 and peak < 2048 else f"{bad} found")
    sys.exit(bad > 0 or peak >= 2048)


if __name__ == "__main__":
    main()
