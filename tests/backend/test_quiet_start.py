"""The start of TensorFlow is quiet, and leaves the process's descriptors as they were."""

import os
import threading

from zoo.backend.quiet_start import descriptor_2_silenced


def test_threads_that_silence_at_once_leave_the_descriptor_open(capfd):
    together = threading.Barrier(2)
    first_is_in = threading.Event()

    def first():
        together.wait()
        with descriptor_2_silenced():
            first_is_in.set()
            threading.Event().wait(0.3)  # the second asks meanwhile

    def second():
        together.wait()
        first_is_in.wait()
        with descriptor_2_silenced():
            threading.Event().wait(0.3)  # the first ends meanwhile

    threads = [threading.Thread(target=one) for one in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"
