"""What the data alone tell, and how well simple methods do."""
import numpy as np

from .report import Finding


def are_ids(x):
    """Whether an input names rows of a table."""
    return x.dtype.kind in "iu" and x.dtype.itemsize > 1


def not_finite(arrays):
    for name, a in arrays.items():
        if a.dtype.kind == "f" and not np.isfinite(a).all():
            bad = ~np.isfinite(a)
            yield Finding("non-finite", name, f"{bad.sum()} of {a.size} numbers are NaN or "
                          f"infinite, the first at {tuple(map(int, np.argwhere(bad)[0]))}",
                          "drop these samples or fill the gaps: np.nan_to_num, a column's mean",
                          True)


def columns(x):
    """Samples as rows of float64, a column for each feature."""
    return x.reshape(len(x), -1).astype(np.float64)


def standardized(x, like=None):
    """x with mean 0 and variance 1: each column, of images and sequences all numbers alike."""
    like = x if like is None else like
    axis = 0 if x.ndim == 2 else None
    mean, std = like.mean(axis, dtype=float), like.std(axis, dtype=float)
    return ((x - mean) / np.where(std > 0, std, 1)).astype(np.float32)


def standard_inputs(x):
    return tuple(a if are_ids(a) else standardized(a) for a in x)


def features(x, rows, like=None):
    """Some samples as rows of standardized columns."""
    pairs = zip(x, x if like is None else like)
    return np.concatenate([columns(standardized(one, two))[rows] for one, two in pairs], axis=1)


def distances(a, b):
    """The squared distance of each row of a from each of b."""
    return (a * a).sum(1)[:, None] - 2 * a @ b.T + (b * b).sum(1)


def scales(x, t, task, names):
    """Inputs, or targets that are quantities, far from mean 0 and variance 1."""
    for name, a in zip(names, x):
        if are_ids(a):
            continue
        c = columns(a[:5000])
        size, stds = np.sqrt(np.mean(c * c)), c.std(axis=0)
        varying = stds[stds > 0]
        if not varying.size:
            continue
        spread = 1
        if a.ndim == 2:
            spread = varying.max() / (varying.min() if len(stds) < 40 else np.median(varying))
        offset = abs(c.mean()) / c.std()
        if size > 6 or size < 0.02 or spread > 60 or offset > 6:
            yield Finding("inputs-not-scaled", name, f"it goes from {c.min():.4g} to "
                          f"{c.max():.4g}, root mean square {size:.3g}; standard deviations from "
                          f"{varying.min():.3g} to {varying.max():.3g}",
                          "(x - mean) / std of the training samples; images: x / 255")
    if task.kind == "values" and t.std() > 0:
        size = np.sqrt(np.mean(np.square(columns(t))))
        if size > 20 or size < 0.01:
            yield Finding("inputs-not-scaled", "t", f"it goes from {t.min():.4g} to {t.max():.4g}",
                          "(t - mean) / std, undone for predictions")


def validation_scales(x, x_val):
    for a, b in zip(x, x_val):
        if are_ids(a) or a.shape[1:] != b.shape[1:] or len(b) < 5:
            continue
        a, b = columns(a[:5000]), columns(b[:5000])
        ratio = b.std() / a.std() if a.std() else 1
        shift = np.median(np.abs(b.mean(0) - a.mean(0)) / np.where(a.std(0) > 0, a.std(0), np.inf))
        if not 0.2 < ratio < 5 or shift > 3:
            yield Finding("inputs-not-scaled", "validation x", f"standard deviation {b.std():.3g}, "
                          f"of the training inputs {a.std():.3g}; means {b.mean():.3g} and "
                          f"{a.mean():.3g}", "scale both with the training samples' mean and std",
                          True)


def keys(x, like=None):
    """Each sample as bytes, but for the last digits of its numbers."""
    rows = []
    for a, b in zip(x, x if like is None else like):
        size = np.abs(columns(b)).max(axis=0)
        rows.append(np.round(columns(a) / np.where(size > 0, size, 1), 6))
    return [row.tobytes() for row in np.concatenate(rows, axis=1)]


def by_chance(x):
    """How often two samples agree in every column if columns are independent: Π Σ p²."""
    counts = [np.unique(column, return_counts=True)[1]
              for a in x for column in columns(a[:2000]).T]
    return np.prod([np.square(n / n.sum()).sum() for n in counts])


def leakage(x, t, x_val, task):
    """More validation samples among the training samples than come again within these by chance;
    an input that holds the answer."""
    if x_val is not None and len(x_val[0]) >= 10 and len(x) == len(x_val):
        ours, theirs = keys(x), keys(x_val, x)
        seen = set(ours)
        share = sum(k in seen for k in theirs) / len(theirs)
        within = 1 - len(seen) / len(ours)
        discrete = any(are_ids(a) or a.ndim == 3 for a in x) or len(ours) * by_chance(x) > 1e-3
        if share > 0.04 + 3 * within * discrete:
            yield Finding("leakage", "validation_data", f"{share:.0%} of its samples are among the "
                          f"training samples ({within:.0%} of those come twice)",
                          "split before you resample or augment: train_test_split", True)
    a = x[0]
    if a.ndim != 2 or are_ids(a) or not 3 <= a.shape[1] <= 2000 or len(a) < 30:
        return
    labelled = task.labels is not None and task.labels.ndim == 1
    wanted = task.labels[:, None] if labelled else columns(t)
    if task.kind == "classes" and wanted.shape[1] == 1:
        wanted = np.concatenate([wanted, wanted == np.unique(wanted)], axis=1)
    if wanted.shape[1] > 50 or wanted.shape == a.shape:
        return
    a, b = ((m - m.mean(0)) / np.where(m.std(0) > 0, m.std(0), np.inf)
            for m in (columns(a), wanted.astype(float)))
    best = np.abs(a.T @ b / len(a)).max(axis=1)                 # correlations
    others = best[best <= 0.99]                # unlike it, unless every input is nearly the answer
    if best.max() > 0.99 and len(others) > 0.5 * len(best) and np.median(others) < 0.9:
        yield Finding("leakage", f"x[:, {best.argmax()}]", "its correlation with the target is "
                      f"{best.max():.4f}", "leave out what is known only with the answer", True)


def order(case, task):
    """Whether validation data or batches are another selection than the whole."""
    labels = task.labels if task.labels is not None and task.labels.ndim == 1 else None
    if case.validation is not None and len(case.validation[1]) >= 10:
        t_val = case.validation[1]
        if labels is not None:
            t_val = task.labels_of(t_val)
            both = np.unique(np.concatenate([labels, t_val]))
            shares = [np.array([(a == c).mean() for c in both]) for a in (labels, t_val)]
            moved = np.abs(shares[0] - shares[1]).sum() / 2
            if moved > 0.35 + 1.2 * (len(both) / len(t_val)) ** 0.5 * (len(both) > 2):
                yield Finding("not-shuffled", "validation_data", f"{moved:.0%} of its labels would "
                              "have to change for the classes to be as in training",
                              "shuffle before you split: train_test_split(x, t, stratify=t)", True)
        elif task.kind == "values" and case.t.std() > 0:
            moved = abs(t_val.mean() - case.t.mean()) / case.t.std()
            if moved > 1.2:
                yield Finding("not-shuffled", "validation_data", f"its targets are {moved:.1f} "
                              "standard deviations away from those of training",
                              "shuffle before you split: train_test_split", True)
    targets = (np.asarray(batch[-1]) for batch in case.batches()) if case.function else ()
    parts = [t for t in targets if len(t) >= 4]
    if len(parts) < 3:
        return
    if labels is not None:
        parts = [task.labels_of(p) for p in parts]
        purity = np.mean([np.unique(p, return_counts=True)[1].max() / len(p) for p in parts])
        counts = np.unique(np.concatenate(parts), return_counts=True)[1]
        overall = counts.max() / counts.sum()
        if purity > 0.5 + 0.5 * overall and overall < 0.9:
            yield Finding("not-shuffled", "batches", f"{purity:.0%} of a batch are of one class, "
                          f"{overall:.0%} of all", "shuffle: fit(x, t), or batches(x, t)", True)
    elif task.kind == "values" and parts[0].ndim <= 2:
        within = np.mean([p.var(axis=0).mean() for p in parts])
        overall = np.concatenate(parts).var(axis=0).mean()
        if within < 0.2 * overall:
            yield Finding("not-shuffled", "batches", f"within a batch targets vary {within:.3g}, "
                          f"in all {overall:.3g}", "shuffle: fit(x, t), or batches(x, t)", True)


def ordered(x, labels):
    """Whether whole numbers are quantities: near samples differ by little."""
    C = len(np.unique(labels))
    if C < 4 or labels.ndim > 1 or any(map(are_ids, x)) or len(labels) < 40:
        return False
    rows = np.random.default_rng(0).permutation(len(labels))[:1000]
    a, t = features(x, rows), labels[rows]
    squares = distances(a, a)
    np.fill_diagonal(squares, np.inf)
    near, any_two = (np.abs(t - t[other]) for other in (squares.argmin(1), rows.argsort()))
    differ = near > 0
    return differ.mean() > 0.1 and near[differ].mean() < 0.65 * any_two[any_two > 0].mean()


class Baseline:
    """How well nearest neighbours or ridge regression do, as a share of right labels or R²: on
    ``held_out`` training samples, in ``validation``; None where they do not apply."""

    def __init__(self, case, task):
        self.task, self.chance, self.held_out, self.validation = task, 0.0, None, None
        x, t, N = case.x, case.t, len(case.t)
        plain = task.kind == "values" and t.ndim <= 2 and t.size <= 64 * N
        if task.labels is not None:
            counts = np.unique(task.labels, return_counts=True)[1]
            self.chance, plain = float(counts.max() / counts.sum()), task.labels.ndim == 1
        wide = sum(a[0].size for a in x) > 20_000
        if not plain or wide or N < 40 or any(map(are_ids, x)):
            return
        rows = np.random.default_rng(1).permutation(N)[:2000]
        cut = len(rows) * 3 // 4
        self.held_out = self.score(self.table(x, t, rows[:cut]), self.table(x, t, rows[cut:]))
        if case.validation is not None and len(case.validation[1]) >= 10:
            x_val, t_val = case.validation
            self.validation = self.score(self.table(x, t, rows),
                                         self.table(x_val, t_val, slice(500), x))

    def table(self, x, t, rows, like=None):
        t = columns(t) if self.task.labels is None else self.task.labels_of(t)
        return features(x, rows, like), t[rows]

    def score(self, train, test):
        (x, t), (x_val, t_val) = train, test
        labelled = self.task.labels is not None
        classes = np.unique(np.concatenate([t, t_val])) if labelled else None
        wanted = (t[:, None] == classes).astype(float) if labelled else t
        k = min(5, len(x))
        near = np.argpartition(distances(x_val, x), k - 1, axis=1)[:, :k]
        made = [wanted[near].mean(axis=1)]
        if x.shape[1] <= 800:
            a, b = (np.c_[m, np.ones(len(m))] for m in (x, x_val))
            ridge = a.T @ a + (1 + 0.01 * len(a)) * np.eye(a.shape[1])
            made.append(b @ np.linalg.solve(ridge, a.T @ wanted))
        if labelled:
            return max(float((classes[m.argmax(1)] == t_val).mean()) for m in made)
        return max(explained(m, t_val) for m in made)


def explained(y, t):
    """R² over all outputs together."""
    total = np.square(t - t.mean(axis=0)).sum()
    return 1 - float(np.square(t - y).sum() / total) if total > 0 else 1.0
