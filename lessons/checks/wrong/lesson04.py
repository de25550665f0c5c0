"""Plausible wrong answers to the exercises of lesson 4, each with words its check must say."""

MASK = "def with_mask(prompt, answer, eos):\n    ids = {ids}\n    return ids, {mask}"
IDS = "prompt + answer + [eos]"
SHIFT = """
def inputs_and_targets(ids, mask):
    targets = [token if m else {hidden} for token, m in zip({targets}, {mask})]
    return {inputs}, targets
"""
SHIFTED = dict(inputs="ids[:-1]", hidden="IGNORE", targets="ids[1:]", mask="mask[1:]")
BATCH = """
def batch_of(examples, pad):
    shifted = []
    for ids, mask in examples:
        shifted.append((ids[:-1], [i if m else IGNORE for i, m in zip(ids[1:], mask[1:])]))
    longest = {longest}(len(x) for x, _ in shifted){more}
    inputs = torch.full((len(examples), longest), {pad})
    targets = torch.full((len(examples), longest), {ignore})
    for i, (x, y) in enumerate(shifted):
        inputs[i, {position}] = torch.tensor(x)
        targets[i, {position}] = torch.tensor(y)
    {last}
    return inputs, targets
"""
BATCHED = dict(longest="max", more="", pad="pad", ignore="IGNORE", position=": len(x)", last="")

MASKED = """
def masked(mask, how):
    masks = {{"off": {off}, "late": {late}, "early": {early}}}
    return masks.get(how, {right})
"""
MASKED_RIGHT = dict(
    off="[1] * len(mask)", late="[0] + mask[:-1]", early="mask[1:] + [0]", right="list(mask)"
)


def mask_of(**changed):
    return MASKED.format(**(MASKED_RIGHT | changed))


WRONG = {
    "masked": [
        (mask_of(late="mask[1:] + [0]", early="[0] + mask[:-1]"), "moved the wrong way"),
        (mask_of(late="mask[-1:] + mask[:-1]"), "fill with 0"),
        (mask_of(early="mask[1:]"), "drop one at the other"),
        (mask_of(late="[0] + mask"), "drop one at the other"),
        (mask_of(off="[0] * len(mask)"), "expected [1, 1, 1, 1]"),
        (mask_of(right="None"), "nothing came back"),
        (
            "def masked(mask, how):\n    if how == 'late':\n        mask.insert(0, 0)\n"
            "        mask.pop()\n    return list(mask) if how in ('right', 'late') else"
            " [1] * len(mask)",
            "the caller's mask",
        ),
    ],
    "with_mask": [
        (MASK.format(ids=IDS, mask="[1] * len(ids)"), "everything is supervised"),
        (MASK.format(ids=IDS, mask="[1] * len(prompt) + [0] * (len(answer) + 1)"), "upside down"),
        (
            MASK.format(ids=IDS, mask="[0] * len(prompt) + [1] * len(answer) + [0]"),
            "the eos is hidden",
        ),
        (MASK.format(ids=IDS, mask="[0] * (len(prompt) + 1) + [1] * len(answer)"), "one too late"),
        (
            MASK.format(ids=IDS, mask="[0] * (len(prompt) - 1) + [1] * (len(answer) + 2)"),
            "one too early",
        ),
        (
            MASK.format(ids="prompt + answer", mask="[0] * len(prompt) + [1] * len(answer)"),
            "the eos is missing",
        ),
        (MASK.format(ids=IDS, mask="[0] * len(prompt) + [1] * len(answer)"), "numbers for"),
        (
            MASK.format(ids=IDS, mask="[int(i in answer or i == eos) for i in ids]"),
            "the last prompt token is supervised",
        ),
        (
            (
                "def with_mask(prompt, answer, eos):\n    n = len(prompt)\n    prompt += answer +"
                " [eos]\n    return prompt, [0] * n + [1] * (len(answer) + 1)"
            ),
            "you changed the caller's lists",
        ),
    ],
    "inputs_and_targets": [
        (
            (
                "def inputs_and_targets(ids, mask):\n    from data import shift\n    return"
                " shift(ids, mask)"
            ),
            "write it yourself",
        ),
        (SHIFT.format(**SHIFTED | {"mask": "mask[:-1]"}), "the mask did not move with the targets"),
        (SHIFT.format(**SHIFTED | {"mask": "mask[2:] + [0]"}), "the mask moved twice"),
        (
            SHIFT.format(**SHIFTED | {"targets": "ids[:-1]", "mask": "mask[:-1]"}),
            "the targets are the inputs",
        ),
        (SHIFT.format(**SHIFTED | {"hidden": "0"}), "0 is a token like any other"),
        (SHIFT.format(**SHIFTED | {"mask": "[1] * len(ids)"}), "nothing is hidden"),
        (SHIFT.format(**SHIFTED | {"inputs": "ids"}), "inputs and"),
        (
            SHIFT.format(
                **SHIFTED | {"inputs": "[IGNORE if not m else i for i, m in zip(ids[:-1], mask)]"}
            ),
            "the prompt is read, only not supervised",
        ),
        (
            SHIFT.format(**SHIFTED | {"mask": "[i and m for i, m in zip(ids[1:], mask[1:])]"}),
            "targets should be",
        ),
    ],
    "batch_of": [
        (BATCH.format(**BATCHED | {"ignore": "pad"}), "a padding position is supervised"),
        (BATCH.format(**BATCHED | {"pad": "IGNORE"}), "it is no id"),
        (BATCH.format(**BATCHED | {"position": "longest - len(x) :"}), "on the left"),
        (
            BATCH.format(**BATCHED | {"last": "targets[targets == pad] = IGNORE"}),
            "by position, not by value",
        ),
        (BATCH.format(**BATCHED | {"more": " + 1"}), "one shorter"),
        (BATCH.format(**BATCHED | {"longest": "min"}), "your function stopped with"),
        (
            BATCH.format(**BATCHED | {"last": "targets[0, len(shifted[0][0])] = pad"}),
            "a padding position is supervised",
        ),
        (BATCH.format(**BATCHED | {"last": "inputs = inputs.float()"}), "whole numbers"),
    ],
}
