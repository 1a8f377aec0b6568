"""Keep a measurement off the network, and free of the variables by which accelerate changes a case."""

from __future__ import annotations

import os

FOREIGN = (
    "ACCELERATE_",
    "FSDP_",
    *("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_"),
    *("OMPI_COMM_WORLD_", "PMI_", "MV2_COMM_WORLD_"),
    "KUBEFLOW_TRAINER_",
)
"""Prefixes of variables that are taken out. accelerate takes device, precision and ranks from them; Kubeflow's switches
an integration on that no argument switches off."""

MPS_FALLBACK = "PYTORCH_ENABLE_MPS_FALLBACK"
"""Variable that torch reads once, as it is imported. accelerate sets it later on mps, where it has no effect."""


def before_import(config: str) -> None:
    """Set the environment variables that Transformers, accelerate and torch read at their import.

    Args:
        config: folder for what the libraries keep, in place of the user's own.
    """
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]
    os.environ["HF_HOME"] = os.path.join(config, "huggingface")
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["DISABLE_KUBEFLOW_INTEGRATION"] = "TRUE"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    # Asking torch for its CUDA devices must not initialise the driver: a forked child could not use it any more.
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.path.join(config, "compiled"))
