"""log.jsonl, the record of a run: one line per logged step, or per answer that was shown."""

import json
from pathlib import Path

STAGES = ("pretrain", "tune", "lora")


def read_log(path) -> list[dict]:
    """Read log.jsonl. Lines that are no records, as after a power cut, are skipped."""
    path = Path(path)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    records = []
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and record.get("stage") in STAGES:
            if type(record.get("step")) is int:
                records.append(record)
    return records


def last_records(records: list[dict]) -> list[dict]:
    """Keep the last record of each step, since a step may be repeated after a stop."""
    last = {(r["stage"], r["step"], "loss" in r): r for r in records}
    return list(last.values())
