"""Wrong answers to the exercises of lesson 33 that its checks must catch: {function: [(source, part of the message)]}."""

COUNT = "def count_parameters(V, block, L, C):\n    return %s"
FLOPS = "def training_flops(s, tokens, learned, T):\n    V, L, C = s.V, s.L, s.C\n    return %s"
BYTES = "def training_bytes(n, trained, s, tokens, learned):\n    return %s"
COST = "def hours_and_money(flops, rate, utilisation, price):\n    h = %s\n    return %s"

WRONG = {
    "count_parameters": [
        (COUNT % "2 * V * C + block * C + L * (12 * C * C + 13 * C) + 2 * C", "counted it twice"),
        (COUNT % "V * C + L * (12 * C * C + 13 * C) + 2 * C", "position embedding is missing"),
        (COUNT % "V * C + block * C + L * (12 * C * C + 4 * C) + 2 * C", "biases"),
        (COUNT % "V * C + block * C + L * (12 * C * C + 13 * C)", "the last LayerNorm"),
        (COUNT % "V * C + block * C + L * (12 * C * C + 9 * C)", "LayerNorms are missing"),
        (COUNT % "V * C + block * C + L * (10 * C * C + 13 * C) + 2 * C", "12 C * C"),
    ],
    "training_flops": [
        (FLOPS % "6 * 12 * L * C * C * tokens + 6 * V * C * learned", "attention term is missing"),
        (FLOPS % "6 * 12 * L * C * C * tokens + 6 * V * C * tokens + 12 * L * C * T * tokens", "learned tokens only"),
        (FLOPS % "2 * 12 * L * C * C * tokens + 2 * V * C * learned + 4 * L * C * T * tokens", "way forth only"),
        (FLOPS % "6 * 12 * L * C * C * tokens + 12 * L * C * T * tokens", "head's work"),
        (FLOPS % "6 * 12 * L * C * C * tokens + 6 * V * C * learned + 12 * C * T * tokens", "every block has attention"),
    ],
    "training_bytes": [
        (BYTES % "16 * n + 4 * (17 * s.L * s.C * tokens + 2 * s.V * learned)", "a frozen weight has no gradient"),
        (BYTES % "16 * trained + 4 * (17 * s.L * s.C * tokens + 2 * s.V * learned)", "the frozen weights"),
        (BYTES % "4 * n + 8 * trained + 4 * (17 * s.L * s.C * tokens + 2 * s.V * learned)", "two averages"),
        (BYTES % "4 * n + 12 * trained + 17 * s.L * s.C * tokens + 2 * s.V * learned", "4 bytes"),
        (BYTES % "4 * n + 12 * trained + 4 * (17 * s.L * s.C * tokens + 2 * s.V * tokens)", "learned tokens only"),
        (BYTES % "4 * n + 16 * trained + 4 * (17 * s.L * s.C * tokens + 2 * s.V * learned)", "counted twice"),
    ],
    "hours_and_money": [
        (COST % ("flops / (rate * utilisation)", "h, h * price"), "those are seconds"),
        (COST % ("flops / rate / 3600", "h, h * price"), "utilisation is missing"),
        (COST % ("flops * utilisation / rate / 3600", "h, h * price"), "takes longer"),
        (COST % ("flops / (rate * utilisation) / 60", "h, h * price"), "those are minutes"),
        (COST % ("flops / (rate * utilisation) / 3600", "h, price"), "cost 3.0 instead of 12"),
        (COST % ("flops / (rate * utilisation) / 3600", "h"), "two numbers"),
    ],
}
