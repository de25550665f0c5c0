"""Plausible wrong answers to the exercises of lesson 8, and what the check must say to each."""

WRONG = {
    "lora_forward": [
        (
            """
def lora_forward(x, W, bias, A, B, alpha):
    return x @ W.T + bias + (x @ A.T) @ B.T
""",
            "not scaled",
        ),
        (
            """
def lora_forward(x, W, bias, A, B, alpha):
    return x @ W.T + bias + (x @ A.T) @ B.T * alpha
""",
            "scaled by alpha alone",
        ),
        (
            """
def lora_forward(x, W, bias, A, B, alpha):
    return x @ W.T + bias + (x @ A.T) @ B.T * len(A) / alpha
""",
            "scaled by rank / alpha",
        ),
        (
            """
def lora_forward(x, W, bias, A, B, alpha):
    return x @ W.T + (x @ A.T) @ B.T * alpha / len(A)
""",
            "bias is missing",
        ),
        (
            """
def lora_forward(x, W, bias, A, B, alpha):
    return (x @ A.T) @ B.T * alpha / len(A)
""",
            "old layer is missing",
        ),
        (
            """
def lora_forward(x, W, bias, A, B, alpha):
    return x @ W.T + bias + F.linear(x @ A.T, B, bias) * alpha / len(A)
""",
            "the bias is in the correction too",
        ),
        (
            """
def lora_forward(x, W, bias, A, B, alpha):
    return x @ W.T + bias
""",
            "correction is missing",
        ),
        (
            """
def lora_forward(x, W, bias, A, B, alpha):
    return x @ W.T + bias + bias + (x @ A.T) @ B.T * alpha / len(A)
""",
            "bias is there twice",
        ),
    ],
    "merged": [
        (
            """
def merged(W, A, B, alpha):
    W += alpha / len(A) * (B @ A)
    return W
""",
            "changed in place",
        ),
        (
            """
def merged(W, A, B, alpha):
    return W + B @ A
""",
            "not scaled",
        ),
        (
            """
def merged(W, A, B, alpha):
    return W + alpha * (B @ A)
""",
            "scaled by alpha alone",
        ),
        (
            """
def merged(W, A, B, alpha):
    return W - alpha / len(A) * (B @ A)
""",
            "added, not taken away",
        ),
        (
            """
def merged(W, A, B, alpha):
    return alpha / len(A) * (B @ A)
""",
            "W itself is missing",
        ),
        (
            """
def merged(W, A, B, alpha):
    return A @ W.T @ B
""",
            "not A B",
        ),
    ],
    "training_bytes": [
        (
            """
def training_bytes(model):
    n = sum(p.numel() for p in model.parameters())
    return n, n, 2 * n
""",
            "4 bytes",
        ),
        (
            """
def training_bytes(model):
    n = 4 * sum(p.numel() for p in model.parameters())
    return n, n, 2 * n
""",
            "no gradient",
        ),
        (
            """
def training_bytes(model):
    n = 4 * sum(p.numel() for p in model.parameters())
    t = 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    return n, t, 2 * n
""",
            "optimizer keeps nothing",
        ),
        (
            """
def training_bytes(model):
    n = 4 * sum(p.numel() for p in model.parameters())
    t = 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    return n, t, t
""",
            "two averages",
        ),
        (
            """
def training_bytes(model):
    t = 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    return t, t, 2 * t
""",
            "forward pass needs them",
        ),
        (
            """
def training_bytes(model):
    n = 4 * sum(w.numel() for w in model.state_dict().values())
    t = 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    return n, t, 2 * t
""",
            "buffers are not",
        ),
        (
            """
def training_bytes(model):
    n = 4 * sum(p.numel() for p in model.parameters())
    t = 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    return n, t, 2 * t
""",
            "element_size",
        ),
    ],
}
