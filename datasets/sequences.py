"""Tasks that turn one sequence into another: sums, and dates as people write them."""
from datetime import date, timedelta

import numpy as np

from ..common import checks
from ..common.rng import generator
from ..common.types import Pair, Seed
from .vocabulary import Vocabulary


def make_addition(n: int = 50_000, digits: int = 3, rng: Seed = None) -> tuple[Pair, Vocabulary]:
    """Sums in writing: ``"16+75  "`` and the answer ``"_91  "``.

    Each number has at most 1, 2, ... or ``digits`` digits, all equally likely. No sum appears
    twice, not even with its numbers swapped, so sums set aside for a test are truly unseen.

    Returns ``(x, t), vocabulary``:

    - x (n, 2·digits + 1) int64, the question, filled up with blanks;
    - t (n, digits + 2) int64, "_", the token that starts an answer, then the answer and blanks;
    - vocabulary: the characters of both, always the same; ``vocabulary.decode(x)`` lists the
      questions.

    Raises ValueError for more than half of the 10^digits (10^digits + 1) / 2 sums there are (new
    ones would be hard to find) and for more than 9 digits. ``rng`` is a numpy.random.Generator, a
    seed or None. Source: Saito, Deep Learning from Scratch 2, chapter 7, with 50,000 sums of
    numbers of up to three digits.

    >>> (x, t), vocabulary = make_addition(3, rng=0)
    >>> x.shape, t.shape, vocabulary["_"]
    ((3, 7), (3, 5), 12)
    >>> vocabulary.decode(x), vocabulary.decode(t)
    (['75+1   ', '17+8   ', '6+9    '], ['_76  ', '_25  ', '_15  '])
    """
    who, rng = "make_addition", generator("make_addition", rng)
    n, digits = checks.count(who, "n", n), checks.count(who, "digits", digits)
    if digits > 9:
        raise ValueError(checks.wrong(who, "digits", "be at most 9", digits))
    half = 10 ** digits * (10 ** digits + 1) // 4
    if n > half:
        raise ValueError(checks.wrong(who, "n", f"be at most {half}, half of the sums with "
                                      f"digits={digits}", n))
    pairs = np.empty((0, 2), np.int64)
    while len(pairs) < n:
        pairs = np.concatenate([pairs, rng.integers(0, 10 ** rng.integers(1, digits + 1, (n, 2)))])
        # one number for a + b and b + a
        same = pairs.min(axis=1) * 10 ** digits + pairs.max(axis=1)
        # the first of each, in the order drawn
        pairs = pairs[np.sort(np.unique(same, return_index=True)[1])]
    pairs = pairs[:n].tolist()
    return encoded([f"{a}+{b}" for a, b in pairs], [f"_{a + b}" for a, b in pairs], " +0123456789_",
                   2 * digits + 1, digits + 2)


FIRST, DAYS = date(1970, 1, 1), 36525          # to the end of 2069
# The calendar's and strftime's follow the user's locale.
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["January", "February", "March", "April", "May", "June",
          "July", "August", "September", "October", "November", "December"]
WORDS = "{month} {d}, {y}", "{d} {mon} {y}", "{weekday}, {month} {d}, {y}", "{d}{th} of {month} {y}"
NUMBERS = "{m}/{d}/{yy:02}", "{d}.{m}.{y}", "{y}/{m:02}/{d:02}"
SPELLINGS = [*((form, case) for form in WORDS for case in (str, str.lower, str.upper)),
             *((form, str) for form in NUMBERS)]


def make_dates(n: int = 50_000, rng: Seed = None) -> tuple[Pair, Vocabulary]:
    """Dates as people write them, ``"september 27, 1994"``, and as computers do, ``"_1994-09-27"``.

    The days are those of 1970 to 2069, so that two digits are enough for a year. Each is spelled in
    one of these ways, those with words also in lower or upper case, 15 in all, all equally
    likely:

        September 27, 1994              27 Sep 1994                9/27/94       (month first)
        Tuesday, September 27, 1994     27th of September 1994     27.9.1994     (day first)
                                                                   1994/09/27    (year first)

    No spelled date appears twice, though a day may, spelled in another way.

    Returns ``(x, t), vocabulary``, as ``make_addition`` does: x (n, 29) the spelled dates, t (n,
    11) "_" and the dates.

    Raises ValueError for more than the 15 · 36,525 there are. ``rng`` is a numpy.random.Generator,
    a seed or None. After Saito, Deep Learning from Scratch 2, chapter 8.

    >>> (x, t), vocabulary = make_dates(4, rng=0)
    >>> x.shape, t.shape, vocabulary["_"]
    ((4, 29), (4, 11), 37)
    >>> for question, answer in zip(vocabulary.decode(x), vocabulary.decode(t)):
    ...     print(question, answer)
    1996/12/23                    _1996-12-23
    11 Feb 2021                   _2021-02-11
    23.1.2055                     _2055-01-23
    2033/09/11                    _2033-09-11
    """
    n, S = checks.count("make_dates", "n", n), len(SPELLINGS)
    if n > DAYS * S:
        raise ValueError(checks.wrong("make_dates", "n", f"be at most {DAYS * S}", n))
    # Distinct numbers make distinct questions: no two spellings of a day are alike.
    drawn = generator("make_dates", rng).choice(DAYS * S, n, replace=False).tolist()
    days = [FIRST + timedelta(days=i // S) for i in drawn]
    letters = "".join([*MONTHS, *WEEKDAYS, "st nd rd th of"])
    characters = sorted({*letters, *letters.lower(), *letters.upper(), *" ,-./0123456789_"})
    return encoded([spelled(day, *SPELLINGS[i % S]) for day, i in zip(days, drawn)],
                   [f"_{day}" for day in days], characters, 29, 11)


def spelled(day, form, case):
    d, m, y = day.day, day.month, day.year
    th = "th" if d in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(d % 10, "th")
    month = MONTHS[m - 1]
    return case(form.format(d=d, m=m, y=y, yy=y % 100, th=th, month=month, mon=month[:3],
                            weekday=WEEKDAYS[day.weekday()]))


def encoded(questions, answers, characters, x_width, t_width):
    """``(x, t), vocabulary`` of two lists of str, filled up with blanks."""
    vocabulary = Vocabulary(characters, level="char", padding=" ")

    def table(texts, width):
        return vocabulary.encode("".join(text.ljust(width) for text in texts)).reshape(-1, width)
    return (table(questions, x_width), table(answers, t_width)), vocabulary
