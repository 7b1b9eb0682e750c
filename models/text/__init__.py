"""Networks that read and write: word vectors, language models, from one sequence to another."""
from .language_model import LanguageModel
from .ngram import KneserNey, NGram
from .seq2seq import AttentionSeq2Seq, Seq2Seq
from .transformer import TransformerLM
from .word_vectors import CBOW, NegativeSampler, SkipGram, context_windows, nearest

__all__ = ["CBOW", "SkipGram", "NegativeSampler", "context_windows", "nearest", "LanguageModel", "Seq2Seq",
           "AttentionSeq2Seq", "TransformerLM", "NGram", "KneserNey"]
