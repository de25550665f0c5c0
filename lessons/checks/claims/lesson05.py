"""The claims of lesson 5, and how each can fail (tests/test_claims.py)."""

GAINS = {"first": 4.5, "name": 0.9, "is": 0.3, "value": -0.1, "eos": 7.5}


def curve(train_loss, held_out_loss, loss_on_pages):
    """The last epoch of one rate."""
    return [{
        "train loss": train_loss,
        "held-out loss": held_out_loss,
        "loss on new pages": loss_on_pages,
    }]


GOOD = {
    "RATES": (1e-4, 3e-3),
    "before": (0.0, 0.0, 0.02),
    "after": (0.8, 0.75, 0.85),
    "gains": GAINS,
    "epoch_curves": {1e-4: curve(0.6, 0.3, 1.0), 3e-3: curve(0.1, 0.5, 2.5)},
    "with_eos": [(0.99, 0.98, 1.0), (0.82, 0.76, 0.88)],
    "without_eos": [(0.25, 0.2, 0.3), (0.01, 0.0, 0.02)],
}
CLAIMS = [
    {
        "sentence": (
            "a few steps turn a base that answers nothing into one that answers many held-out"
            " questions"
        ),
        "condition": (
            "before: upper end of the interval below 0.1; after: lower end above 0.4"
        ),
        "refuted_by": "a base that answers already, or few right answers after the steps",
        "faults": [{"before": (0.2, 0.15, 0.25)}, {"after": (0.3, 0.25, 0.35)}],
    },
    {
        "sentence": (
            "tuning lifts the eos far more than any other token, and the value less than the name"
        ),
        "condition": (
            "mean gain in log p: of the eos 1 nat above all others; of the value below the name"
        ),
        "refuted_by": "values that gain: knowledge learned in tuning; or no change at the eos",
        "faults": [{"gains": GAINS | {"eos": 1.0}}, {"gains": GAINS | {"value": 1.5}}],
    },
    {
        "sentence": (
            "the highest rate forgets more than the lowest, and fits its pairs more closely than"
            " new answers"
        ),
        "condition": (
            "loss on new pages 0.2 nats higher; held-out loss 0.1 nats above train loss"
        ),
        "refuted_by": "a high rate that forgets no more, or that fits new answers as closely",
        "faults": [
            {"epoch_curves": {1e-4: curve(0.6, 0.3, 1.0), 3e-3: curve(0.1, 0.5, 1.1)}},
            {"epoch_curves": {1e-4: curve(0.6, 0.3, 1.0), 3e-3: curve(0.5, 0.5, 2.5)}},
        ],
    },
    {
        "sentence": "without the eos in the loss hardly any answer is exactly right",
        "condition": (
            "exactly right: upper end of the interval below half of the lower end with the eos"
        ),
        "refuted_by": "the model stops after its answers all the same",
        "faults": [{"without_eos": [(0.9, 0.85, 0.95), (0.4, 0.3, 0.5)]}],
    },
]
