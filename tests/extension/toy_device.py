"""A device kind: the processors of the machine by another name."""


def register():
    """Add the kind to the suite: how users write one, and what the runner and the page have to know of it."""
    from bench.cases.device_kinds import DeviceKind, register

    register(
        DeviceKind(
            name="toy",
            title="Toy device",
            written="toy",
            indexed=False,
            on_host=True,
            own_memory=False,
            asynchronous=False,
            compare_losses="never",
            weighs_steps=True,
            turn_steps=1,
        )
    )


def register_worker(worker):
    """Add the kind to a worker, which drives it."""
    base = worker.devices.base

    class ToyDevice(worker.devices.Device):
        """A synchronous device: there is nothing to wait for, and the clock times the phases."""

        kind = "toy"
        torch_device = "cpu"  # for torch.device
        device_argument = "cpu"  # what the library is given as its device
        local_name = "cpu"  # what is read back from it

        def memory(self):
            """Return each memory figure with its method, or with the reason why there is none."""
            missing = base.memory_value(None, "the toy has no memory and no allocator of its own")
            names = ("allocated", "reserved", "device")
            return {**dict.fromkeys(names, missing), "process": base.process_peak()}

        def info(self):
            """Return what the record says of the device."""
            return {"name": "Toy"}

    worker.devices.register(ToyDevice.kind, ToyDevice)
