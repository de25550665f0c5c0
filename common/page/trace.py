"""The token view: would the base have chosen the tokens of the tuned answer?

It asks both models for their next tokens after the same beginning, and compares. The words are
those of Lin et al. 2023: a token is *unshifted* if it is the base's first choice, *marginal* if it
is its second or third, and *shifted* otherwise."""

import torch


@torch.inference_mode()
def trace(base, tuned, prompt: list, ids: list) -> list:
    """Compare an answer of `tuned` with the choices of `base` (Assistants), token by token.

    Returns for every token its id, its rank among the base's next tokens, and the five most
    probable next tokens of both models, (id, probability)."""
    tokens = [{"id": token} for token in ids]
    for name, assistant in (("base", base), ("tuned", tuned)):
        logits = assistant.logits(prompt + ids[:-1])  # (T, V)
        probabilities = logits[len(prompt) - 1 :].float().softmax(1).cpu()  # (answer, V)
        for token, p in zip(tokens, probabilities):
            token[name] = [(i, p[i].item()) for i in p.topk(5).indices.tolist()]
            if name == "base":
                token["rank"] = 1 + (p > p[token["id"]]).sum().item()
    return tokens


def trace_answers(base, tuned, rows: list, sampling) -> list:
    """Trace the answers of `tuned` to these rows, with the eos where it stopped."""
    prompts = [tuned.prompt(row.turns, row.system) for row in rows]
    traces = []
    for prompt, (ids, stopped) in zip(prompts, tuned.complete(rows, prompts, sampling)):
        traces.append(trace(base, tuned, prompt, ids + [tuned.tokenizer.eos_id] * stopped))
    return traces


def describe_shift(base, tuned, rows: list, sampling) -> str:
    """Say how many tokens of the tuned answers would have been the base's first choice, too."""
    counts = {"first": [], "middle": [], "end": []}
    for tokens in trace_answers(base, tuned, rows, sampling):
        first_choices = [token["rank"] == 1 for token in tokens]
        if len(tokens) > 1 and tokens[-1]["id"] == tuned.tokenizer.eos_id:
            counts["first"].append(first_choices[0])
            counts["middle"] += first_choices[1:-1]
            counts["end"].append(first_choices[-1])
    shares = [f"{sum(hits)} of {len(hits)}" for hits in counts.values()]
    return (
        "Tokens of tuned answers that are the base's first choice, too: "
        "{} beginnings, {} in the middle, {} ends.".format(*shares)
    )


def trace_all(base, tuned, rows: list, sampling) -> dict:
    """Trace the answers to these rows. Returns what page.js needs: traces, and their tokens."""
    traces, tokens = trace_answers(base, tuned, rows, sampling), {}

    # The bytes of a token as letters, as in a checkpoint.
    for token in sum(traces, []):
        for i in [token["id"], *(i for i, _ in token["base"] + token["tuned"])]:
            tokens[i] = tuned.tokenizer.token_bytes(i).decode("latin-1")
    return {"models": {}, "tokens": tokens, "traces": traces}
