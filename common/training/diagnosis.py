"""What the curves of a training tell."""
import numpy as np

from .report import Finding, Report


def diagnose(history):
    """A Report on the curves of a History, on their shape alone."""
    epochs = {name: np.asarray(values, float) for name, values in history.epochs.items()}
    steps = np.asarray(history.steps.get("loss", ()), float)
    loss = epochs.get("loss", steps)
    if not len(loss):
        return Report("History")
    unit = "epoch" if "loss" in epochs else "step"
    measured = {"loss": f"{loss[0]:.4g} in the first {unit}, {loss[-1]:.4g} in the last, of "
                        f"{len(loss)}"}
    if "val_loss" in epochs:
        val = epochs["val_loss"]
        low = int(val.argmin())
        measured["val_loss"] = (f"{val[low]:.4g} at its lowest, in epoch {low + 1}, "
                                f"{val[-1]:.4g} at the end")
    return Report("History", of_curves(loss, steps, epochs, unit), measured)


def of_curves(loss, steps, epochs, unit):
    bad = [name for name, values in epochs.items() if not np.isfinite(values).all()]
    if bad or not np.isfinite(loss).all():
        column = bad[0] if bad else "loss"
        at = np.argmin(np.isfinite(epochs.get(column, loss))) + 1
        yield Finding("non-finite", column, f"NaN or infinite in {unit} {at}",
                      "doctor(trainer, x, t) finds the layer")
        return
    first = steps[0] if len(steps) else loss[0]
    lowest, last = loss.min(), loss[-1]
    val = epochs.get("val_loss")
    right = epochs.get("val_accuracy", epochs.get("accuracy"))
    if len(loss) > 1 and np.ptp(loss) == 0 and (not len(steps) or np.ptp(steps) == 0):
        yield Finding("frozen", "loss", f"it is {last:.4g} in every {unit}",
                      "is the optimizer given the model's params and grads, is lr 0?")
        return
    lost = 0 < 3 * lowest < last and last > 0.5 * first
    if lost or last > 1.05 * max(first, loss[0]):
        yield Finding("learning-rate-too-high", "loss", f"it starts at {first:.4g}, its lowest is "
                      f"{lowest:.4g}, it ends at {last:.4g}", "a tenth of the learning rate")
        return
    unsure = right is None or right[-1] < 0.9
    if len(loss) > 2 and 0 <= first - last < 0.03 * abs(first) and unsure:
        yield Finding("learning-rate-too-low", "loss", f"from {first:.4g} to {last:.4g} in "
                      f"{len(loss)} {unit}s", "ten times the learning rate; lr_range shows it")
    if val is not None and len(val) > 2:
        low = int(val.argmin())
        well = right is not None and right[-1] > 0.97
        if val[-1] > 1.2 * val[low] and last < 0.6 * val[-1] and low < len(val) - 2 and not well:
            yield Finding("overfitting", "val_loss", f"{val[low]:.4g} in epoch {low + 1}, then it "
                          f"rises to {val[-1]:.4g} while the training loss falls to {last:.4g}",
                          "more data, augment=, weight_decay=, Dropout, a smaller model, or stop "
                          f"after epoch {low + 1}")
            return
    still = all(fall(curve) > 0.05 for curve in ([loss] if val is None else [loss, val]))
    if still and (right is None or right[-1] < 0.95) and last > 0.1 * first:
        yield Finding("too-few-epochs", "loss", f"over the last {unit}s it still falls by "
                      f"{fall(loss):.0%}" if len(loss) > 1 else f"of one {unit}", "more epochs")


def fall(loss):
    """By which share the loss fell over the last fifth of the epochs."""
    if len(loss) < 2:
        return 1.0
    before = loss[-1 - max(1, len(loss) // 5)]
    return (before - loss[-1]) / max(abs(before), np.finfo(float).eps)
