"""Where the pairs, the text and the base of a run come from.

By default that is the built-in world. Everything else is opened only if a flag names it."""

from common.checkpoint import load_model
from common.pairs import VAL_TOKENS, Corpus, Pairs, own_pairs
from common.table import build_world, world_rows
from data import Row, encode_corpus

WORLD_TOKENS = 2_068_000  # tokens of the built-in world's corpus at size 1


def usual_pairs(config) -> Pairs:
    """Load the pairs that the base is tuned on by default."""
    if config.adapter_only:
        from gemma import pairs as gemma_pairs

        return gemma_pairs.load_pairs()
    built = build_world(config.seed, config.hold_out, config.quick)
    return Pairs([Row.from_dict(pair) for pair in built.pairs], world_rows(built))


def load_pairs(config) -> Pairs:
    """Load the pairs of --data, or the usual ones."""
    if not config.data:
        return usual_pairs(config)
    from extras.datasets import load_mixture

    rows, dropped, splits = load_mixture(config.data, config.seed)
    own = Pairs(rows, splits, dropped)
    return own if config.corpus else own_pairs(own, usual_pairs(config))


def load_corpus(config) -> Corpus:
    """Load the documents that the base was, or will be, pretrained on."""
    if config.adapter_only:
        from gemma import pairs as gemma_pairs

        return gemma_pairs.load_corpus()
    if config.corpus:
        from extras.corpus import open_corpus

        return Corpus(config.corpus, *open_corpus(config.corpus, config.out))

    # the built-in world, as many documents as will be read
    n_tokens = config.pretrain_steps * config.pretrain_batch * config.seq_len + VAL_TOKENS
    size = n_tokens / WORLD_TOKENS
    documents = build_world(config.seed, config.hold_out, config.quick, size).corpus
    return Corpus("the built-in world", documents, lambda t: encode_corpus(t, documents))


def load_base(config):
    """Load a base that exists already. Returns (model, tokenizer)."""
    if config.adapter_only:
        from gemma.load import load_gemma

        model, tokenizer = load_gemma(config.base, config.device)
    elif config.reuse_base:
        model, tokenizer, _ = load_model(config.base_file)
    else:
        from extras import gpt2

        model, tokenizer = gpt2.load_base(config.base)
    return model.to(config.device), tokenizer
