"""The medians of several runs, and the runs themselves: one line a split.

    for s in 0 9 10; do python train_sft.py --seed $s --out runs/$s; done
    python bench/seeds.py runs/0 runs/9 runs/10"""

import json
import statistics
import sys
from pathlib import Path


def main():
    reports = []
    for folder in sys.argv[1:]:
        text = (Path(folder) / "report.json").read_text(encoding="utf-8")
        reports.append(json.loads(text))

    print(f"{'tuned, right':18} {'median':>6}  runs")
    rows = {}
    for split in reports[0]["held_out"]:
        scores = [report["held_out"][split]["tuned"] for report in reports]
        rows[split.replace("_", " ")] = [s["correct"] / s["judged"] for s in scores]
    rows["base goes on"] = [report["base_goes_on"] for report in reports]
    for name, values in rows.items():
        runs = "  ".join(f"{value:.1%}" for value in values)
        print(f"{name:18} {statistics.median(values):6.1%}  {runs}")

    losses = [report["corpus_loss"] for report in reports]
    print("loss of the text  " + "  ".join(f"{x['base']:.3f} -> {x['tuned']:.3f}" for x in losses))


if __name__ == "__main__":
    main()
