"""Plausible wrong answers to the exercises of lesson 11, each with words its check must say."""

ZERO = "    if temperature == 0:\n        return {zero}\n"
HOT = "F.one_hot(logits.argmax(-1), logits.shape[-1]).float()"
HEAT = "def with_temperature(logits, temperature):\n" + ZERO + "    return {result}\n"
HEATED = dict(zero=HOT, result="(logits / temperature).softmax(-1)")

NUCLEUS = """
def top_p(probabilities, p):
    ordered, positions = probabilities.sort(-1, descending={down})
    {first}
    before = ordered.cumsum({axis}){minus}
    ordered[{cut}] = 0
    {then}
    return {result}
"""
BACK = "torch.zeros_like(ordered).scatter(-1, positions, ordered)"
NUCLEAR = dict(
    down=True, first="", axis=-1, minus=" - ordered", cut="before > p", then="", result=BACK
)

DECODE = """
from model import KVCache
def decode(model, ids, n):
    {begin}
    cache = KVCache(model, len(ids), ids.shape[1] + n + 40)
    chosen, scores = [], []
    while len(chosen) < n:
        {at_start}
        positions = {positions}
        scores.append(model(ids, positions=positions, cache={cache}, last_only=True))
        chosen.append(scores[-1].argmax({axis}))
        ids = {ids}
    return {tokens}, torch.stack(scores, 1)
"""
DECODED = dict(
    begin="", at_start="", cache="cache",
    positions="torch.arange(cache.length, cache.length + ids.shape[1])[None]",
    axis="-1", ids="chosen[-1][:, None]", tokens="torch.stack(chosen, 1)",
)

BEST = """
def best_of(questions, candidates, reward, above):
    out = []
    for q, answers in zip(questions, candidates):
        best = {best}
        if {keep}:
            out.append(best)
        {other}
    return out
"""
CHOSEN = dict(
    best="max(answers, key=lambda a: reward(q, a))", keep="reward(q, best) > above",
    other="else: out.append(None)",
)

BATCH = """
from model import KVCache


def generate_all(model, prompts, eos, max_new):
    B, longest = len(prompts), max(map(len, prompts))
    padding = torch.tensor([[longest - len(prompt)] for prompt in prompts])
    ids = torch.tensor([{row} for prompt in prompts])
    cache = KVCache(model, B, longest + max_new)
    answers, stopped = [[] for _ in prompts], [False] * B
    for _ in range(max_new):
        now = torch.arange(cache.length, cache.length + ids.shape[1])
        so_far = torch.arange(now[-1] + 1)
        mask = {mask} & (so_far <= now[:, None])
        mask = (mask | (so_far == now[:, None])).expand(B, -1, -1)
        positions = {positions}
        logits = model(ids, None, positions, mask[:, None], cache, last_only=True)
        chosen = logits.argmax(-1)
        for row, token in enumerate(chosen.tolist()):
            {mark}
            {add}
        if {done}:
            break
        ids = chosen[:, None]
    return list(zip(answers, {stops}))
"""
BATCHED = dict(
    row="[eos] * (longest - len(prompt)) + prompt", mask="(so_far >= padding)[:, None]",
    positions="(now - padding).clamp(min=0)", mark="stopped[row] |= token == eos",
    add="if not stopped[row]: answers[row].append(token)", done="all(stopped)", stops="stopped",
)
ONE_BY_ONE = """
def generate_all(model, prompts, eos, max_new):
    out = []
    for prompt in prompts:
        ids = list(prompt)
        while len(ids) < len(prompt) + max_new and eos not in ids[len(prompt):]:
            ids.append(int(model(torch.tensor([ids]), last_only=True).argmax()))
        new = ids[len(prompt):]
        out.append((new[:-1], True) if new[-1] == eos else (new, False))
    return out
"""

FOUND = "def n_found(texts, right):\n    return %s"

WRONG = {
    "with_temperature": [
        (HEAT.format(**HEATED | {"result": "(logits * temperature).softmax(-1)"}), "multiplied"),
        (
            HEAT.format(**HEATED | {"result": "logits.softmax(-1) / temperature"}),
            "the probabilities were divided",
        ),
        (
            HEAT.format(**HEATED | {"result": "(logits / temperature).softmax(0)"}),
            "over the rows of the batch",
        ),
        (
            (
                "def with_temperature(logits, temperature):\n    return (logits /"
                " temperature).softmax(-1)"
            ),
            "NaN",
        ),
        (
            (
                "def with_temperature(logits, temperature):\n    return (logits / (temperature +"
                " 1e-8)).softmax(-1)"
            ),
            "two equal logits",
        ),
        (
            HEAT.format(
                **HEATED | {"zero": "(logits == logits.max(-1, keepdim=True).values).float()"}
            ),
            "two equal logits",
        ),
        (HEAT.format(**HEATED | {"zero": "logits.argmax(-1)"}), "expected a tensor of shape"),
        (HEAT.format(**HEATED | {"zero": "logits.softmax(-1)"}), "all of it to argmax"),
        (
            HEAT.format(**HEATED | {"zero": "torch.full_like(logits, 1 / logits.shape[-1])"}),
            "limit of a high temperature",
        ),
        (
            HEAT.format(
                **HEATED | {
                    "result": (
                        "(logits / temperature).exp() / (logits / temperature).exp().sum(-1, True)"
                    )
                }
            ),
            "NaN",
        ),
        (
            HEAT.format(**HEATED | {"result": "logits.div_(temperature).softmax(-1)"}),
            "the caller's tensor",
        ),
        (
            "def with_temperature(logits, temperature):\n    (logits / temperature).softmax(-1)",
            "nothing came back",
        ),
    ],
    "top_k": [
        (
            (
                "def top_k(probabilities, k):\n    kept, which = probabilities.topk(k)\n"
                "    return torch.zeros_like(probabilities).scatter(-1, which, kept)"
            ),
            "k is larger than V",
        ),
        (
            (
                "def top_k(probabilities, k):\n    kept = probabilities.topk(min(k,"
                " probabilities.shape[-1])).values\n    return torch.where(probabilities < kept[:,"
                " -1:], 0, probabilities)"
            ),
            "ties",
        ),
        (
            (
                "def top_k(probabilities, k):\n    kept, which = probabilities.topk(min(k,"
                " probabilities.shape[-1]))\n    out = torch.zeros_like(probabilities).scatter(-1,"
                " which, kept)\n    return out / out.sum(-1, keepdim=True)"
            ),
            "divided by the sum",
        ),
        (
            (
                "def top_k(probabilities, k):\n    ordered = probabilities.sort(-1,"
                " descending=True).values\n    ordered[:, k:] = 0\n    return ordered"
            ),
            "not the most probable ones",
        ),
        (
            (
                "def top_k(probabilities, k):\n    kept, which = probabilities.topk(min(k,"
                " probabilities.shape[-1]), largest=False)\n    return"
                " torch.zeros_like(probabilities).scatter(-1, which, kept)"
            ),
            "the least probable",
        ),
        (
            (
                "def top_k(probabilities, k):\n    which = probabilities.argsort(-1,"
                " descending=True)[:, k:]\n    return probabilities.scatter_(-1, which, 0)"
            ),
            "the caller's tensor",
        ),
        (
            (
                "def top_k(probabilities, k):\n    which = probabilities.argsort(-1,"
                " descending=True)[:, k:]\n    return probabilities.scatter(-1, which,"
                " -float('inf'))"
            ),
            "-inf",
        ),
        (
            (
                "def top_k(probabilities, k):\n    which = probabilities.argsort(-1,"
                " descending=True)[:, k + 1:]\n    return probabilities.scatter(-1, which, 0)"
            ),
            "tokens a row are kept",
        ),
        (
            (
                "def top_k(probabilities, k):\n    return probabilities.topk(min(k,"
                " probabilities.shape[-1])).values"
            ),
            "expected a tensor of shape",
        ),
    ],
    "top_p": [
        (NUCLEUS.format(**NUCLEAR | {"minus": ""}), "the token that crosses p"),
        (
            NUCLEUS.format(**NUCLEAR | {"cut": "before >= p"}),
            "the most probable token always stays",
        ),
        (NUCLEUS.format(**NUCLEAR | {"down": False}), "not up"),
        (NUCLEUS.format(**NUCLEAR | {"result": "ordered"}), "its own position"),
        (
            NUCLEUS.format(**NUCLEAR | {"then": "ordered /= ordered.sum(-1, keepdim=True)"}),
            "divided by the sum; what is kept",
        ),
        (
            NUCLEUS.format(
                **NUCLEAR | {"first": "ordered = ordered / ordered.sum(-1, keepdim=True)"}
            ),
            "p counts in the probabilities as they were given",
        ),
        (NUCLEUS.format(**NUCLEAR | {"axis": 0}), "expected [{"),
        (
            (
                "def top_p(probabilities, p):\n    best = probabilities == probabilities.max(-1,"
                " keepdim=True).values\n    return torch.where((probabilities >= p) | best,"
                " probabilities, 0)"
            ),
            "the sum of those kept",
        ),
        (
            (
                "def top_p(probabilities, p):\n    ordered = probabilities.sort(-1,"
                " descending=True).values\n    before = ordered.cumsum(-1) - ordered\n    least ="
                " torch.where(before > p, 2.0, ordered).min(-1, keepdim=True).values\n    return"
                " torch.where(probabilities < least, 0, probabilities)"
            ),
            "whichever of the equal",
        ),
        (
            (
                "def top_p(probabilities, p):\n    ordered, positions = probabilities.sort(-1,"
                " descending=True)\n    out = ordered.cumsum(-1) - ordered > p\n    return"
                " probabilities.masked_fill_(torch.zeros_like(out).scatter(-1, positions, out), 0)"
            ),
            "the caller's tensor",
        ),
    ],
    "decode": [
        (DECODE.format(**DECODED | {"cache": "None"}), "the cache was not given"),
        (DECODE.format(**DECODED | {"positions": "None"}), "position 0"),
        (
            DECODE.format(**DECODED | {"positions": "torch.arange(ids.shape[1])[None]"}),
            "position 0",
        ),
        (
            DECODE.format(
                **DECODED | {
                    "positions": (
                        "torch.arange(cache.length, cache.length + ids.shape[1])[None] +"
                        " (cache.length > 0)"
                    )
                }
            ),
            "the first new token is at position",
        ),
        (
            DECODE.format(**DECODED | {"ids": "torch.cat((ids, chosen[-1][:, None]), 1)"}),
            "read the newest one only",
        ),
        (
            (
                "def decode(model, ids, n):\n    P, scores = ids.shape[1], []\n    for _ in"
                " range(n):\n        scores.append(model(ids, last_only=True))\n        ids ="
                " torch.cat((ids, scores[-1].argmax(-1)[:, None]), 1)\n    return ids[:, P:],"
                " torch.stack(scores, 1)"
            ),
            "no cache was used",
        ),
        (
            DECODE.format(
                **DECODED | {
                    "at_start": "at = cache.length; cache = KVCache(model, len(ids), 60)",
                    "positions": (
                        "torch.arange(at + len(chosen), at + len(chosen) + ids.shape[1])[None]"
                    ),
                }
            ),
            "is at position",
        ),
        (
            DECODE.format(
                **DECODED | {
                    "begin": "prompt = ids",
                    "tokens": "torch.cat((prompt, torch.stack(chosen, 1)), 1)",
                }
            ),
            "return only the new ones",
        ),
        (DECODE.format(**DECODED | {"tokens": "torch.stack(chosen)"}), "tokens should be"),
        (DECODE.format(**DECODED | {"ids": "ids[:, -1:]"}), "read the token just chosen"),
        (
            DECODE.format(
                **DECODED | {
                    "begin": "at = 0",
                    "at_start": "old = KVCache(model, len(ids), 60)",
                    "cache": "old",
                    "positions": "torch.arange(at, at + ids.shape[1])[None]; at += ids.shape[1]",
                }
            ),
            "one cache for all steps",
        ),
    ],
    "n_found": [
        (FOUND % "sum(text in right for text in texts)", "was found once"),
        (FOUND % "len(set(texts))", "count only right stories"),
        (FOUND % "len(set(right) - set(texts))", "not found"),
        (FOUND % "len(set(texts) & set(right)) / len(right)", "return a count"),
        (FOUND % "sum(r in ' '.join(texts) for r in right)", "expected 1, you have"),
    ],
    "best_of": [
        (BEST.format(**CHOSEN | {"keep": "reward(q, best)"}), "A negative number counts as true"),
        (BEST.format(**CHOSEN | {"keep": "reward(q, best) > 0"}), "compare with `above`"),
        (BEST.format(**CHOSEN | {"keep": "reward(q, best) >= above"}), "is not above 0"),
        (BEST.format(**CHOSEN | {"other": ""}), "do not leave it out"),
        (
            BEST.format(**CHOSEN | {"best": "max(reversed(answers), key=lambda a: reward(q, a))"}),
            "take the first",
        ),
        (
            BEST.format(
                **CHOSEN | {
                    "best": "next((a for a in answers if reward(q, a) > above), answers[0])"
                }
            ),
            "'best' has the highest",
        ),
        (
            BEST.format(**CHOSEN | {"best": "min(answers, key=lambda a: reward(q, a))"}),
            "has the highest reward",
        ),
        (
            BEST.format(**CHOSEN | {"best": "max(answers, key=lambda a: reward(questions[0], a))"}),
            "another question",
        ),
        (
            BEST.format(**CHOSEN | {"best": "max(answers, key=lambda a: abs(reward(q, a)))"}),
            "above = -inf",
        ),
        (BEST.format(**CHOSEN | {"keep": "True"}), "none is above 0"),
    ],
    "generate_all": [
        (
            BATCH.format(**BATCHED | {"row": "prompt + [eos] * (longest - len(prompt))"}),
            "look at the padding",
        ),
        (
            BATCH.format(**BATCHED | {"mask": "torch.ones(B, 1, len(so_far), dtype=torch.bool)"}),
            "look at the padding",
        ),
        (BATCH.format(**BATCHED | {"positions": "now[None]"}), "look at the padding"),
        (BATCH.format(**BATCHED | {"done": "any(stopped)"}), "when another row stopped"),
        (BATCH.format(**BATCHED | {"add": "answers[row].append(token)"}), "behind its eos"),
        (
            BATCH.format(**BATCHED | {"add": "if token != eos: answers[row].append(token)"}),
            "behind its eos",
        ),
        (BATCH.format(**BATCHED | {"stops": "[False] * B"}), "stopped should be True"),
        (BATCH.format(**BATCHED | {"done": "False"}), "are enough"),
        (ONE_BY_ONE, "prompts go together"),
    ],
}
