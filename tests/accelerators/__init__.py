"""Every kind of accelerator on a machine that has none: real Ultralytics, real workers, a fake device.

Real: torch with its dispatcher, autograd, autocast and loss scaler; Ultralytics; everything of this project, which has
no hook for these tests. The kind has its own name in all of them.

Faked (``injected/``): the device. Its kernels are the CPU's, run one after another on a thread behind the host, so
that a clock that does not wait is wrong here as it is on a GPU; its memory is counted by tensors. ``npu`` is Python
alone; ``mps``, ``xpu`` and ``cuda`` also take registration.cpp, which g++ builds. ``injected/`` stands on PYTHONPATH of
the processes that are to have the device, and FAKE_ACCELERATOR names the kind.

What it cannot show: any speed; kernels that are wrong, missing or fall back to the CPU; caching allocators; several
devices, streams or ranks; ``torch.compile`` and graphs; drivers. A fake is no hardware.
"""
