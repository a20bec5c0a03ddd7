import gc
import platform
import subprocess
import sys

import pytest

from restock.interpreter import settle_interpreter


def test_the_collector_leaves_alone_what_was_there_when_the_first_run_began_and_nothing_later() -> None:
    settle_interpreter()
    frozen = gc.get_freeze_count()
    later = [[number] for number in range(1000)]

    settle_interpreter()

    assert frozen > 10_000
    assert gc.get_freeze_count() <= frozen, f"{len(later)} objects that came later are frozen too"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="how other libraries keep memory is their own")
def test_blocks_of_some_megabytes_come_out_of_memory_that_the_process_has() -> None:
    code = (
        "import resource\n"
        "from restock.interpreter import settle_interpreter\n"
        "settle_interpreter()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(20):\n"
        "    blocks = [bytearray(3 * 2**20) for _ in range(10)]\n"
        "    del blocks\n"
        "pages = 30 * 2**20 // resource.getpagesize()\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / pages)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert float(done.stdout) < 3, "times that the memory of ten blocks was made ready, of twenty"
