"""A time limit on code that may never end, in any thread, without slowing it down."""
import threading
import time


class TimeUp(BaseException):
    """Raised inside code that ran too long; not an Exception, so that ``except Exception`` in it
    does not swallow it."""


class Watchdog:
    """Ends calls that take longer than ``seconds``, by the processor's clock, or ten times as long
    by the wall's: a second thread raises TimeUp in the one that made the watchdog.

    The exception arrives between two Python instructions, so a loop in Python is ended and one call
    inside NumPy is not.
    """

    def __init__(self, seconds):
        self.seconds, self.deadline, self.fired = seconds, None, False
        self.target, self.lock, self.done = (threading.get_ident(), threading.Lock(),
                                             threading.Event())

    def __enter__(self):
        self.thread = threading.Thread(target=self.watch, daemon=True)
        try:
            self.thread.start()
        # no thread can start, in a browser for example: no limit then
        except RuntimeError:
            self.thread = None
        return self

    def __exit__(self, *_):
        self.done.set()
        if self.thread is not None:
            self.thread.join()

    def watch(self):
        while not self.done.wait(self.seconds / 20):
            with self.lock:
                # Again and again until it leaves: a bare ``except:`` in the loop may swallow one.
                deadline = self.deadline  # which may be taken away at any moment
                if (deadline is not None and deadline is self.deadline
                    and (time.process_time() > deadline[0] or time.monotonic() > deadline[1])):
                    self.fired = True
                    raise_in(self.target, TimeUp)

    def call(self, f, *args):
        try:
            self.deadline = (time.process_time() + self.seconds,
                             time.monotonic() + 10 * self.seconds)
            return f(*args)
        except TimeUp:
            raise TimeUp(f"did not end within {self.seconds:g} s") from None
        finally:
            self.rest()

    def rest(self):
        """No deadline any more; an exception that is still on its way arrives here."""
        while True:
            try:
                self.deadline = None
                if self.fired:
                    with self.lock:
                        pass  # the watch has seen that there is no deadline
                    for _ in range(100):
                        pass
                    self.fired = False
                return
            except TimeUp:
                pass


def raise_in(thread, exception):
    """Raise an exception class in another thread (CPython), at its next instruction."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(exception))
