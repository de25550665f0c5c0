"""One minute each: several small projects get the same time on the same two cores, and show what their model can say.

What it is: each is run as its own README says, with only the number of steps changed, so that everything (data, tokenizer,
training, the checkpoint) ends in that time. How many steps fit is measured: two short runs, then the real one, and once
more if that missed the time by more than 5 %. What they then say is printed.
What it is not: a race. The goals differ; the printed text says how. MINUTE.md says where the others come from.

    python bench/minute.py --nanogpt FOLDER --microgpt FILE --guppylm FOLDER        each of them may be left out
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

import record  # noqa: E402

import world  # noqa: E402

GOALS = """The goals differ, so this is no race. This project: answer questions that were never tuned on, about a small world.
nanoGPT: a short training loop that also trains GPT-2; here it learns to write like Shakespeare, letter by letter. microgpt:
the whole algorithm in one short file without any library; it invents names. guppylm: play a fish in small talk; its own
settings are made for a GPU. Each is judged by its own goal, and none of them was made for one minute of two cores."""
THREADS = {name: "2" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")}
MISSED = 0.05
REPLIES = 10  # to each prompt of guppylm, which samples


class Failed(Exception):
    pass


def run(folder, *command):
    """Runs Python there -> (wall-clock seconds, what it printed)"""
    start = time.perf_counter()
    env = os.environ | THREADS | {"PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, encoding="utf-8", env=env)
    if done.returncode:
        raise Failed(f"python {shlex.join(command)}\n  ended with: {(done.stderr.strip() or 'nothing').splitlines()[-1]}")
    return time.perf_counter() - start, done.stdout


def fit(train, seconds, probes):
    """train(steps) -> (seconds, screen). Runs it with as many steps as fit -> (steps, seconds, screen)."""
    runs = [(steps, *train(steps)) for steps in probes]
    for _ in range(2):
        (a, before, _), (b, after, _) = sorted(runs[-2:])
        a_step = max((after - before) / max(1, b - a), 1e-6)
        steps = round(min(b + (seconds - after) / a_step, 20 * b))
        if steps < 1:
            raise Failed(f"it does not fit: {a} steps, with everything around them, took {before:.1f} s")
        runs.append((steps, *train(steps)))
        if abs(runs[-1][1] - seconds) <= MISSED * seconds:
            break
    return runs[-1]


def version(path):
    """The commit of the code, or a checksum of its Python files if it is in no repository of its own."""
    folder = path if path.is_dir() else path.parent
    top = record.git("rev-parse", "--show-toplevel", folder=folder)
    if top and Path(top).resolve() == folder.resolve():
        changed = record.git("diff", "HEAD", "--name-only", "--diff-filter=M", folder=folder)
        return f"commit {record.git('rev-parse', 'HEAD', folder=folder)}" + (f", changed: {changed}" if changed else "")
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return "sha256 " + hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def tell(seconds, found, *commands):
    print(*("  $ python " + command for command in commands), sep="\n")
    missed = abs(found[1] - seconds) > MISSED * seconds
    print(f"  {found[0]} steps, {found[1]:.1f} s in all" + f": it MISSED the {seconds:g} s" * missed)


def show(text, lines=60):
    print(*("  | " + line[:120] for line in text.strip("\n").splitlines()[:lines]), sep="\n")


# ----------------------------------------------------------------------------------------------------------------
# The projects. The others work in a copy of their code, in a folder that is deleted afterwards.


def ours(root, folder, seconds):
    out = str(folder / "out")

    def command(steps):  # in the default run, one epoch of tuning follows 1,000 steps
        epochs = max(0.001, steps / 1000)
        return ["train_sft.py", "--fresh", "--out", out, "--pretrain-steps", str(steps), "--tune-epochs", str(epochs)]

    probes = [max(1, round(seconds * share)) for share in (2, 4)]  # an untrained model is slow to ask: it never stops
    found = fit(lambda steps: run(root, *command(steps)), seconds, probes)
    tell(seconds, found, shlex.join(command(found[0])))
    show(found[2].partition("\n4. ")[2].partition("\n5. ")[0])
    for split, rows in world.build(size=0).splits.items():
        row = next(row for row in rows if not row["input"])
        ask = ["generate.py", "--base", f"{out}/base.pt", "--tuned", f"{out}/tuned.pt", row["instruction"]]
        print(f"  $ python {shlex.join(ask)}     # {split.replace('_', ' ')}; right is: {row['output']}")
        show(run(root, *ask)[1])


def nanogpt(code, folder, seconds):
    shutil.copytree(code, folder / "code", ignore=shutil.ignore_patterns(".git", "out*"))
    prepare = "data/shakespeare_char/prepare.py"

    def command(steps):
        """README's for a computer without a GPU; the evaluation, which saves the checkpoint, comes at the last step."""
        return ("train.py config/train_shakespeare_char.py --device=cpu --compile=False --eval_iters=20 --log_interval=1 "
                f"--block_size=64 --batch_size=12 --n_layer=4 --n_head=4 --n_embd=128 --max_iters={steps} "
                f"--lr_decay_iters={steps} --dropout=0.0 --eval_interval={steps}")

    def train(steps):
        (before, _), (after, screen) = run(folder / "code", prepare), run(folder / "code", *command(steps).split())
        return before + after, screen

    found = fit(train, seconds, (20, 200))
    tell(seconds, found, prepare, command(found[0]))
    show("\n".join(re.findall(r"^step .+", found[2], re.M)))
    for start in ([], ["--start=What is the capital of France?"]):
        sample = ["sample.py", "--out_dir=out-shakespeare-char", "--device=cpu", "--num_samples=1", "--max_new_tokens=300"]
        print("  $ python " + shlex.join(sample + start))
        show(run(folder / "code", *sample, *start)[1])


def microgpt(code, folder, seconds):
    text = code.read_text(encoding="utf-8")
    if len(re.findall(r"^num_steps = \d+", text, re.M)) != 1:
        raise Failed(f"{code}: no line of its own says num_steps = ...")
    if (code.parent / "input.txt").exists():
        shutil.copy(code.parent / "input.txt", folder)

    def train(steps):
        changed = re.sub(r"^num_steps = \d+", f"num_steps = {steps}", text, flags=re.M)
        (folder / "microgpt.py").write_text(changed, encoding="utf-8")
        return run(folder, "microgpt.py")

    found = fit(train, seconds, (4, 20))
    tell(seconds, found, f"microgpt.py     # with num_steps = {found[0]}")
    said = re.findall(r"^sample +\d+: (.*)", found[2], re.M)
    known = set((folder / "input.txt").read_text(encoding="utf-8").split())
    print(f"  {sum(name in known for name in said)} of {len(said)} names stand in its list of {len(known):,}, the others are new:")
    show(", ".join(said[:10]) + ",\n" + ", ".join(said[10:]))


ASK = """import json, sys, torch
from guppylm.inference import GuppyInference
torch.manual_seed(0)
fish = GuppyInference("checkpoints/final_model.pt", "data/tokenizer.json")
ask = lambda prompt: fish.chat_completion([{"role": "user", "content": prompt}])["choices"][0]["message"]["content"]
print(json.dumps([[ask(prompt) for _ in range(int(sys.argv[1]))] for prompt in sys.argv[2:]]))"""
CASES = "import json; from guppylm.eval_cases import get_eval_cases; print(json.dumps(get_eval_cases()))"


def guppylm(code, folder, seconds):
    shutil.copytree(code / "guppylm", folder / "guppylm")

    def command(steps):
        """Its train() with fewer steps, the last of which saves; it warms up over a fiftieth of them, as in its settings."""
        change = f"functools.partial(t.TrainConfig, max_steps={steps}, warmup_steps={max(1, steps // 50)})"
        return ["-c", f"import functools, guppylm.train as t; t.TrainConfig = {change}; t.train()"]

    def train(steps):
        (before, _), (after, screen) = run(folder, "-m", "guppylm", "prepare"), run(folder, *command(steps))
        return before + after, screen

    found = fit(train, seconds, (4, 20))
    tell(seconds, found, "-m guppylm prepare", shlex.join(command(found[0])))
    texts = [json.loads(line)["text"] for line in (folder / "data/train.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [[said.lower() for said in re.findall(r"<\|im_start\|>\w+\n(.*?)<\|im_end\|>", text, re.S)] for text in texts]
    prompts, all_cases = {row[0].strip() for row in rows}, json.loads(run(folder, "-c", CASES)[1])
    cases = [case for case in all_cases if case["prompt"].strip().lower() not in prompts]
    print(f"  {len(cases)} of its own {len(all_cases)} test prompts are not among the {len(prompts):,} prompts of its rows.")
    said = json.loads(run(folder, "-c", ASK, str(REPLIES), *(case["prompt"] for case in cases))[1].splitlines()[-1])

    def passing(replies_of):
        """Share of the replies that hold one of the words that its test expects, in percent."""
        found = [any(word in reply.lower() for word in case["expect_keywords"]) for case, replies in zip(cases, replies_of)
                 for reply in replies]
        return 100 * sum(found) / max(1, len(found))

    by_chance = passing([[row[1] for row in rows]] * len(cases))
    print(f"  To these, {passing(said):.0f} % of its replies, {REPLIES} each, hold one of the words that the test expects; "
          f"of all replies of its rows, {by_chance:.0f} %.")
    show("\n".join(f"{case['prompt']}  ->  {replies[0]}" for case, replies in zip(cases, said)))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("nanogpt", "microgpt", "guppylm"):
        parser.add_argument(f"--{name}", type=Path, help="the path of its code; without it, it is skipped")
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args(argv)
    record.two_cores()
    print(f"{args.seconds:g} s each, two threads; {record.processor()}; load before: {record.load():.1f}\n{GOALS}")
    for name, project, code in (("this project", ours, record.ROOT), ("nanoGPT", nanogpt, args.nanogpt),
                                ("microgpt", microgpt, args.microgpt), ("guppylm", guppylm, args.guppylm)):
        if code is None or not code.exists():
            why = f"{code} is not there" if code else f"its code was not given (--{name.lower()})"
            print(f"\n{name}: skipped, {why}")
            continue
        print(f"\n{name}, {version(code)}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            try:
                project(code.resolve(), Path(folder), args.seconds)
            except Failed as error:
                print(f"  {name} could not be run: {error}", flush=True)


if __name__ == "__main__":
    main()
