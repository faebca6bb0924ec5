"""What a machine has is read from the system's own files, and what would make it faster follows from it."""

import os
from dataclasses import replace
from email.message import Message

import pytest

from zoo.backend.hardware.machine import Machine, advice_for, has_nvidia, this_machine, usable_cores

INTEL = "processor : 0\nmodel name : Xeon\nflags : fpu sse2 avx2 avx512f avx_vnni\n\nprocessor : 1\nflags : fpu\n"
ARM = "processor : 0\nFeatures : fp asimd i8mm\n"


@pytest.fixture
def system(tmp_path):
    """Writes files of a system."""

    def write(**files):
        places = {"cpuinfo": "proc/cpuinfo", "meminfo": "proc/meminfo", "gpu": "proc/driver/nvidia/version"}
        places |= {"limit": "sys/fs/cgroup/memory.max", "quota": "sys/fs/cgroup/cpu.max"}
        for name, text in files.items():
            path = tmp_path / places[name]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return this_machine(tmp_path)

    return write


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (INTEL, {"AVX2": True, "AVX-512": True, "VNNI": True, "bf16": False}),
        (INTEL.replace("avx512f avx_vnni", "amx_bf16"), {"AVX2": True, "AVX-512": False, "VNNI": False, "bf16": True}),
        (ARM, {"bf16": False, "NEON": True}),
        ("nothing that is known\n", None),
    ],
)
def test_instructions_are_those_of_the_first_core(system, cpuinfo, expected):
    assert system(cpuinfo=cpuinfo).instructions == expected


def test_memory_is_the_machines_or_the_containers_limit(system):
    assert system(meminfo="MemTotal: 2000 kB\nMemFree: 1 kB\n", limit="max\n").memory == 2_048_000
    assert system(limit="1000\n").memory == 1000
    assert system(limit="9999999999\n").memory == 2_048_000


def test_a_container_may_use_as_many_cores_as_its_quota_pays_for(system):
    assert system(quota="max 100000\n").cores == len(os.sched_getaffinity(0))
    assert system(quota="50000 100000\n").cores == 1
    assert system(quota="9900000 100000\n").cores == len(os.sched_getaffinity(0))


def test_a_system_that_says_nothing_is_a_machine_too(system):
    machine = system()
    assert (machine.memory, machine.instructions, machine.has_nvidia) == (None, None, False)
    assert machine.engines["TensorFlow"]
    assert system(gpu="NVRM 550\n").has_nvidia


QUICK = Machine(
    cores=8,
    all_cores=8,
    memory=2**34,
    free_memory=2**33,
    instructions={"AVX2": True},
    engines={"TensorFlow": "2.21.0", "OpenVINO": "2026.0"},
    has_nvidia=False,
)


def test_threads_that_are_held_back_are_named_with_what_to_type():
    (advice,) = advice_for(QUICK, {"TF_NUM_INTRAOP_THREADS": "2", "OMP_NUM_THREADS": "8"})
    assert advice.why == "TF_NUM_INTRAOP_THREADS is 2, and 8 cores may be used"
    assert advice.type == "unset TF_NUM_INTRAOP_THREADS"
    assert advice_for(replace(QUICK, cores=2), {"TF_NUM_INTRAOP_THREADS": "2"}) == ()


def test_a_fused_operation_that_is_turned_off_is_named():
    (advice,) = advice_for(QUICK, {"ZOO_NATIVE_OPERATIONS": "0"})
    assert advice.type == "unset ZOO_NATIVE_OPERATIONS"


def test_an_engine_that_is_turned_off_is_named_where_it_is_installed():
    (advice,) = advice_for(QUICK, {"ZOO_ENGINE": "keras"})
    assert advice.type == "unset ZOO_ENGINE"
    without = replace(QUICK, instructions={}, engines={**QUICK.engines, "OpenVINO": None})
    assert advice_for(without, {"ZOO_ENGINE": "keras"}) == ()


def test_a_gpu_that_tensorflow_cannot_use_comes_first():
    advice = advice_for(replace(QUICK, has_nvidia=True), {"OMP_NUM_THREADS": "1"})
    assert [one.type for one in advice] == ["pip install 'zoo[cuda]'", "unset OMP_NUM_THREADS"]
    assert advice_for(QUICK, {}) == ()


def test_the_runtime_that_predictions_start_quickest_with_is_named_where_it_is_missing(monkeypatch):
    installed = Message()
    installed["Provides-Extra"] = "export"
    monkeypatch.setattr("importlib.metadata.metadata", lambda name: installed)
    (advice,) = advice_for(replace(QUICK, engines={**QUICK.engines, "LiteRT": None}), {})
    assert advice.type == "pip install 'zoo[export]'"
    assert advice_for(replace(QUICK, engines={**QUICK.engines, "LiteRT": "2.3.0"}), {}) == ()


def test_looking_for_cores_and_a_gpu_is_what_the_whole_look_finds(system, tmp_path):
    machine = system(quota="50000 100000\n", gpu="NVRM 550\n")
    assert (usable_cores(tmp_path), has_nvidia(tmp_path)) == (machine.cores, machine.has_nvidia) == (1, True)
