"""The search for garbage is put off, and taken up again, whoever else puts it off."""

import gc
import os
import threading

import numpy as np
import pytest

import symdiff as sd
from symdiff.collector import collection_paused


def test_it_is_taken_up_when_the_last_is_done():
    with collection_paused():
        with collection_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_an_error_takes_it_up_too():
    with pytest.raises(KeyError), collection_paused():
        raise KeyError
    assert gc.isenabled()
    with pytest.raises(sd.UnsupportedOperationError):
        sd.jit(np.fft.fft)(np.ones(4))
    assert gc.isenabled()


def test_where_it_was_off_it_stays_off():
    gc.disable()
    try:
        with collection_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_threads_share_it():
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with collection_paused():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=stay)
    thread.start()
    inside.wait()
    with collection_paused():
        pass
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_begins_anew():
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with collection_paused():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=stay)
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if gc.isenabled() else 1)
    leave.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
