"""Locks in a process that is forked while another thread holds them."""

import os
import signal
import threading
import time

import pytest

from symdiff.locks import LocalLock, global_lock


def in_child(work):
    """Run something in a forked child; give its exit status, which is a signal's if it hangs."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.alarm(30)
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def take(lock):
    with lock:
        pass


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("make", [global_lock, LocalLock])
def test_a_child_does_not_wait_for_a_thread_of_its_parent(make):
    lock, is_held = make(), threading.Event()

    def hold():
        with lock:
            is_held.set()
            time.sleep(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    is_held.wait()
    assert in_child(lambda: take(lock)) == 0
    thread.join()
    take(lock)


@pytest.mark.parametrize("make", [global_lock, LocalLock])
def test_threads_exclude_each_other(make):
    lock, inside, most = make(), [], []

    def work():
        for _ in range(50):
            with lock, lock:
                inside.append(1)
                most.append(len(inside))
                time.sleep(1e-5)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(most) == 200
    assert max(most) == 1


def test_a_child_that_is_forked_within_can_leave():
    lock = LocalLock()

    def work():
        lock.__exit__(None, None, None)
        take(lock)

    with lock:
        assert in_child(work) == 0
    take(lock)
