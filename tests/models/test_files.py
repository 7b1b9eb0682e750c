"""Files: load checks everything before it changes anything; save leaves a whole file, with the user's mode, and links."""
import json
import os
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from chainrule.layers import LSTM, Affine, BatchNorm, Dropout
from chainrule.models import MLP, Sequential
from tests.errors import refused


def model(seed=0):
    return Sequential(LSTM.init(4, 4, rng=seed, stateful=True), Affine.init(4, 4, rng=seed), BatchNorm.init(4),
                      Dropout(0.5, rng=seed))


def everything(m):
    state = m.layers[0].state
    generator = m.layers[3].buffers["rng"].bit_generator
    return [*(p.tobytes() for p in m.params), m.layers[2].running_mean.tobytes(), str(generator.state),
            None if state is None else [s.tobytes() for s in state]]


@pytest.fixture
def parts(tmp_path):
    """(arrays, texts) of a good file."""
    from safetensors import safe_open
    m = model()
    m.layers[0].forward(np.ones((2, 3, 4)))
    m.save(tmp_path / "m")
    with safe_open(tmp_path / "m", framework="numpy") as file:
        texts = json.loads(file.metadata()["chainrule"])
    return load_file(tmp_path / "m"), texts


def spoil_generator(arrays, texts):
    texts["3.rng"]["state"]["state"] = "no number"


def no_generator(arrays, texts):
    texts["3.rng"] = {"bit_generator": "PCG64"}


def another_generator(arrays, texts):
    texts["3.rng"]["bit_generator"] = "MT19937"


def nan(arrays, texts):
    arrays["1.W"] = np.full_like(arrays["1.W"], np.nan)


def too_large(arrays, texts):
    arrays["1.W"] = np.full((4, 4), 1e300)


def text_for_an_array(arrays, texts):
    texts["2.running_mean"] = {"bit_generator": "PCG64"}


def array_for_text(arrays, texts):
    del texts["3.rng"]
    arrays["3.rng"] = np.zeros(3)


def short_mean(arrays, texts):
    arrays["2.running_mean"] = np.zeros(3, np.float32)


def nan_variance(arrays, texts):
    arrays["2.running_var"] = np.full(4, np.nan, np.float32)


def integers_for_booleans(arrays, texts):
    arrays["1.b"] = np.zeros(4, bool)


def half_a_state(arrays, texts):
    del arrays["0.state.1"]


def wide_state(arrays, texts):
    arrays["0.state.0"] = np.zeros((2, 5), np.float32)


def a_list(arrays, texts):
    texts["options"] = [1, 2]


BREAK = [spoil_generator, no_generator, another_generator, nan, too_large, text_for_an_array, array_for_text, short_mean,
         nan_variance, integers_for_booleans, half_a_state, wide_state, a_list]


@pytest.mark.parametrize("breaks", BREAK, ids=lambda f: f.__name__)
def test_a_broken_file_changes_nothing(breaks, parts, tmp_path):
    breaks(*parts)
    (tmp_path / "bad").write_bytes(save(parts[0], metadata={"chainrule": json.dumps(parts[1])}))
    other = model(1)
    before = everything(other)
    with refused(ValueError, f"… {tmp_path / 'bad'}…"):
        other.load(tmp_path / "bad")
    assert everything(other) == before


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"layers": 3}', "[" * 100_000])
def test_metadata_that_cannot_be_read(text, parts, tmp_path):
    (tmp_path / "bad").write_bytes(save(parts[0], metadata={"chainrule": text}))
    other = model(1)
    before = everything(other)
    with refused(ValueError, "Sequential.load: … bad…"):
        other.load(tmp_path / "bad")
    assert everything(other) == before


def test_bit_flips_end_in_a_sentence_or_in_a_whole_load(parts, tmp_path):
    model().save(tmp_path / "m")
    good, rng = (tmp_path / "m").read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        raw = bytearray(good)
        raw[rng.integers(len(raw) if rng.random() < 0.3 else 1500)] ^= 1 << int(rng.integers(8))
        (tmp_path / "bad").write_bytes(raw)
        other = model(1)
        before = everything(other)
        try:
            other.load(tmp_path / "bad")
        except ValueError as error:
            assert "bad" in str(error) and everything(other) == before


def test_float64_weights_are_read_into_float32_and_back(tmp_path):
    wide = Sequential(Affine.init(4, 4, rng=0, dtype=np.float64))
    wide.save(tmp_path / "m")
    narrow = Sequential(Affine.init(4, 4, rng=1))
    narrow.load(tmp_path / "m")
    np.testing.assert_array_equal(narrow.params[0], wide.params[0].astype(np.float32))


@pytest.mark.skipif(os.name == "nt", reason="modes and links of POSIX")
class TestPlaces:
    def test_the_mode_is_the_users(self, tmp_path):
        before = os.umask(0o022)
        try:
            model().save(tmp_path / "m")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o644

    def test_a_link_stays_a_link(self, tmp_path):
        (tmp_path / "store").mkdir()
        (tmp_path / "m").symlink_to(tmp_path / "store" / "real")
        model().save(tmp_path / "m")
        assert (tmp_path / "m").is_symlink() and (tmp_path / "store" / "real").is_file()
        assert os.listdir(tmp_path / "store") == ["real"]

    def test_nothing_is_written_through_a_link_at_the_temporary_name(self, tmp_path):
        (tmp_path / "precious").write_text("precious")
        (tmp_path / f"m.{os.getpid()}.part").symlink_to(tmp_path / "precious")
        with refused(FileExistsError, "… take it away"):
            model().save(tmp_path / "m")
        assert (tmp_path / "precious").read_text() == "precious" and not (tmp_path / "m").exists()

    def test_a_device_is_not_replaced(self):
        with refused(OSError, "… /dev/null … device…"):
            model().save("/dev/null")
        assert not stat.S_ISREG(os.stat("/dev/null").st_mode)


def test_what_a_killed_process_left_is_taken_away(tmp_path):
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True).stdout.strip()
    (tmp_path / f"m.{gone}.part").write_text("half")
    (tmp_path / "m.txt.part").write_text("somebody else's")
    model().save(tmp_path / "m")
    assert sorted(os.listdir(tmp_path)) == ["m", "m.txt.part"]


def test_a_kill_at_any_instant_leaves_a_whole_file_and_nothing_else(tmp_path):
    """A process that saves again and again is killed at random; the file is the first one or a later one, whole."""
    code = ("from chainrule.models import MLP\nm = MLP([300, 300, 300], rng=0)\nm.save('m')\nprint('ready', flush=True)\n"
            "while True:\n    m.params[0] += 1\n    m.save('m')\n")
    rng = np.random.default_rng(0)
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        process.wait()
        process.stdout.close()
        model = MLP([300, 300, 300])
        model.load(tmp_path / "m")
        assert set(os.listdir(tmp_path)) <= {"m", f"m.{process.pid}.part"}        # killed between the name and its place
        model.save(tmp_path / "m")
        assert os.listdir(tmp_path) == ["m"]


def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    model().save(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    monkeypatch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with refused(OSError, "Sequential.save: [Errno 28]…"):
        model(1).save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == before and os.listdir(tmp_path) == ["m"]


def test_without_the_package_saving_says_what_to_do(tmp_path, monkeypatch):
    small = Sequential(Affine.init(2, 3))
    for name in "safetensors", "safetensors.numpy":
        monkeypatch.setitem(sys.modules, name, None)
    for call in small.save, small.load:
        with refused(ImportError, "… safetensors … pip install safetensors; … np.savez('weights.npz', *model.params)…"):
            call(tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())
