"""The page, measured: how fast it answers, and how often just as the full weights do.

What it is: out/page.html is opened in a headless Chromium that has one core. Counted are the milliseconds from opening
until every model has answered the first question (and how long the page's thread was at work), tokens a second, and, of
all held-out questions and all models, the greedy answers that are the same letters as generate.py's.
What it is not: a test of other browsers.

    python bench/page.py [out]             needs Chromium, and out/ as the main job leaves it
"""

import json
import os
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browser import Browser, answers_in_page  # noqa: E402

from common import table  # noqa: E402
from generate import Sampling, load_assistant, load_three  # noqa: E402


def main():
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "out").resolve()
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])  # one core, for the browser, too
    browser = Browser()
    first, rates, busy = [], [], []
    for _ in range(5):
        browser.open(out / "page.html")
        browser.call("Performance.enable", timeDomain="threadTicks")
        browser.wait("performance.getEntriesByName('answered').length")
        found = browser.call("Performance.getMetrics")["metrics"]
        busy.append(1000 * next(one["value"] for one in found if one["name"] == "ThreadTime"))
        first.append(browser.run("performance.getEntriesByName('answered')[0].startTime"))
        rates.append(int(browser.run("document.getElementById('speed').textContent").split()[-3]))
    cost = statistics.median(busy)  # every opening is a new process, so this is its whole life
    print(f"first answers after {statistics.median(first):.0f} ms ({cost:.0f} ms of the processor), all models drawn at once: "
          f"{statistics.median(rates):.0f} tokens/s")
    steps = """(() => { const start = performance.now(), ids = Array(100).fill(1); stream(models.tuned, ids).next();
        return 100000 / (performance.now() - start) })()"""
    print(f"one model alone: {statistics.median(browser.run(steps) for _ in range(5)):.0f} tokens/s")
    models = load_three(out / "tuned.pt")
    if (out / "lora.pt").exists():
        models["lora"] = load_assistant(out / "lora.pt")
    rows = [row for split in table.world_splits(models["tuned"].trained_on).values() for row in split]
    for name, assistant in models.items():
        expected, found = assistant.answers(rows, Sampling()), []
        for start in range(0, len(rows), 20):
            script = answers_in_page(rows[start : start + 20], name, assistant.template)
            found += json.loads(browser.run(f"(async () => JSON.stringify({script}))()"))
        same = sum(tuple(one) == other for one, other in zip(found, expected))
        print(f"{name}: {same} of {len(rows)} answers are those of the full weights ({same / len(rows):.1%})", flush=True)
    browser.close()


if __name__ == "__main__":
    main()
