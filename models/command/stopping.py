"""Ctrl-C, SIGTERM and SIGHUP, as a callback of ``fit``."""
import signal
import threading


class Stopping:
    """Within a ``with`` block a signal ends the training after its step, with a last checkpoint;
    then ``fit`` raises KeyboardInterrupt. A second Ctrl-C does so at once."""
    last = True

    def __init__(self, checkpoint):
        self.checkpoint, self.signal, self.before = checkpoint, None, {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP"):
                number = getattr(signal, name, None)                  # Windows has no SIGHUP
                if number and signal.getsignal(number) != signal.SIG_IGN:       # as nohup has it
                    self.before[number] = signal.signal(number, self.notice)
        return self

    def __exit__(self, *error):
        for number, before in self.before.items():
            signal.signal(number, before)

    def notice(self, number, frame):
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number

    def after_step(self, trainer):
        comm = trainer.comm
        if any(comm.allgather(bool(self.signal))) if comm is not None else self.signal:
            self.checkpoint.write(trainer)
            raise KeyboardInterrupt

    __call__ = after_step
