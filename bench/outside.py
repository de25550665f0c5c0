"""Messages from outside the built-in world: how many get a fluent falsehood, and what does the hint cost?

`outside.jsonl` holds 200 messages whose answers the world does not tell: greetings, talk, other questions, other tasks,
nonsense. Any answer to them that is shown without the hint of `common/chat.py` counts as false, unless it says that
the thing is unknown. Known questions are the held-out ones (unseen inputs and unseen phrasings); a hint there is a false
refusal. The last columns are questions as persons type them (`persons_*.jsonl`): right ones lost, wrong ones caught.

    python bench/outside.py [out/tuned.pt]
"""

import json
import sys
from collections import Counter
from pathlib import Path

import torch

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from persons import answered, load_rows  # noqa: E402

from common.chat import N_FIRST, THRESHOLD, confidence  # noqa: E402
from common.table import wilson, world_splits  # noqa: E402
from data import Row, Turn  # noqa: E402
from generate import Sampling, load_assistant  # noqa: E402

HERE = Path(__file__).parent
FALSE, REFUSED = 0.10, 0.03  # at most


def read(name):
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines()]


@torch.inference_mode()
def ask(assistant, rows):
    """Rows -> [(text, how sure)], as the chat sees them."""
    found = []
    for row, (text, stopped) in zip(rows, assistant.answers(rows, Sampling())):
        prompt, tokenizer = assistant.prompt(row.turns), assistant.tokenizer
        ids = (tokenizer.encode(text) + [tokenizer.eos_id] * stopped)[:N_FIRST]
        logits = assistant.model(torch.tensor([(prompt + ids)[:-1]]))[0, len(prompt) - 1 :]  # (answer, V)
        chosen = logits.log_softmax(-1).gather(1, torch.tensor(ids)[:, None])[:, 0]  # (answer,)
        found.append((text, confidence(chosen.tolist())))
    return found


def shares(least, outside, known, persons):
    """The curve's point: shares of false answers, false refusals, right ones lost and wrong ones caught."""
    right = [sure for is_right, sure in persons if is_right]
    wrong = [sure for is_right, sure in persons if not is_right]
    return (sum(sure >= least for sure in outside) / len(outside), sum(sure < least for sure in known) / len(known),
            sum(sure < least for sure in right) / len(right), sum(sure < least for sure in wrong) / len(wrong))


def main():
    assistant = load_assistant(sys.argv[1] if len(sys.argv) > 1 else "out/tuned.pt")
    messages = read("outside.jsonl")
    said = ask(assistant, [Row((Turn(one["message"]),)) for one in messages])
    outside = [-1.0 if "unknown" in text else sure for text, sure in said]  # that is no falsehood
    splits = world_splits(assistant.trained_on)
    known = [sure for _, sure in ask(assistant, splits["unseen_inputs"] + splits["unseen_phrasings"])]
    persons = []
    for name in "ab":
        lines, rows = load_rows(HERE / f"persons_{name}.jsonl")
        for line, (text, sure) in zip(lines, ask(assistant, rows)):
            persons.append((answered(line, text), sure))

    print(f"{len(outside)} messages from outside, {len(known)} known questions, {len(persons)} typed by persons")
    print("hint below   false answers   known refused   persons' right lost   wrong caught")
    grid = sorted({THRESHOLD, *(step / 50 for step in range(31))})
    for least in grid:
        point = "{:>14.1%}{:>16.1%}{:>22.1%}{:>15.1%}".format(*shares(least, outside, known, persons))
        print(f"{least:>10.2f}{point}{'   <- THRESHOLD' if least == THRESHOLD else ''}")
    good = [least for least in grid if (point := shares(least, outside, known, persons))[0] <= FALSE and point[1] <= REFUSED]
    print(f"at most {FALSE:.0%} false and {REFUSED:.0%} refused: " + (f"from {good[0]} to {good[-1]}" if good else "nowhere"))
    false = sum(sure >= THRESHOLD for sure in outside)
    print("with THRESHOLD = {}: {} false answers, {:.0%} to {:.0%}".format(THRESHOLD, false, *wilson(false, len(outside))))
    kinds = Counter(one["kind"] for one in messages)
    kept = [(one, text) for one, (text, _), sure in zip(messages, said, outside) if sure >= THRESHOLD]
    print("by kind: " + ", ".join(f"{kind} {sum(one['kind'] == kind for one, _ in kept)}/{n}" for kind, n in kinds.items()))
    print("\n".join(f"  {one['message']} -> {text.strip()[:70]}" for one, text in kept[:8]))


if __name__ == "__main__":
    main()
