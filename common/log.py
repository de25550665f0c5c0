"""log.jsonl, the record of a run: one line per logged step, or per answer that was shown."""

import contextlib
import json
from pathlib import Path

STAGES = ("pretrain", "tune", "lora")


def read_log(path) -> list[dict]:
    """Read log.jsonl. A line that a power cut broke off is skipped."""
    path = Path(path)
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    records = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            records.append(json.loads(line))
    return records
