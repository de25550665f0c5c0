"""Measure the page: its speed, and how often it answers as the full weights do.

What it is: out/page.html is opened in a headless Chromium that has one core. Counted are the
milliseconds from opening until every model has answered the first question (and how long the page's
thread was at work), tokens per second, and, of all held-out questions and all models, the greedy
answers that are the same letters as generate.py's.
What it is not: a test of other browsers.

    python bench/page.py [out]                   needs Chromium, and out/ as the main job leaves it
    python bench/page.py [out] --picture FILE    only write README's picture, docs/minsft.png
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browser import Browser, answers_in_page  # noqa: E402

from common import table  # noqa: E402
from generate import Sampling, load_assistant, three_models  # noqa: E402

N_OPENINGS = 5
PICTURE_WIDTH = 860  # pixels
MARGIN = 16
ANSWERED = "performance.getEntriesByName('answered').length"


def measure_speed(browser, file):
    """Print the time to the first answers and the tokens per second. Medians of some openings."""
    first, rates, busy = [], [], []
    for _ in range(N_OPENINGS):
        browser.open(file)
        browser.call("Performance.enable", timeDomain="threadTicks")
        browser.wait(ANSWERED)
        metrics = browser.call("Performance.getMetrics")["metrics"]
        busy += [1000 * metric["value"] for metric in metrics if metric["name"] == "ThreadTime"]
        first.append(browser.run("performance.getEntriesByName('answered')[0].startTime"))
        rates.append(int(browser.run("speed.textContent").split()[-4]))

    # Every opening is a new process, so the thread's time is that of its whole life.
    print(f"first answers after {statistics.median(first):.0f} ms, {statistics.median(busy):.0f} ms"
          f" of the processor; {statistics.median(rates):.0f} tokens/s while it draws")
    alone = """(() => {
        const start = performance.now();
        stream(models.tuned, Array(100).fill(1)).next();
        return 100000 / (performance.now() - start) })()"""
    rates = [browser.run(alone) for _ in range(N_OPENINGS)]
    print(f"one model alone: {statistics.median(rates):.0f} tokens/s")


def compare_answers(browser, out):
    """Print how many answers of the page are those of the full weights."""
    models = three_models(load_assistant(out / "base.pt"), load_assistant(out / "tuned.pt"))
    if (out / "lora.pt").exists():
        models["lora"] = load_assistant(out / "lora.pt")
    splits = table.world_splits(models["tuned"].trained_on)
    rows = [row for split in splits.values() for row in split]
    for name, assistant in models.items():
        expected, in_page = assistant.answers(rows, Sampling()), []
        for start in range(0, len(rows), 20):
            script = answers_in_page(rows[start : start + 20], name, assistant.template)
            in_page += json.loads(browser.run(f"(async () => JSON.stringify({script}))()"))
        same = sum(tuple(one) == other for one, other in zip(in_page, expected))
        print(f"{name}: {same} of {len(rows)} answers are those of the full weights "
              f"({same / len(rows):.1%})", flush=True)


def take_picture(browser, page, file):
    """Write the page's first view, from the title to the examples, as a picture."""
    browser.open(page, width=PICTURE_WIDTH)
    browser.wait(ANSWERED)
    bottom = browser.run("examples.getBoundingClientRect().bottom")
    browser.picture(file, (0, 0, PICTURE_WIDTH, round(bottom) + MARGIN))
    print(f"{file}: {os.path.getsize(file):,} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", nargs="?", default="out", type=Path, help="the folder of a run")
    parser.add_argument("--picture", metavar="FILE", help="only write a picture of the page")
    args = parser.parse_args()
    page = args.out.resolve() / "page.html"
    if args.picture:
        browser = Browser()
        take_picture(browser, page, args.picture)
    else:
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])  # one core, for the browser, too
        browser = Browser()
        measure_speed(browser, page)
        compare_answers(browser, args.out)
    browser.close()


if __name__ == "__main__":
    main()
