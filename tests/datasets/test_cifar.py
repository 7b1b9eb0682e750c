"""load_cifar10 reads the binary version's archive where it lies, and believes nothing it says."""
import gzip
import io
import tarfile

import numpy as np
import pytest

from chainrule.datasets import class_names, load_cifar10
from tests.errors import refused

TRAIN = [f"data_batch_{i}.bin" for i in range(1, 6)]


def records(n, seed):
    made = np.random.default_rng(seed).integers(0, 256, (n, 3073), np.uint8)
    made[:, 0] %= 10
    return made


@pytest.fixture
def parts():
    return {name: records(2 + i, i) for i, name in enumerate([*TRAIN, "test_batch.bin"])}


def packed(folder, parts, inside="cifar-10-batches-bin/", change=lambda member: member):
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name, content in parts.items():
            content = bytes(content) if isinstance(content, bytes) else content.tobytes()
            member = tarfile.TarInfo(inside + name)
            member.size = len(content)
            archive.addfile(change(member), io.BytesIO(content))
    return folder


def test_both_splits_as_in_the_files(parts, tmp_path):
    (x, t), (x_test, t_test) = load_cifar10(folder=packed(tmp_path, parts))
    train = np.concatenate([parts[name] for name in TRAIN])
    assert (x.shape, x.dtype, t.dtype) == ((20, 3, 32, 32), np.float32, np.int64)
    np.testing.assert_array_equal(t, train[:, 0])
    np.testing.assert_array_equal(np.round(x * 255).reshape(20, -1), train[:, 1:])
    np.testing.assert_array_equal(t_test, parts["test_batch.bin"][:, 0])
    np.testing.assert_array_equal(load_cifar10("test", tmp_path)[0], x_test)
    np.testing.assert_array_equal(load_cifar10("train", tmp_path)[0], x)


def test_an_archive_without_gzip_and_other_files_in_it(parts, tmp_path):
    path = packed(tmp_path, {"readme.html": b"x" * 5000, **parts}) / "cifar-10-binary.tar.gz"
    (tmp_path / "cifar-10-binary.tar").write_bytes(gzip.decompress(path.read_bytes()))
    path.unlink()
    assert len(load_cifar10("test", tmp_path)[1]) == 7


def test_nothing_is_unpacked_and_no_path_is_followed(parts, tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    hostile = {"../../evil.bin": b"evil", "/etc/evil": b"evil",
               **{f"cifar-10-batches-bin/{name}": content for name, content in parts.items()}}
    load_cifar10(folder=packed(inside, hostile, inside=""))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["cifar-10-binary.tar.gz", "inside"]


def linked(member):
    if member.name.endswith("test_batch.bin"):
        member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0
    return member


def test_a_link_is_not_a_part(parts, tmp_path):
    with refused(ValueError, "load_cifar10: … cifar-10-binary.tar.gz … damaged…"):
        load_cifar10("test", packed(tmp_path, parts, change=linked))


@pytest.mark.parametrize("change, why", [
    ({"data_batch_4.bin": None}, "data_batch_4.bin…"),
    ({"data_batch_2.bin": b"x" * 3072}, "data_batch_2.bin … 3072 bytes … 10,000 records…"),
    ({"data_batch_2.bin": b""}, "data_batch_2.bin … 0 bytes…"),
    ({"data_batch_1.bin": bytes(10_001 * 3073)}, "data_batch_1.bin … 30733073 bytes…"),
    ({"bomb": bytes(220_000_000)}, "more…"),
])
def test_an_archive_of_other_content(parts, change, why, tmp_path, within):
    changed = {name: content for name, content in (change | parts | change).items()
               if content is not None}
    packed(tmp_path, changed)
    message = f"load_cifar10: … cifar-10-binary.tar.gz … {why}"
    with within(4 << 20), refused(ValueError, message):
        load_cifar10("train", tmp_path)


@pytest.mark.parametrize("spoil", [
    lambda b: b"", lambda b: b[:200], lambda b: b[:-9], lambda b: b[1:], lambda b: b"not gz" * 100,
    lambda b: gzip.compress(b"no archive" * 1000), lambda b: b[:300] + b"\0\0\0\0" + b[304:],
    lambda b: gzip.compress(header(b"L", 1 << 40)),
    lambda b: gzip.compress(header(b"x", 512) * 3000)])
def test_an_archive_that_is_damaged(parts, spoil, tmp_path):
    path = packed(tmp_path, parts) / "cifar-10-binary.tar.gz"
    path.write_bytes(spoil(path.read_bytes()))
    with refused(ValueError, "load_cifar10: … cifar-10-binary.tar.gz … damaged…"):
        load_cifar10(folder=tmp_path)


def header(kind, size):
    """A head of an archive that promises so many bytes of a long name, or of further heads."""
    member = tarfile.TarInfo("x")
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


def test_labels_that_are_not_of_ten_classes(parts, tmp_path):
    parts["test_batch.bin"][3, 0] = 10
    with refused(ValueError, "load_cifar10: … cifar-10-binary.tar.gz … 0..9 … 10…"):
        load_cifar10("test", packed(tmp_path, parts))


def test_another_split():
    with refused(ValueError, "load_cifar10: split should be 'train', 'test' or None for both, "
                             "got 'valid'"):
        load_cifar10("valid", ".")


def test_class_names():
    assert class_names("digits") == class_names("mnist") == tuple("0123456789")
    assert [class_names("fashion-mnist")[i] for i in (0, 9)] == ["T-shirt/top", "Ankle boot"]
    assert class_names("cifar10")[:2] == ("airplane", "automobile")
    with refused(ValueError, "class_names: name should be 'digits' or 'mnist' or "
                             "'fashion-mnist' or 'cifar10', got 'ptb'"):
        class_names("ptb")
