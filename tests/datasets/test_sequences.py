"""make_addition and make_dates: right answers to different questions, in tables of one width."""
import re
from collections import Counter
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from chainrule.datasets import make_addition, make_dates, sequences
from tests.errors import refused

MAKERS = pytest.mark.parametrize("make", [make_addition, make_dates])


def texts(made):
    (x, t), vocabulary = made
    return list(zip(vocabulary.decode(x), vocabulary.decode(t)))


@pytest.mark.parametrize("make, x_width, t_width", [
    (make_addition, 7, 5), (lambda n, rng: make_addition(n, digits=5, rng=rng), 11, 7), (make_dates, 29, 11)])
def test_one_interface(make, x_width, t_width):
    (x, t), vocabulary = make(20, rng=0)
    assert (x.shape, t.shape, x.dtype, t.dtype) == ((20, x_width), (20, t_width), np.int64, np.int64)
    assert (t[:, 0] == vocabulary["_"]).all() and vocabulary["_"] not in x and vocabulary["_"] not in t[:, 1:]
    assert vocabulary.level == "char" and vocabulary.padding == " " and vocabulary.unknown is None


@MAKERS
def test_the_vocabulary_is_always_the_same_and_all_of_it_is_used(make):
    (x, t), vocabulary = make(5000, rng=0)
    assert vocabulary.tokens == make(1, rng=5)[1].tokens
    assert set(np.unique(x)) | set(np.unique(t)) == set(range(len(vocabulary)))


@MAKERS
def test_a_seed_repeats_the_questions(make):
    same = make(50, rng=1), make(50, rng=np.random.default_rng(1))
    assert texts(same[0]) == texts(same[1]) != texts(make(50, rng=2))


@MAKERS
def test_no_question_comes_twice(make):
    questions = [question for question, _ in texts(make(5000, rng=0))]
    assert len(set(questions)) == 5000


def test_sums_are_right_and_filled_up_with_blanks():
    for question, answer in texts(make_addition(2000, rng=0)):
        a, b = re.fullmatch(r"(0|[1-9]\d{0,2})\+(0|[1-9]\d{0,2}) *", question).groups()
        assert answer == f"_{int(a) + int(b)}".ljust(5)


def test_no_sum_comes_again_with_its_numbers_swapped():
    sums = [tuple(sorted(question.strip().split("+"))) for question, _ in texts(make_addition(2525, digits=2, rng=0))]
    assert len(set(sums)) == 2525


def test_numbers_of_one_two_and_more_digits_are_as_likely():
    # A number of at most j digits, j = 1..9, is below 10^k with probability min(1, 10^(k-j)).
    numbers = np.array([question.split("+") for question, _ in texts(make_addition(2000, digits=9, rng=0))]).astype(int)
    for k in range(1, 9):
        expected = sum(min(1, 10.0 ** (k - j)) for j in range(1, 10)) / 9
        assert (abs((numbers < 10 ** k).mean(axis=0) - expected) < 0.03).all()


@pytest.mark.parametrize("digits, n", [(1, 27), (2, 2525)])
def test_half_of_all_sums_is_the_most(digits, n):
    assert len(make_addition(n, digits, rng=0)[0][0]) == n
    with refused(ValueError, f"make_addition: n should be at most {n}, half of the sums with digits={digits}, got {n + 1}"):
        make_addition(n + 1, digits)


def test_nine_digits():
    (question, answer), = texts(make_addition(1, digits=9, rng=3))
    assert len(question) == 19 and sum(map(int, question.split("+"))) == int(answer[1:])


FORMS = {
    r"[A-Za-z]+ \d+, \d{4}": "%B %d, %Y",
    r"\d+ [A-Za-z]{3} \d{4}": "%d %b %Y",
    r"[A-Za-z]+, [A-Za-z]+ \d+, \d{4}": "%A, %B %d, %Y",
    r"\d+(st|nd|rd|th) of [a-z]+ \d{4}": "%d of %B %Y",
    r"\d{1,2}/\d{1,2}/\d\d": "%m/%d/%y",
    r"\d+\.\d+\.\d{4}": "%d.%m.%Y",
    r"\d{4}/\d\d/\d\d": "%Y/%m/%d",
}


def case(text):
    return "small" if text == text.lower() else "CAPITAL" if text == text.upper() else "Title"


def read(question):
    """A spelled date, read by the standard library: its form, its letters and the day."""
    text = question.strip()
    form, = (form for pattern, form in FORMS.items() if re.fullmatch(pattern, text, re.IGNORECASE))
    plain = re.sub(r"(?<=\d)(st|nd|rd|th)", "", text, flags=re.IGNORECASE)
    day = datetime.strptime(plain, form)
    if form.endswith("%y") and day.year < 1970:      # the standard library's two digits are 1969 to 2068
        day = day.replace(year=day.year + 100)
    if "%A" in form:
        assert day.strftime("%A").lower() == text.split(",")[0].lower()
    return form, case(text) if re.search("[a-z]", text, re.IGNORECASE) else "", day


def test_dates_mean_what_they_say_in_every_spelling_and_all_spellings_are_as_likely():
    pairs, spellings = texts(make_dates(3000, rng=0)), Counter()
    for question, answer in pairs:
        form, letters, day = read(question)
        assert answer == f"_{day:%Y-%m-%d}"
        spellings[form, letters] += 1
    assert len(spellings) == 15 and min(spellings.values()) > 150 and max(spellings.values()) < 250
    years = [int(answer[1:5]) for _, answer in pairs]
    assert (min(years), max(years)) == (1970, 2069) and abs(np.mean(years) - 2019.5) < 2


def test_the_days_are_those_in_which_two_digits_mean_one_year():
    assert sequences.FIRST == date(1970, 1, 1) and sequences.FIRST + timedelta(sequences.DAYS) == date(2070, 1, 1)


def test_numbers_are_not_padded_and_ordinals_are_english():
    found = " ".join(question for question, _ in texts(make_dates(5000, rng=0)))
    assert set(re.findall(r"\b(\d+)(st|nd|rd|th)\b", found)) == {
        (str(d), {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}.get(d, "th")) for d in range(1, 32)}
    assert not re.search(r"(?<![\d/])0\d", re.sub(r"\d+/\d+/0\d", "", found))


@pytest.mark.parametrize("make, options, error, message", [
    (make_addition, {"n": 0}, ValueError, "make_addition: n should be at least 1, got 0"),
    (make_addition, {"n": 5, "digits": 1.0}, TypeError, "make_addition: digits should be a whole number, got 1.0"),
    (make_addition, {"n": 5, "digits": 10}, ValueError, "make_addition: digits should be at most 9, got 10"),
    (make_dates, {"n": -1}, ValueError, "make_dates: n should be at least 1, got -1"),
    (make_dates, {"n": 547_876}, ValueError, "make_dates: n should be at most 547875, got 547876"),
])
def test_a_mistake_is_named(make, options, error, message):
    with refused(error, message):
        make(**options)
