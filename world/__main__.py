"""Print counts and samples of the world, or write its files.

    python -m world                 counts and samples
    python -m world my_world        writes corpus.txt, pairs.jsonl and the held-out splits there
    python -m world --sample 100    a hundred random pages and pairs, as Markdown
"""

import argparse
import json
import random
import sys
from pathlib import Path

import world

SAMPLE_SEED = 2026
MARKER = "world.txt"  # tells a folder that this program wrote


def print_counts(built):
    """Print how much of everything there is, and a few examples."""
    words = sum(len(page.split()) for page in built.corpus)
    held_out = ", ".join(f"{len(rows)} {name}" for name, rows in built.splits.items())
    print(f"{len(world.TASKS)} tasks of {len(world.FAMILIES)} families, "
          f"{len(world.table_facts())} facts in tables")
    print(f"corpus: {len(built.corpus):,} pages, {words:,} words")
    print(f"pairs: {len(built.pairs):,}; held out: {held_out}")
    rng = random.Random(SAMPLE_SEED)
    print("\nFrom the corpus:", *rng.sample(built.corpus, 8), sep="\n  ")
    print("\nFrom the pairs:")
    for row in rng.sample(built.pairs, 8):
        print("  " + json.dumps(row, ensure_ascii=False))


def print_sample(built, n):
    """Print n random pages and n random pairs as Markdown."""
    rng = random.Random(SAMPLE_SEED)
    print(f"# {n} pages and {n} pairs of the built-in world\n")
    print(f"Drawn at random by `python -m world --sample {n}`. Nothing was left out.\n")
    pages, rows = rng.sample(built.corpus, n), rng.sample(built.pairs, n)
    pairs = [f"{row['instruction']}\n{row['input']}\n-> {row['output']}" for row in rows]
    for title, texts in (("Pages", pages), ("Pairs", pairs)):
        print(f"## {title}\n")
        for text in texts:
            print("```text\n" + text.replace("\n\n", "\n") + "\n```\n")


def write_files(built, folder):
    """Write corpus.txt, pairs.jsonl and <split>.jsonl. Raises SystemExit rather than overwrite
    files that this program did not write."""
    texts = {"corpus.txt": "\n\n".join(built.corpus) + "\n"}
    splits = {}
    for name, rows in built.splits.items():  # they say how they are judged
        splits[name] = [row | {"check": {"world": row["task"]}} for row in rows]
    for name, rows in {"pairs": built.pairs, **splits}.items():
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        texts[f"{name}.jsonl"] = "".join(lines)
    taken = [name for name in texts if (folder / name).exists()]
    if taken and not (folder / MARKER).exists():
        fail(f"{folder / taken[0]}: is there and not of this program. Choose another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).write_text("Written by `python -m world`, which may overwrite it.\n")
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{folder}: cannot be written: {error.strerror}. Choose another folder.")


def fail(message):
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def main(argv=None):
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m world", description=__doc__, formatter_class=raw)
    add = parser.add_argument
    add("folder", nargs="?", help="write the world's files there")
    add("--seed", type=int, default=0, help="another draw of what is held out")
    add("--hold-out", default=",".join(world.HELD_OUT), metavar="NAMES",
        help="tasks or families never tuned on, separated by commas")
    add("--sample", type=int, metavar="N", help="print N pages and N pairs")
    args = parser.parse_args(argv)
    try:
        built = world.build(args.seed, args.hold_out.split(","))
    except ValueError as error:
        fail(f"--hold-out {error}")

    # print or write
    if args.sample:
        print_sample(built, args.sample)
        return
    print_counts(built)
    if args.folder:
        write_files(built, Path(args.folder))
        print(f"\nWritten to {args.folder}: corpus.txt, pairs.jsonl and the held-out splits. "
              f"Use them with\n  python train_sft.py --corpus {args.folder}/corpus.txt "
              f"--data {args.folder} --out {args.folder}_out")


if __name__ == "__main__":
    main()
