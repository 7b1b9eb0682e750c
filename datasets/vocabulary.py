"""A vocabulary: words or characters, numbered, so that a network can look them up."""
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Self

import numpy as np

from ..common import checks
from ..common.files import naming, path_of, write_whole
from ..common.types import Array, ArrayLike, PathLike

Level = Literal["word", "char"]
LEVELS = {"word": "words", "char": "characters"}


class Vocabulary:
    """Tokens and their ids: ``vocabulary["the"]`` is a token's id, ``vocabulary.tokens[7]`` an
    id's token.

    - tokens: V different strings in the order of their ids, 0 to V-1; ``from_text`` collects those
      of a text;
    - counts: how often each occurred, V whole numbers (None: all 0);
    - level: how ``encode`` splits a str: "word" at white space, "char" into single characters;
    - unknown: the token that stands for every token not in the vocabulary (None: such a token is an
      error);
    - padding: the token that fills up short sequences (None: there is none).

    ``Vocabulary.from_text(text)`` does what ``adapt`` does in Keras's ``TextVectorization``,
    ``encode`` what that layer does; here punctuation and capitals stay as they are.

    All five are attributes: ``tokens`` a tuple, ``counts`` an int64 array (V,), from which negative
    sampling takes its probabilities. ``len(vocabulary)`` is V; ``"the" in vocabulary`` asks whether
    a token is in it.

    Raises ValueError for no tokens or a repeated one, for counts that do not fit, for unknown or
    padding that is not one of the tokens, and for one token as both.

    >>> vocabulary = Vocabulary.from_text("you say goodbye and i say hello .", unknown="<unk>")
    >>> vocabulary.tokens
    ('<unk>', 'say', '.', 'and', 'goodbye', 'hello', 'i', 'you')
    >>> vocabulary.encode("i say goodnight .")
    array([6, 1, 0, 2])
    >>> vocabulary.decode([6, 1, 5])
    'i say hello'
    """

    def __init__(
        self, tokens: Iterable[str], counts: ArrayLike | None = None, level: Level = "word",
        unknown: str | None = None, padding: str | None = None,
    ) -> None:
        self.tokens = tuple(tokenize(tokens, "char"))
        self.level, self.unknown, self.padding = level, unknown, padding
        V, self.ids = len(self.tokens), {token: i for i, token in enumerate(self.tokens)}
        counts = checks.as_array([0] * V if counts is None else counts)
        checks.one_of("Vocabulary", "level", level, LEVELS)
        if not V:
            raise ValueError(checks.wrong("Vocabulary", "tokens", "hold at least one", "none"))
        if len(self.ids) < V:
            twice = Counter(self.tokens).most_common(1)[0][0]
            raise ValueError(checks.wrong("Vocabulary", "tokens", "differ from each other",
                                          f"{twice!r} twice"))
        if counts.shape != (V,) or counts.dtype.kind not in "iu" or counts.min() < 0:
            raise ValueError(checks.wrong("Vocabulary", "counts",
                                          f"be {V} whole numbers of at least 0", counts))
        self.counts = counts.astype(np.int64)
        for name, token in (("unknown", unknown), ("padding", padding)):
            if token is not None and token not in self:
                raise ValueError(checks.wrong("Vocabulary", name, "be None or one of the tokens",
                                              repr(token)))
        if unknown is not None and unknown == padding:
            raise ValueError(checks.wrong("Vocabulary", "unknown and padding", "be two tokens",
                                          f"{unknown!r} for both"))

    @classmethod
    def from_text(
        cls, text: Iterable[str], level: Level = "word", size: int | None = None,
        min_count: int = 1, unknown: str | None = None, padding: str | None = None,
    ) -> Self:
        """The vocabulary of a text: a str, split as ``level`` says, or a sequence of tokens.

        The first ids are those of padding and unknown, where given. Then come the tokens, the most
        frequent first, equally frequent ones by their code points.

        - size: keep only the most frequent, so that there are at most ``size`` ids in all;
        - min_count: keep only tokens that occur at least this often.

        The count of ``unknown`` includes all tokens that were not kept. Splitting at white
        space leaves punctuation attached to the words; a regular expression separates them:
        ``from_text(re.findall(r"\\w+|[^\\w\\s]", text))``.

        Raises ValueError if no token is left, TypeError if one is not a str.

        >>> vocabulary = Vocabulary.from_text("banana", level="char", size=3, unknown="?")
        >>> vocabulary.tokens, vocabulary.counts
        (('?', 'a', 'n'), array([1, 3, 2]))
        """
        checks.one_of("Vocabulary", "level", level, LEVELS)
        tokens = tokenize(text, level)
        return cls.from_counts(Counter(tokens), level, size, min_count, unknown, padding)

    @classmethod
    def from_files(
        cls, *paths: PathLike, level: Level = "word", size: int | None = None,
        min_count: int = 1, unknown: str | None = None, padding: str | None = None,
    ) -> Self:
        """The vocabulary of text files in UTF-8, as if they were one text; the options are those of
        ``from_text``.

        Raises ValueError for a file that is not UTF-8, with the position of the first byte that
        is not.
        """
        checks.one_of("Vocabulary", "level", level, LEVELS)
        tokens = (token for path in paths for token in tokenize(read_text(path), level))
        return cls.from_counts(Counter(tokens), level, size, min_count, unknown, padding)

    @classmethod
    def from_counts(
        cls, counts: Mapping[str, int], level: Level = "word", size: int | None = None,
        min_count: int = 1, unknown: str | None = None, padding: str | None = None,
    ) -> Self:
        """The same from a dict that says how often each token occurred."""
        checks.one_of("Vocabulary", "level", level, LEVELS)
        if not isinstance(counts, Mapping):
            raise TypeError(checks.wrong("Vocabulary", "counts",
                                         "be a dict of tokens and how often each occurred",
                                         type(counts).__name__,
                                         "from_text counts the tokens of a text"))
        for token in tokenize(counts, "char"):
            checks.count("Vocabulary", f"the count of {token!r}", counts[token], least=0)
        for name, token in (("padding", padding), ("unknown", unknown)):
            if not isinstance(token, str | None):
                raise TypeError(checks.wrong("Vocabulary", name, "be a str or None",
                                             checks.text(token)))
        first = [token for token in dict.fromkeys((padding, unknown)) if token is not None]
        least = checks.count("Vocabulary", "min_count", min_count)
        kept = sorted((-n, token) for token, n in counts.items()
                      if n >= least and token not in first)
        if size is not None:
            kept = kept[:max(checks.count("Vocabulary", "size", size) - len(first), 0)]
        if not counts:
            raise ValueError(checks.wrong("Vocabulary", "the text", "hold at least one token",
                                          "an empty one"))
        if not kept:
            raise ValueError(
                f"Vocabulary: of the text's {len(counts)} different tokens none is left with "
                f"size={size} and min_count={least}; allow more of them, or give more text")
        tokens = first + [token for _, token in kept]
        n = [counts.get(token, 0) for token in tokens]
        if unknown is not None:
            n[tokens.index(unknown)] += sum(counts.values()) - sum(n)
        return cls(tokens, n, level, unknown, padding)

    def encode(self, text: Iterable[str]) -> Array:
        """The ids of a text, a str or a sequence of tokens, as int64 (T,).

        A token that is not in the vocabulary becomes the unknown token; ValueError if there is
        none.
        """
        tokens = tokenize(text, self.level)
        return np.fromiter(map(self.__getitem__, tokens), np.int64, len(tokens))

    def decode(self, ids: ArrayLike) -> Any:
        """The text of ids (T,): words separated by blanks, or characters one after the other.

        For ids with more axes, a list of the texts of the rows. ``decode(encode(text))`` is the
        text if all its tokens are in the vocabulary, but at level "word" any white space becomes
        one blank. The tokens as a list are ``[vocabulary.tokens[i] for i in ids]``.

        Raises TypeError for ids that are not integers, ValueError for one outside 0..V-1.
        """
        given, ids, V = ids, checks.as_array(ids), len(self)
        expected = f"hold integers in 0..{V - 1}"
        # an empty list is an array of floats
        if ids.dtype.kind not in "iu" and (ids.size or ids.dtype.kind == "O"):
            scores = ids.dtype.kind == "f" and ids.shape[-1:] == (V,)
            raise TypeError(checks.wrong("Vocabulary.decode", "ids", expected,
                                         checks.kind_text(given, ids),
                                         "of scores take .argmax(axis=-1)" * scores))
        if ids.ndim > 1:
            return [self.decode(row) for row in ids]
        ids = ids.ravel().tolist()
        for i in ids:
            if not 0 <= i < V:
                raise ValueError(checks.wrong("Vocabulary.decode", "ids", expected, i))
        return (" " if self.level == "word" else "").join(self.tokens[i] for i in ids)

    def save(self, path: PathLike) -> None:
        """Write everything as JSON. A file of that name is replaced only when the new one is
        complete."""
        content = {"level": self.level, "unknown": self.unknown, "padding": self.padding,
                   "tokens": dict(zip(self.tokens, self.counts.tolist()))}
        raw = json.dumps(content, ensure_ascii=False, indent=1).encode()
        with naming("Vocabulary.save", path):
            write_whole(path_of("Vocabulary.save", "path", path), raw)

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """The vocabulary that ``save`` wrote. Raises ValueError for a file that does
        not hold one."""
        text = read_text(path_of("Vocabulary.load", "path", path))
        try:
            content = json.loads(text)
            tokens = content.pop("tokens")
            return cls(tokens.keys(), list(tokens.values()), **content)
        except (AttributeError, KeyError, TypeError, RecursionError,
                json.JSONDecodeError) as error:
            raise ValueError(f"Vocabulary.load: {path} holds no vocabulary "
                             f"({type(error).__name__}: {error})") from None

    def __getitem__(self, token: str) -> int:
        if token in self:
            return self.ids[token]
        if not isinstance(token, str):
            raise TypeError(checks.wrong("Vocabulary", "a token", "be a str", repr(token),
                                         "the token of an id is vocabulary.tokens[id]"))
        if self.unknown is None:
            raise ValueError(
                f"Vocabulary: {token!r} is not among its {len(self)} {LEVELS[self.level]}; to have "
                'a token that stands for all others, make it with unknown="<unk>"')
        return self.ids[self.unknown]

    def __contains__(self, token: object) -> bool:
        return isinstance(token, str) and token in self.ids

    def __iter__(self) -> Iterator[str]:
        return iter(self.tokens)

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self):
        some = ", ".join(map(repr, self.tokens[:5])) + ", ..." * (len(self) > 5)
        return f"Vocabulary({len(self)} {LEVELS[self.level]}: {some})"


def tokenize(text, level):
    """The tokens of a text, or those of a sequence, as a list."""
    if isinstance(text, str):
        return text.split() if level == "word" else list(text)
    tokens = [text] if checks.single(text) else list(text)
    for token in tokens:
        if not isinstance(token, str):
            raise TypeError(checks.wrong("Vocabulary", "a text", "be a str or a sequence of them",
                                         checks.text(token)))
    return tokens


def read_text(path: PathLike) -> str:
    """The text of a file in UTF-8, with ``\\n`` at the end of lines and without a byte order mark.

    Raises ValueError for a file that is not UTF-8, with the position of the first byte that is
    not: nothing is left out.
    """
    path = path_of("read_text", "path", path)
    with naming("read_text", path):
        raw = path.read_bytes()
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        at = error.start
        raise ValueError(
            f"read_text: {path} should be UTF-8, got byte 0x{raw[at]:02x} at offset {at} "
            f"({error.reason}); save it as UTF-8, or open it in its own encoding and pass the text"
        ) from None
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
