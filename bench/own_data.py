"""Tune on three small sets of own pairs: are they answered, also in new words, and is the rest kept?

    python bench/own_data.py FOLDER [--sets clubs,kitchen,trains] [flags of train_sft.py]

The sets are about things that no base knows: the clubs of a school, a kitchen, a timetable. Each is
asked in some wordings that are tuned on and in one that isn't. It needs a finished run in out/. The
table has the shares of right answers: own pairs, their new wordings, the usual held-out questions."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common.table import LEARNED, score  # noqa: E402
from extras.datasets import load_rows  # noqa: E402
from generate import Sampling, load_assistant  # noqa: E402

ROOT = Path(__file__).parents[1]

# A set: (wordings to tune on, the wording that is new, the answer, things and their values).
CLUBS = """chess: Monday: the library: Ms. Okoro / robotics: Tuesday: room 12: Mr. Lind / choir:
Wednesday: the music room: Ms. Ferro / drama: Thursday: the hall: Mr. Quist / garden: Friday: the
yard: Ms. Abadi / film: Monday: room 7: Mr. Sole / judo: Tuesday: the gym: Ms. Hart / baking:
Wednesday: the canteen: Mr. Poole / running: Thursday: the track: Ms. Vega / coding: Friday: room
3: Mr. Nardo / painting: Monday: the studio: Ms. Brandt / debate: Tuesday: room 9: Mr. Osei"""
CLUB_WAYS = [
    (["When does the {x} club meet?", "On which day is the {x} club?", "{x} club: which day?"],
     "What day is the {x} club on?", "The {x} club meets on {y}."),
    (["Where does the {x} club meet?", "In which room is the {x} club?", "{x} club: where?"],
     "Where can I find the {x} club?", "The {x} club meets in {y}."),
    (["Who leads the {x} club?", "Which teacher leads the {x} club?", "{x} club: who leads it?"],
     "Who is in charge of the {x} club?", "{y} leads the {x} club."),
]  # fmt: skip
KITCHEN = """flour: the top drawer / honey: the blue jar / rice: the tall cupboard / forks: the left
drawer / spoons: the right drawer / salt: the shelf by the window / pepper: the shelf by the door /
oil: the box under the sink / plates: the low cupboard / cups: the hooks on the wall / tea: the tin
with the cat / coffee: the green tin / sugar: the white bowl / jam: the cold cellar / onions: the
basket / potatoes: the sack / towels: the bench / candles: the top shelf / matches: the red box /
foil: the middle drawer / yeast: the door of the fridge / nuts: the glass jar / pasta: the wooden
box / vinegar: the bottom shelf / cocoa: the brown tin / raisins: the small jar / napkins: the
sideboard / scissors: the hook by the stove / string: the button box / corks: the old cup"""
KITCHEN_WAYS = [
    (["Where do we keep the {x}?", "Where is the {x}?", "I need the {x}. Where do I look?"],
     "Can you tell me where I find the {x}?", "We keep the {x} in {y}."),
]  # fmt: skip
TRAINS = """Norwick: 7:05: platform 2 / Eastham: 7:20: platform 4 / Millport: 8:10: platform 1 /
Oakdale: 8:45: platform 3 / Redhill: 9:15: platform 2 / Stonebury: 9:50: platform 5 / Fernley:
10:05: platform 1 / Ashcombe: 10:40: platform 4 / Wexford: 11:25: platform 3 / Larkfield: 11:55:
platform 2 / Thornby: 12:30: platform 5 / Dunmore: 13:10: platform 1 / Elmsworth: 14:20: platform
4 / Kingsley: 15:35: platform 3 / Barrow: 16:15: platform 2"""
TRAIN_WAYS = [
    (["When does the train to {x} leave?", "At what time is the train to {x}?"],
     "What time does the {x} train go?", "The train to {x} leaves at {y}."),
    (["From which platform does the train to {x} leave?", "Which platform is it for {x}?"],
     "Where do I get on the train to {x}?", "The train to {x} leaves from {y}."),
]  # fmt: skip
SETS = {"clubs": (CLUBS, CLUB_WAYS), "kitchen": (KITCHEN, KITCHEN_WAYS),
        "trains": (TRAINS, TRAIN_WAYS)}  # fmt: skip


def write_set(folder: Path, name: str) -> tuple[Path, Path]:
    """Write the pairs to tune on, and the questions in new words."""
    text, ways = SETS[name]
    pairs, questions = [], []
    for line in " ".join(text.split()).split(" / "):
        x, *values = line.split(": ")
        for (wordings, new, answer), value in zip(ways, values):
            output = answer.format(x=x, y=value)
            pairs += [{"instruction": way.format(x=x), "output": output} for way in wordings]
            check = {"has": [value]}
            questions.append({"instruction": new.format(x=x), "output": output, "check": check})
    paths = folder / f"{name}.jsonl", folder / f"{name}_new.jsonl"
    for path, rows in zip(paths, (pairs, questions)):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return paths


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", default=",".join(SETS), help="separated by commas")
    args, options = parser.parse_known_args()
    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{'set':8} {'pairs':>5} {'own':>5} {'new words':>9} {'other':>5} {'loss':>11} {'s':>4}")
    for name in args.sets.split(","):
        pairs, questions = write_set(folder, name)
        out = folder / f"{name}_out"
        command = [sys.executable, "train_sft.py", "--data", pairs, "--out", out]
        if "--base" not in options:
            command += ["--base", "out/base.pt"]
        with open(folder / f"{name}.log", "w", encoding="utf-8") as log:
            subprocess.run([*command, *options], cwd=ROOT, check=True, stdout=log)
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        tuned = out / ("lora.pt" if "gemma" in options else "tuned.pt")

        new = score(load_assistant(tuned), load_rows(str(questions))[0], Sampling())
        share = {}
        for split in (LEARNED, "other_questions"):
            scores = report["held_out"][split]["tuned"]
            share[split] = scores["correct"] / scores["judged"]
        loss = "{base:.2f}, {tuned:.2f}".format(**report["corpus_loss"])
        print(f"{name:8} {sum(1 for _ in open(pairs)):5} {share[LEARNED]:5.0%} "
              f"{new['correct'] / new['n']:9.0%} {share['other_questions']:5.0%} {loss:>11} "
              f"{report['stages'].get('tune', report['stages'].get('lora'))['seconds']:4.0f}",
              flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
