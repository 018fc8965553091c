# SPDX-License-Identifier: Apache-2.0
"""A thread is waited for until its thread-local destructors have run."""

import ctypes
import os
import threading

from evitsam_ros.threads import join_os_thread

LINGERS_US = 700_000


def lingering_thread() -> threading.Thread:
    """Start a thread whose thread-local destructor, ``usleep``, takes longer than its Python code."""
    libc = ctypes.CDLL(None)
    key = ctypes.c_uint()
    assert libc.pthread_key_create(ctypes.byref(key), ctypes.cast(libc.usleep, ctypes.c_void_p)) == 0

    def work() -> None:
        libc.pthread_setspecific(key, ctypes.c_void_p(LINGERS_US))

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_the_destructors_of_a_thread_have_run_when_it_is_joined():
    thread = lingering_thread()
    assert join_os_thread(thread, 100)
    assert str(thread.native_id) not in os.listdir("/proc/self/task")


def test_a_running_thread_is_joined_up_to_the_time_limit():
    go = threading.Event()
    thread = threading.Thread(target=go.wait)
    thread.start()
    assert not join_os_thread(thread, 0.01)
    go.set()
    assert join_os_thread(thread, 100)
