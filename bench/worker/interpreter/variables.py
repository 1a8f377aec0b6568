"""Environment variables that change speed, by the documentation of the libraries that read them.

Names alone decide: a variable that is not of these libraries is never recorded, so that no secret is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

ALLOCATORS = (
    *("PYTHONMALLOC", "MALLOC_", "GLIBC_TUNABLES", "TCMALLOC_", "MIMALLOC_", "LD_PRELOAD", "LD_AUDIT"),
    *("_RJEM_", "JE_MALLOC", "HEAPPROFILE", "HEAPCHECK"),
    *("Malloc", "DYLD_INSERT_LIBRARIES"),
)
"""Prefixes of variables that set or replace the allocator: of Python and Linux, jemalloc and gperftools, macOS.
glibc reads ``MALLOC_ARENA_MAX`` and ``GLIBC_TUNABLES``, jemalloc ``MALLOC_CONF``."""

THREADS = ("OMP_", "GOMP_", "KMP_", "LIBOMP", "TBB_", "VECLIB_", "NUMEXPR_")
"""Prefixes of OpenMP's own variables, GNU's, LLVM's and Intel's, then of other libraries that start threads."""

MATHS = ("MKL_", "OPENBLAS_", "GOTO_", "BLIS_", "ONEDNN_", "DNNL_", "FBGEMM_", "XNNPACK_", "OPENCV_")
"""Prefixes of variables for CPU kernels: the instruction set they may use, how they split work, how much they log."""

TORCH = (
    *("PYTORCH_", "TORCH_", "TORCHINDUCTOR_", "TORCHDYNAMO_", "ATEN_", "TRITON_"),
    *("LRU_CACHE_CAPACITY", "THP_MEM_ALLOC_ENABLE", "DISABLE_ADDMM_CUDA_LT"),
)
"""Prefixes of torch's variables. ``ATEN_CPU_CAPABILITY`` takes vector instructions away; ``PYTORCH_`` has the
allocators and MPS. The last ones keep kernels of oneDNN, ask for huge pages, and choose another library for matrices.
"""

GPUS = (
    *("CUDA_", "CUDNN_", "CUBLAS_", "CUBLASLT_", "NVIDIA_TF32", "NCCL_", "GLOO_"),
    *("HIP_", "HSA_", "ROCR_", "ROCBLAS_", "HIPBLAS", "MIOPEN_", "GPU_MAX_HW_QUEUES", "AMD_LOG"),
    *("MTL_", "METAL_"),
)
"""Prefixes for CUDA and its libraries, ROCm, Metal. ``CUDA_LAUNCH_BLOCKING`` and ``MTL_SHADER_VALIDATION`` slow every
kernel."""

PYTHON = (
    *("PYTHONDEVMODE", "PYTHONTRACEMALLOC", "PYTHONASYNCIODEBUG", "PYTHONOPTIMIZE", "PYTHONPERFSUPPORT"),
    *("PYTHON_PERF_JIT", "PYTHON_JIT", "PYTHON_GIL", "PYTHON_TLBC", "PYTHON_CPU_COUNT", "PYTHONDUMPREFS"),
    *("COVERAGE_",),
)
"""Variables of the Python interpreter that cost or save time while it runs."""

VARIABLES = (*ALLOCATORS, *THREADS, *MATHS, *TORCH, *GPUS, *PYTHON)
"""Prefixes of all recorded variables."""

PLACES = ("_HOME", "_PATH", "_ROOT", "_DIR", "_VERSION", "_ARCH_LIST", "_SDK")
"""Suffixes of variables on places and builds: they do not change speed, and container images set many."""

SILENT = {("CUDA_DEVICE_ORDER", "PCI_BUS_ID"), ("TORCH_CPP_LOG_LEVEL", "ERROR")}
"""Variables that yolopace and Ultralytics set in every worker."""

SECRET = re.compile("KEY|TOKEN|SECRET|PASSW|PASSPHRASE|PASS$|PWD|CREDENTIAL|AUTH|COOKIE", re.IGNORECASE)
"""Words in the name of a variable whose value may be secret and is not recorded."""

SECRET_WITHIN = re.compile(rf"({SECRET.pattern.replace('$', '')})[\w-]*[\"']?\s*[=:;]", re.IGNORECASE)
"""Pattern of the text before a secret within a value: ``?token=``, ``headers;Authorization:``."""

HIDDEN = "(not recorded)"

LONGEST = 500
"""Maximum number of characters of a value that are kept."""


def chosen(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of an environment that change speed, sorted by name, without secrets.

    Where a name or a value hints at a secret, the value is replaced by :data:`HIDDEN`; a user and password in an
    address are left out.
    """
    return {
        name: HIDDEN
        if SECRET.search(name) or SECRET_WITHIN.search(value)
        else re.sub(r"://[^/@\s]*@", "://", value)[:LONGEST]
        for name, value in sorted(environment.items())
        if name.startswith(VARIABLES) and not name.endswith(PLACES) and (name, value) not in SILENT
    }
