"""Which variables of the environment are recorded, and that no secret is among them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from bench.environments.interpreter import ENTRY, variables
from bench.worker.interpreter import info
from bench.worker.interpreter.variables import HIDDEN, LONGEST, VARIABLES, chosen

SPEED = [
    *("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "GOMP_CPU_AFFINITY", "KMP_BLOCKTIME", "KMP_AFFINITY"),
    *("LIBOMP_USE_HIDDEN_HELPER_TASK", "MKL_NUM_THREADS", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR", "MKL_DYNAMIC"),
    *("ONEDNN_MAX_CPU_ISA", "ONEDNN_VERBOSE", "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_MAX_CPU_ISA"),
    *("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OPENCV_FOR_THREADS_NUM"),
    *(
        "ATEN_CPU_CAPABILITY",
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
        "TORCH_CUDNN_V8_API_DISABLED",
        "TORCH_COMPILE_DISABLE",
    ),
    *("TORCHINDUCTOR_MAX_AUTOTUNE", "TORCHDYNAMO_DISABLE", "TRITON_INTERPRET", "PYTORCH_ALLOC_CONF"),
    *("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_NO_CUDA_MEMORY_CACHING", "PYTORCH_MPS_FAST_MATH", "PYTORCH_MPS_PREFER_METAL"),
    *("CUDA_LAUNCH_BLOCKING", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_MAX_CONNECTIONS", "CUDA_MODULE_LOADING"),
    *("CUDA_FORCE_PTX_JIT", "CUDA_SCALE_LAUNCH_QUEUES", "CUDA_CACHE_DISABLE", "NVIDIA_TF32_OVERRIDE"),
    *("CUDNN_LOGLEVEL_DBG", "CUBLAS_WORKSPACE_CONFIG", "CUBLASLT_LOG_LEVEL", "NCCL_P2P_DISABLE", "NCCL_ALGO"),
    *("HIP_VISIBLE_DEVICES", "HSA_ENABLE_SDMA", "MIOPEN_FIND_MODE", "ROCBLAS_LAYER"),
    *("MTL_DEBUG_LAYER", "MTL_SHADER_VALIDATION", "MTL_HUD_ENABLED", "METAL_DEVICE_WRAPPER_TYPE"),
    *("MALLOC_ARENA_MAX", "MALLOC_CONF", "_RJEM_MALLOC_CONF", "JE_MALLOC_CONF", "GLIBC_TUNABLES", "LD_PRELOAD"),
    *("TCMALLOC_RELEASE_RATE", "MIMALLOC_PAGE_RESET", "MallocStackLogging", "DYLD_INSERT_LIBRARIES"),
    *("PYTHONMALLOC", "PYTHONDEVMODE", "PYTHONTRACEMALLOC", "PYTHONASYNCIODEBUG", "PYTHON_JIT", "PYTHON_GIL"),
    *("PYTHON_CPU_COUNT", "PYTHONOPTIMIZE", "PYTHONPERFSUPPORT", "COVERAGE_PROCESS_START"),
    *("LRU_CACHE_CAPACITY", "THP_MEM_ALLOC_ENABLE"),
]

NO_SPEED = [
    *("HOME", "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "WANDB_API_KEY"),
    *("CUDA_HOME", "CUDA_PATH", "CUDA_VERSION", "NCCL_VERSION", "CUDNN_VERSION", "TORCH_HOME", "TORCH_CUDA_ARCH_LIST"),
    *("TRITON_CACHE_DIR", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_REQUIRE_CUDA", "PYTHONHASHSEED", "PYTHONUNBUFFERED"),
]


@pytest.mark.parametrize("name", SPEED)
def test_what_changes_speed_is_recorded(name: str) -> None:
    assert chosen({name: "1"}) == {name: "1"}


@pytest.mark.parametrize("name", NO_SPEED)
def test_what_changes_no_speed_is_not(name: str) -> None:
    assert chosen({name: "1"}) == {}


@pytest.mark.parametrize(
    "name",
    [
        *("TORCH_API_KEY", "PYTORCH_HUB_TOKEN", "NCCL_SECRET", "TORCH_PASSWORD", "OMP_passwd", "CUDA_CREDENTIALS"),
        *("TORCH_PASSPHRASE", "MKL_PASS", "NCCL_PWD"),
    ],
)
def test_no_secret_is_recorded_whatever_its_name_begins_with(name: str) -> None:
    assert chosen({name: "hunter2"}) == {name: HIDDEN}


@pytest.mark.parametrize(
    "value",
    [
        "https://host/x?token=hunter2",
        "headers;Authorization: Bearer hunter2",
        "a=1,api_key=hunter2",
        '{"password": "x"}',
    ],
)
def test_no_secret_within_a_value_is_recorded(value: str) -> None:
    assert chosen({"OPENCV_FFMPEG_CAPTURE_OPTIONS": value}) == {"OPENCV_FFMPEG_CAPTURE_OPTIONS": HIDDEN}


@pytest.mark.parametrize("value", ["passive", "close,granularity=fine", "glibc.malloc.arena_max=1", "/opt/keys/lib.so"])
def test_values_that_only_sound_like_a_secret_are_recorded(value: str) -> None:
    assert chosen({"GLIBC_TUNABLES": value}) == {"GLIBC_TUNABLES": value}


def test_a_password_in_an_address_is_left_out_and_endless_values_are_cut() -> None:
    address = "redis://me:hunter2@box:6379/0"
    assert chosen({"TORCHINDUCTOR_REMOTE": address}) == {"TORCHINDUCTOR_REMOTE": "redis://box:6379/0"}
    assert chosen({"LD_PRELOAD": "x" * 9999}) == {"LD_PRELOAD": "x" * LONGEST}


def test_what_this_suite_sets_in_every_worker_is_nothing_that_was_chosen() -> None:
    assert chosen({"CUDA_DEVICE_ORDER": variables()["CUDA_DEVICE_ORDER"]}) == {} or "CUDA_DEVICE_ORDER" in os.environ
    assert chosen({"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}) == {"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}


def test_an_interpreter_and_a_worker_tell_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    monkeypatch.setenv("TORCH_API_KEY", "hunter2")
    assert info.facts()["variables"]["MALLOC_ARENA_MAX"] == "2"
    done = subprocess.run([sys.executable, str(ENTRY), "facts"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["variables"]["MALLOC_ARENA_MAX"] == "2"
    assert "hunter2" not in done.stdout


def test_no_prefix_is_so_short_that_it_takes_in_what_is_not_meant() -> None:
    assert all(len(prefix) >= 4 for prefix in VARIABLES)
    assert len(set(VARIABLES)) == len(VARIABLES)
