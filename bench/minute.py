"""One minute each: several small projects get the same time on the same two cores, and show what their model can say.

What it is: each is run with its own settings, but the number of steps such that everything (data, tokenizer, training,
checkpoint) ends in that time. How many steps fit is measured: two short runs, then the real one, which is repeated, twice
at most, if it missed the time by more than 5 %. What they then say is printed.
What it is not: a race, for the goals differ. MINUTE.md says where the others come from.

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
THREADS = os.environ.get("OMP_NUM_THREADS", "2")
MISSED, REPLIES = 0.05, 10  # REPLIES to each prompt of guppylm, which samples


def run(folder, *command):
    """Runs Python there -> (wall-clock seconds, what it printed)"""
    env = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), THREADS)
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, encoding="utf-8", env=env)
    if done.returncode:
        said = (done.stderr.strip() or "nothing").splitlines()[-1]
        raise RuntimeError(f"python {shlex.join(command)}\n  ended with: {said}")
    return time.perf_counter() - start, done.stdout


def fit(train, seconds, probes):
    """train(steps) -> (seconds, screen). Runs it with as many steps as fit -> (steps, seconds, screen)."""
    runs = [(steps, *train(steps)) for steps in probes]
    for _ in range(3):
        (a, before, _), (b, after, _) = runs[0], runs[-1]  # far apart: a noisy clock must not make the slope
        a_step = max((after - before) / (b - a or 1), 1e-6)
        steps = round(min(b + (seconds - after) / a_step, 20 * b))
        if steps < 1:
            raise RuntimeError(f"it does not fit: {a} steps, with everything around them, took {before:.1f} s")
        runs.append((steps, *train(steps)))
        if abs(runs[-1][1] - seconds) <= MISSED * seconds:
            break
    return min(runs, key=lambda one: abs(one[1] - seconds))


def version(path):
    """The commit of the code, or a checksum of its Python files if it is in no repository of its own."""
    folder = path if path.is_dir() else path.parent
    if (folder / ".git").exists():
        changed = record.git("diff", "HEAD", "--name-only", "--diff-filter=M", folder=folder)
        return f"commit {record.git('rev-parse', 'HEAD', folder=folder)}" + (f", changed: {changed}" if changed else "")
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return "sha256 " + hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def tell(seconds, found, *commands):
    print(*("  $ python " + command for command in commands), sep="\n")
    print(f"  {found[0]} steps, {found[1]:.1f} s in all" + ": it MISSED the time" * (abs(found[1] - seconds) > MISSED * seconds))


def show(text, lines=60):
    print(*("  | " + line[:120] for line in text.strip("\n").splitlines()[:lines]), sep="\n")


def ours(root, folder, seconds):
    out = str(folder / "out")

    def command(steps):  # in the default run, one epoch of tuning follows 1,000 steps
        return [*f"train_sft.py --fresh --pretrain-steps {steps} --tune-epochs {steps / 1000} --out".split(), out]

    found = fit(lambda steps: run(root, *command(steps)), seconds, (round(seconds * 2), round(seconds * 4)))
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
        return (  # README's for a computer without a GPU; the evaluation, which saves, comes at the last step
            "train.py config/train_shakespeare_char.py --device=cpu --compile=False --eval_iters=20 --log_interval=1 "
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
    text, line = code.read_text(encoding="utf-8"), r"^num_steps = \d+"
    if len(re.findall(line, text, re.M)) != 1:
        raise RuntimeError(f"{code}: no line of its own says num_steps = ...")
    [shutil.copy(names, folder) for names in code.parent.glob("input.txt")]  # or it downloads them

    def train(steps):
        (folder / "microgpt.py").write_text(re.sub(line, f"num_steps = {steps}", text, flags=re.M), encoding="utf-8")
        return run(folder, "microgpt.py")

    found = fit(train, seconds, (4, 20))
    tell(seconds, found, f"microgpt.py     # with num_steps = {found[0]}")
    said = re.findall(r"^sample +\d+: (.*)", found[2], re.M)
    known = (folder / "input.txt").read_text(encoding="utf-8").split()
    print(f"  {len([n for n in said if n in known])} of {len(said)} names stand in its list of {len(known):,}, the others do not:")
    show("\n".join([", ".join(said[:10]), ", ".join(said[10:])]))


ASK = f"""import json, sys, torch, guppylm.inference as i, guppylm.eval_cases as e
fish = i.GuppyInference("checkpoints/final_model.pt", "data/tokenizer.json")
torch.manual_seed(0)
ask = lambda text: fish.chat_completion([{{"role": "user", "content": text}}])["choices"][0]["message"]["content"]
times = lambda case: 0 if case["prompt"].strip().lower() in sys.argv else {REPLIES}
print(json.dumps([[case, [ask(case["prompt"]) for _ in range(times(case))]] for case in e.get_eval_cases()]))"""


def guppylm(code, folder, seconds):
    shutil.copytree(code / "guppylm", folder / "guppylm")

    def command(steps):  # its train() with fewer steps, the last of which saves; a fiftieth warms up, as in its settings
        change = f"functools.partial(t.TrainConfig, max_steps={steps}, warmup_steps={max(1, steps // 50)})"
        return ["-c", f"import functools, guppylm.train as t; t.TrainConfig = {change}; t.train()"]

    def train(steps):
        (before, _), (after, screen) = run(folder, "-m", "guppylm", "prepare"), run(folder, *command(steps))
        return before + after, screen

    found = fit(train, seconds, (4, 20))
    tell(seconds, found, "-m guppylm prepare", shlex.join(command(found[0])))
    texts = [json.loads(line)["text"] for line in (folder / "data/train.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [[said.lower() for said in re.findall(r"<\|im_start\|>\w+\n(.*?)<\|im_end\|>", text, re.S)] for text in texts]
    prompts = {row[0].strip() for row in rows}
    asked = json.loads(run(folder, "-c", ASK, *prompts)[1].splitlines()[-1])  # only what is not among them
    new = [pair for pair in asked if pair[1]]

    def passing(pairs):  # percent of the replies
        found = [any(word in said.lower() for word in case["expect_keywords"]) for case, some in pairs for said in some]
        return 100 * sum(found) / max(1, len(found))

    print(f"  {len(new)} of its own {len(asked)} test prompts are not among the {len(prompts):,} prompts of its rows. Of its\n"
          f"  replies to these, {REPLIES} each, {passing(new):.0f} % hold a word that the test expects; of all replies of its\n"
          f"  rows, whatever the prompt, {passing([(case, [row[1] for row in rows]) for case, _ in new]):.0f} %.")
    show("\n".join(f"{case['prompt']}  ->  {' '.join(replies[0].split())}" for case, replies in new))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("nanogpt", "microgpt", "guppylm"):
        parser.add_argument(f"--{name}", type=Path, help="the path of its code; without it, it is skipped")
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args(argv)
    record.two_cores()
    print(f"{args.seconds:g} s each, {THREADS} threads; {record.processor()}; load before: {record.load():.1f}\n{GOALS}")
    for name, project, code in (("this project", ours, record.ROOT), ("nanoGPT", nanogpt, args.nanogpt),
                                ("microgpt", microgpt, args.microgpt), ("guppylm", guppylm, args.guppylm)):
        if code is None or not code.exists():
            print(f"\n{name}: skipped, " + (f"{code} is not there" if code else f"its code was not given (--{name.lower()})"))
            continue
        print(f"\n{name}, {version(code)}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            try:
                project(code.resolve(), Path(folder), args.seconds)
            except RuntimeError as error:
                print(f"  {name} could not be run: {error}", flush=True)


if __name__ == "__main__":
    main()
