"""Plausible wrong answers to the exercises of lesson 14, each with words its check must say."""

PREFER = """def prefer(row, a, b):
    import world
    good = lambda text: world.check(row.task, row.turns[0].output, text)
    words = lambda text: len(text.split())
    %s
"""
LOGPS = """def answer_logps(logits, targets):
    log_p = %s.gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0]
    supervised = (targets != IGNORE)
    return %s
"""
DPO = "def dpo_loss(c, r, rc, rr, beta):\n    return %s"
ZERO = "optimizer.zero_grad()"
CLIP = "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)"
CHANGE = "(now - before).detach().view(2, 2).mean(1).tolist()"
STEP = """def dpo_step(model, optimizer, logps_of, before, loss_of):
    now = logps_of(model)
    %s
    x, y = %s
    loss = loss_of(*x.chunk(2), *y.chunk(2))
    (%sloss).backward()
    %s
    optimizer.step()
    return %s
"""

WRONG = {
    "prefer": [
        (
            PREFER
            % "return (a, b) if words(a) < words(b) else (b, a) if words(b) < words(a) else None",
            "however short it is",
        ),
        (
            PREFER % "return (a, b) if (good(a), -words(a)) > (good(b), -words(b)) else (b, a)",
            "neither is right",
        ),
        (
            PREFER
            % "return None if not good(a) and not good(b) else (a, b) if (good(a), -words(a)) >"
            " (good(b), -words(b)) else (b, a)",
            "no preference",
        ),
        (
            PREFER
            % "if good(a) != good(b): return (a, b) if good(a) else (b, a)\n    return None if not"
            " good(a) or words(a) == words(b) else (a, b) if words(a) > words(b) else (b, a)",
            "exchanged",
        ),
        (
            PREFER
            % "return None if not (good(a) and good(b)) or words(a) == words(b) else (a, b) if"
            " words(a) < words(b) else (b, a)",
            "however short it is",
        ),
    ],
    "answer_logps": [
        (LOGPS % ("logits.log_softmax(-1)", "log_p.sum(1)"), "as if their target were token 0"),
        (
            LOGPS % ("logits.log_softmax(-1)", "(log_p * supervised).sum(1) / supervised.sum(1)"),
            "DPO needs the sum",
        ),
        (LOGPS % ("logits", "(log_p * supervised).sum(1)"), "log_softmax is missing"),
        (LOGPS % ("logits.log_softmax(-1)", "-(log_p * supervised).sum(1)"), "that is the loss"),
        (LOGPS % ("logits.log_softmax(-1)", "(log_p * supervised).sum()"), "one number a row"),
        (LOGPS % ("logits.log_softmax(1)", "(log_p * supervised).sum(1)"), "over the last axis"),
    ],
    "dpo_loss": [
        (DPO % "-(beta * ((c - rc) - (r - rr)).abs()).mean()", "never below 0"),
        (DPO % "-F.logsigmoid(beta * ((r - rr) - (c - rc))).mean()", "exchanged"),
        (DPO % "-F.logsigmoid(beta * (c - r)).mean()", "the reference is missing"),
        (DPO % "-F.logsigmoid((c - rc) - (r - rr)).mean()", "beta is missing"),
        (DPO % "F.logsigmoid(beta * ((c - rc) - (r - rr))).mean()", "the minus sign"),
        (DPO % "-F.logsigmoid(beta * ((c - rc) - (r - rr))).sum()", "take the mean"),
        (DPO % "-torch.log(torch.sigmoid(beta * ((c - rc) - (r - rr)))).mean()", "F.logsigmoid"),
        (DPO % "-F.logsigmoid(beta * ((c - rc) - (r - rr)))", "one number"),
    ],
    "dpo_step": [
        (STEP % ("", "now, before", "", CLIP, CHANGE), "zero_grad() is missing"),
        (STEP % (ZERO, "now, before", "", "", CHANGE), "not clipped"),
        (STEP % (ZERO, "now, 0 * before", "", CLIP, CHANGE), "the reference is missing"),
        (STEP % (ZERO, "now, before", "-", CLIP, CHANGE), "the loss rose"),
        (STEP % (ZERO, "now.roll(2), before.roll(2)", "", CLIP, CHANGE), "come first in the batch"),
        (STEP % (ZERO, "now, before", "", CLIP, "now.detach().view(2, 2).mean(1).tolist()"),
         "minus the reference's"),
        (STEP % (ZERO, "now, before", "", CLIP, "loss.item()"), "return two numbers"),
        (STEP.replace("    optimizer.step()\n", "") % (ZERO, "now, before", "", CLIP, CHANGE),
         "did not change"),
    ],
}
