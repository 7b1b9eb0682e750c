"""The doctor names what is wrong with a training and says nothing of one that is well."""

import csv
import re

import numpy as np
import pandas
import pytest

from chainrule.common import Layer, checks
from chainrule.datasets import batches, make_spiral
from chainrule.layers import (
    Affine,
    Convolution,
    Dropout,
    Flatten,
    MaxPool,
    ReLU,
    Sigmoid,
    Softmax,
    SoftmaxWithLoss,
    Tanh,
)
from chainrule.models import MLP, Sequential
from chainrule.models.command import main
from chainrule.optimizers import SGD, Adam
from chainrule.training import Finding, History, Report, Trainer, doctor, lr_range, memory, preflight, samples, signals
from chainrule.training.report import CODES
from chainrule.training.targets import Task
from chainrule.training.trial import Case, unchanged
from tests.errors import refused
from tests.exam import trainings


def made(name, faulty=True):
    trainer, x, t, options = next(make for _, n, make in trainings.CASES if n == name)(faulty)
    return doctor(trainer, x, t, **options)


# One training for each code; the whole set stands behind the slow marker, below.
ONE_EACH = [
    "pixels_of_0_to_255",
    "labels_from_one",
    "softmax_twice",
    "squares_for_yes_or_no",
    "accuracy_of_a_regression",
    "all_equal",
    "adam_at_1",
    "adam_at_a_millionth",
    "biases_of_minus_10",
    "twelve_tanh_of_small_weights",
    "affine_upon_affine",
    "xor_without_hidden_layer",
    "forty_noisy_samples",
    "one_epoch_of_adam",
    "batches_of_all_letters",
    "inputs_dropped",
    "rare_failures",
    "batches_in_order_of_class",
    "copies_in_validation",
    "logarithm_of_zero",
    "gradients_never_written",
    "rmsprop_at_half",
    "share_prices_into_a_gru",
    "metres_of_a_micrometre",
    "images_twice_before_the_split",
    "the_answer_in_three_columns",
    "the_layer_that_matters_is_frozen",
]


@pytest.mark.parametrize("name", ONE_EACH)
def test_the_first_cause(name):
    codes = next(codes for codes, n, _ in trainings.CASES if n == name)
    assert made(name).findings[0].code in codes


@pytest.mark.parametrize(
    "name",
    [
        "labels_from_one",
        "softmax_twice",
        "all_equal",
        "adam_at_1",
        "copies_in_validation",
        "momentum_at_2",
    ],
)
def test_the_repaired_twin_is_well(name):
    assert made(name, faulty=False).findings == []


@pytest.mark.slow
def test_exam_of_trainings(capsys):
    first, missed, alarms = 0, [], []
    for codes, name, make in trainings.CASES:
        found, twin = (doctor(*data[:3], **data[3]).codes for data in (make(True), make(False)))
        first += found[:1] != [] and found[0] in codes
        missed += [] if found else [name]
        alarms += [name] if twin else []
    alarms += [
        name
        for name, make in trainings.HEALTHY
        for data in [make()]
        if doctor(*data[:3], **data[3]).codes
    ]
    with capsys.disabled():
        print(
            f"\n{len(trainings.CASES)} trainings: missed {missed}, first cause right {first}, "
            f"false alarms {alarms}"
        )
    assert (
        len(missed) <= 0.05 * len(trainings.CASES)
        and first >= 0.75 * len(trainings.CASES)
        and len(alarms) <= 1
    )


def test_what_is_not_finite_has_its_cause_beside_it():
    report = made("squares_diverge")
    assert report.codes[:2] == ["non-finite", "learning-rate-too-high"]
    assert re.match(r"step \d+, the (output|gradient) of ", report.findings[0].where)


def test_preflight_leaves_everything_as_it_was():
    rng = np.random.default_rng(0)
    model = Sequential(
        Affine.init(2, 16, rng=rng),
        ReLU(),
        Dropout(0.3, rng=rng),
        Affine.init(16, 3, rng=rng),
        loss=SoftmaxWithLoss(),
    )
    x, t = make_spiral(rng=0)
    trainer = Trainer(model, Adam(1e-2))
    trainer.fit(x, t, epochs=1, rng=rng, progress=False)
    history = trainer.history

    def everything():
        arrays = [*model.params, *model.grads, *trainer.optimizer.state.values(), x, t]
        return (
            [a.tobytes() for a in arrays],
            repr(rng.bit_generator.state),
            model.training,
            trainer.optimizer.step,
        )

    before = everything()
    assert preflight(trainer, x, t, rng=rng, epochs=5).measured
    assert everything() == before and trainer.history is history
    preflight(trainer, batches=lambda: batches(x, t, rng=rng))
    assert everything() == before


OF_MODULE = np.random.default_rng(0)


class Noise(Layer):
    def forward(self, x):
        return x + OF_MODULE.normal(0, 0.01, x.shape).astype(x.dtype)

    def backward(self, dout):
        return dout


def test_a_generator_that_a_layers_code_names_stays_as_it_is():
    model = Sequential(Affine.init(2, 3, rng=0), Noise(), loss=SoftmaxWithLoss())
    before = repr(OF_MODULE.bit_generator.state)
    preflight(Trainer(model, SGD(0.1)), *make_spiral(20, rng=0))
    assert repr(OF_MODULE.bit_generator.state) == before


def test_tables_are_taken_as_fit_takes_them():
    x, t = make_spiral(rng=0)
    table = pandas.DataFrame({"a": x[:, 0], "b": x[:, 1] > 0})
    trainer = Trainer(MLP([2, 32, 3], rng=0), Adam(0.01))
    assert preflight(trainer, table, pandas.Series(t), validation_data=(table, t)).measured
    with refused(TypeError, "preflight: column 'b' of x should hold numbers…"):
        preflight(trainer, table.assign(b="word"), t)


@pytest.mark.parametrize("arguments, error, message", [
    ({"x": [[1.0]]}, TypeError, "preflight: t is missing…"),
    ({"x": [[1.0], [2.0]], "t": [1]}, ValueError, "preflight: t … 2 samples … 1"),
    ({"x": [["a"]], "t": [1]}, TypeError, "preflight: x should be an array of numbers, got <U1 ndarray"),
    ({"x": [[1.0]], "t": [1], "validation_data": ([[1.0]], ["a"])}, TypeError,
     "preflight: validation t should be an array of numbers…"),
    ({"batches": lambda: iter(())}, ValueError, "Trainer.fit: batches() yielded nothing…"),
    ({"batches": lambda: [1]}, TypeError, "Trainer.fit: batch 1 of batches()…"),
])
def test_what_makes_no_step_is_refused(arguments, error, message):
    with refused(error, message):
        preflight(Trainer(MLP([1, 2], rng=0), SGD(0.1)), **arguments)


def test_validation_data_that_the_model_cannot_take():
    x, t = make_spiral(rng=0)
    trainer = Trainer(MLP([2, 32, 3], rng=0), Adam(0.01))
    for validation in (x[:, :1], t), (x + 0.01, t + 1):
        found = preflight(trainer, x, t, validation_data=validation).findings[0]
        assert (found.code, found.where) == ("labels-mismatch", "validation_data")


def test_a_trainer_of_ones_own():
    class Mine(Trainer):
        def fit(self, *arguments, **options):
            return super().fit(*arguments, **options)
    trainer = Mine(MLP([2, 32, 3], rng=0), Adam(0.01))
    assert preflight(trainer, *make_spiral(rng=0), batch_size=30).measured


def test_a_training_goes_on_as_without_preflight():
    def losses(look):
        trainer = Trainer(MLP([2, 16, 3], rng=0), Adam(1e-2))
        x, t = make_spiral(rng=0)
        for _ in range(look):
            preflight(trainer, x, t)
        return trainer.fit(x, t, epochs=3, rng=0, progress=False)["loss"]

    assert list(losses(1)) == list(losses(0))


def test_preflight_speaks_of_facts_and_of_steps_that_lead_nowhere():
    x, t = make_spiral(rng=0)
    assert preflight(Trainer(MLP([2, 32, 3], rng=0), Adam(1e-2)), x, t).ok
    assert preflight(Trainer(MLP([2, 32, 3], rng=0), SGD(1e-7)), x, t).codes == [
        "learning-rate-too-low"
    ]
    twice = Sequential(
        Affine.init(2, 32, rng=0),
        Tanh(),
        Affine.init(32, 3, rng=1),
        Softmax(),
        loss=SoftmaxWithLoss(),
    )
    assert preflight(Trainer(twice, Adam(1e-2)), x, t).codes == ["wrong-output"]


def test_a_model_without_layers_whose_outputs_are_a_column():
    class Logistic:
        def __init__(self):
            self.params, self.grads = [np.zeros((2, 1))], [np.zeros((2, 1))]

        def forward(self, x, t):
            self.x, self.output = x, x @ self.params[0]
            self.error = 1 / (1 + np.exp(-self.output[:, 0])) - t
            return float(np.mean(np.logaddexp(0, self.output[:, 0]) - t * self.output[:, 0]))

        def backward(self):
            self.grads[0][...] = self.x.T @ self.error[:, None] / len(self.x)

    x = np.random.default_rng(0).standard_normal((80, 2))
    t = (x[:, 0] + 0.5 * x[:, 1] > 0).astype(int)
    report = preflight(Trainer(Logistic(), SGD(0.5), metrics=()), x, t)
    assert report.codes == ["labels-mismatch"]
    assert report.findings[0].evidence == "the outputs have shape (80, 1), t (80,)"


def test_generators_of_a_function():
    rng, x = np.random.default_rng(0), np.zeros(5)

    def function(rng=rng):
        yield from batches(x, rng=rng)

    before = repr(rng.bit_generator.state)
    with unchanged(function):
        list(function())
        assert repr(rng.bit_generator.state) != before
    assert repr(rng.bit_generator.state) == before


def jitter(x, rng):
    return x + rng.normal(0, 0.1, x.shape).astype(np.float32)


def weighted(n):
    return np.random.default_rng(3).uniform(0.1, 2, n)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rng": np.random.default_rng(4)},
        {"class_weight": {0: 5.0, 1: 0.2}},
        {"class_weight": "balanced", "sample_weight": weighted(300)},
        {"sample_weight": weighted(300), "validation_split": 0.2},
        {"augment": jitter},
        {"freeze": "0"},
        {"accumulate": 3, "drop_last": True, "batch_size": 40},
        {"max_grad_norm": 0.05},
        {"validation_split": 0.3, "class_weight": [1, 2, 3], "augment": jitter, "accumulate": 2},
        {"batches": True, "steps_per_epoch": 4, "class_weight": {2: 3.0}, "augment": jitter},
        {"batches": True, "accumulate": 2},
    ],
    ids=lambda options: "-".join(options) or "plain",
)
def test_a_trial_makes_the_steps_that_fit_makes(options):
    """The same losses, bit for bit: with weights, augmentation, frozen layers, accumulation."""
    x, t = data = make_spiral(rng=0)
    rng = np.random.default_rng(5)
    layers = Affine.init(2, 16, rng=rng), ReLU(), Dropout(0.2, rng=rng), Affine.init(16, 3, rng=rng)
    trainer = Trainer(Sequential(*layers, loss=SoftmaxWithLoss()), Adam(1e-2))
    options = {"rng": 7} | options
    if "batches" in options:
        options["batches"] = lambda: batches(*data, batch_size=50, rng=8)
        x, t = None, None
        if "augment" not in options:
            del options["rng"]
    case = Case(trainer, x, t, options)
    tried = case.trial().run(14)
    trainer.fit(x, t, epochs=20, progress=False, **options)
    assert list(tried) == list(trainer.history.steps["loss"])[:14]
    assert 2 * case.steps == len(trainer.history.steps["loss"])           # of 10 epochs, where these are 20


def test_the_generator_of_an_augmentation_stays_where_it_is():
    x, t = make_spiral(rng=0)
    rng = np.random.default_rng(5)
    before = repr(rng.bit_generator.state)
    trainer = Trainer(MLP([2, 8, 3], rng=0), SGD(0.1))
    preflight(trainer, x, t, batch_size=30, augment=lambda x, _: x + rng.normal(0, 0.01, x.shape))
    assert repr(rng.bit_generator.state) == before


@pytest.mark.parametrize("after", [[], [Affine.init(4, 3, rng=1)]], ids=["last", "hidden"])
def test_units_are_dead_where_weights_follow(after):
    x, t = make_spiral(rng=0)
    dead = Affine.init(2, 4, rng=0)
    dead.b[...] = -100
    model = Sequential(dead, ReLU(), *after, loss=SoftmaxWithLoss())
    found = list(signals.flat_units(signals.Signals(model, (x,), t), "now"))
    assert [f.code for f in found] == ["dead-units"] * len(after)


def test_a_trial_freezes_layers_that_are_given_themselves():
    x, t = make_spiral(rng=0)
    trainer = Trainer(MLP([2, 8, 3], rng=0), SGD(0.1))
    trial = Case(trainer, x, t, {"freeze": trainer.model.layers[1]}).trial()
    trial.run(3)
    same = [np.array_equal(p, q) for p, q in zip(trial.model.params, trainer.model.params)]
    assert same == [True, True, False, False]


def test_a_step_takes_the_memory_that_is_predicted():
    x = np.zeros((600, 1, 16, 16), np.float32)
    model = Sequential(
        Convolution.init(1, 16, 3, padding=1, rng=0),
        ReLU(),
        MaxPool(2),
        Flatten(),
        Affine.init(1024, 200, rng=1),
        ReLU(),
        Affine.init(200, 10, rng=2),
        loss=SoftmaxWithLoss(),
    )
    case = Case(Trainer(model, Adam()), x, np.arange(600) % 10, {"batch_size": 512})
    step = memory.Step(case)
    weights = sum(4 * p.size for p in model.params)
    assert step.parts["parameters"] == step.parts["gradients"] == weights
    assert step.parts["optimizer"] == pytest.approx(2 * weights, rel=0.01)
    kept = 512 * (16 * 16 * 16 * 4)                        # of the convolution's output, alone
    assert kept < step.parts["kept for backward"] < 4 * kept
    assert 0.5 < step.measured() / step.predicted < 2
    assert model.layers[0].cache is None and not x.any()


def test_a_step_that_does_not_fit_is_not_tried(monkeypatch):
    monkeypatch.setattr(checks, "memory", lambda: 3_000_000)
    x, t = np.zeros((5000, 64), np.float32), np.arange(5000) % 10
    trainer = Trainer(MLP([64, 100, 10], rng=0), Adam())
    report = preflight(trainer, x, t, batch_size=5000)
    finding, = report.findings
    assert report.codes == ["too-little-memory"] and finding.where == "batch_size=5000"
    assert re.fullmatch(
        r"predicted: a step takes \S+ MB \(parameters .*, gradients .*, optimizer .*, kept for "
        r"backward \S+ MB, temporary \S+ MB\), the data 1.32 MB; this machine has 3 MB",
        finding.evidence,
    )
    size, times = map(int, re.findall(r"batch_size=(\d+) with accumulate=(\d+)", finding.hint)[0])
    assert size * times >= 5000
    report = preflight(trainer, x, t, batch_size=size)
    assert "too-little-memory" not in report.codes
    assert "measured" in report.measured["memory of a step"]
    assert doctor(trainer, x, t, batch_size=5000).codes == ["too-little-memory"]
    assert len(trainer.history) == 0


def test_true_and_false_are_two_classes():
    task = Task(np.array([True, False, True]))
    assert task.kind == "binary" and task.labels.tolist() == [1, 0, 1]



def test_one_narrow_column_of_few_is_a_scale_of_its_own():
    x, t = np.random.default_rng(0).standard_normal((50, 3)) * [1, 1, 0.01], np.arange(50) % 2
    assert [f.where for f in samples.scales((x,), t, Task(t), ["x"])] == ["x"]
    assert not [*samples.scales((x[:, :2],), t, Task(t), ["x"])]


def test_the_memory_of_this_machine(monkeypatch, tmp_path):
    assert checks.memory() > 2**27
    (tmp_path / "max").write_text("123456\n")
    (tmp_path / "none").write_text("max\n")
    monkeypatch.setattr(checks, "CGROUPS", [tmp_path / "max", tmp_path / "none"])
    assert checks.memory() == 123456


def test_lr_range_finds_a_rate_and_draws_it():
    from matplotlib import pyplot

    x, t = make_spiral(rng=0)
    model = MLP([2, 20, 3], activation=Sigmoid, rng=0)
    before = [p.copy() for p in model.params]
    _, ax = pyplot.subplots()
    found = lr_range(Trainer(model, SGD(1e-4)), x, t, ax=ax)
    assert 0.01 <= found.best <= 5 and found.losses.min() < found.start
    assert ax.get_xscale() == "log" and len(ax.lines) == 3
    assert all(np.array_equal(p, q) for p, q in zip(model.params, before))
    pyplot.close("all")


def test_a_report_for_people():
    report = Report(
        "MLP",
        [
            Finding("overfitting", "val_loss", "0.5 < 1", "stop"),
            Finding("frozen", "layer 0", "same", "write"),
        ],
    )
    assert report.codes == ["frozen", "overfitting"] and not report
    assert "0.5 &lt; 1" in report._repr_html_() and "try: stop" in str(report)
    assert repr(report) == "MLP: frozen in layer 0, overfitting in val_loss"
    assert Report("MLP").ok


def history(**columns):
    result = History()
    for row in zip(*columns.values()):
        result.add_epoch(epoch=len(result) + 1, **dict(zip(columns, row)))
    return result


@pytest.mark.parametrize(
    "code, columns",
    [
        ("overfitting", dict(loss=[1, 0.5, 0.2, 0.1, 0.05], val_loss=[1, 0.7, 0.6, 0.9, 1.2])),
        ("non-finite", dict(loss=[1, 0.5, np.nan])),
        ("learning-rate-too-high", dict(loss=[1, 3, 8, 40])),
        ("learning-rate-too-low", dict(loss=[1, 0.999, 0.998, 0.997])),
        ("too-few-epochs", dict(loss=[1, 0.8, 0.6], val_loss=[1, 0.8, 0.6])),
        ("frozen", dict(loss=[1, 1, 1, 1])),
    ],
)
def test_diagnosis_of_curves(code, columns):
    assert history(**columns).diagnose().codes == [code]


def test_curves_of_steps_and_of_one_epoch():
    steps = History()
    for k in range(3):
        steps.add_step(step=k + 1, loss=1.0 + 9 * k)
    assert steps.diagnose().measured["loss"].startswith("1 in the first step,")
    assert history(loss=[1.0]).diagnose().findings[0].evidence == "of one epoch"


def test_curves_of_a_training_that_is_well():
    x, t = make_spiral(rng=0)
    trainer = Trainer(MLP([2, 64, 3], rng=0), Adam(1e-2))
    assert (
        trainer.fit(x, t, epochs=100, validation_data=(x, t), rng=0, progress=False).diagnose().ok
    )


def test_every_code_is_found_in_some_training():
    known = {code for codes, *_ in trainings.CASES for code in codes}
    assert known == set(CODES) - {"too-little-memory"}        # which has a test above


def test_doctor_of_a_run(tmp_path, capsys):
    run = tmp_path / "mlp-digits"
    run.mkdir()
    history(loss=[1, 0.5, 0.2, 0.1, 0.05], val_loss=[1, 0.7, 0.6, 0.9, 1.2]).to_csv(
        run / "history.csv"
    )
    assert main(["doctor", str(run)]) == 1
    assert "overfitting in val_loss" in capsys.readouterr().out
    with open(run / "history.csv", "w", newline="") as file:
        csv.writer(file).writerows([["epoch", "loss"], [1, 1.0], [2, 0.1], [3, 0.05], [4, 0.05]])
    assert main(["doctor", str(run / "history.csv")]) == 0
    assert "nothing found" in capsys.readouterr().out
    for text in "a,b\n1,2\n", "", "epoch,loss\n", "epoch,loss\n1\n", "epoch,loss\n1,x\n":
        (run / "history.csv").write_text(text)
        assert main(["doctor", str(run)]) == 2
        assert "is no history of chainrule train" in capsys.readouterr().err
    assert main(["doctor", str(tmp_path / "nowhere")]) == 2
