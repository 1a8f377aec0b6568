"""Determinism, memory layout, compilation, and work and recovery that happen without a word."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.cases.recipe import overrides_for
from bench.runner.jobs import case_job
from bench.runner.launchers.local import scratch_folder
from bench.worker import effective_settings
from bench.worker.devices.cpu import Cpu
from bench.worker.rejection import CaseRejected
from bench.worker.timing.session import Session
from bench.worker.workloads.ultralytics import isolation, read_settings, train
from bench.worker.workloads.ultralytics.models import find_model
from tests.end_to_end.real.conftest import tiny
from tests.end_to_end.settings.seen import ULTRALYTICS, accepted, refused, training


def test_determinism_is_read_back_and_its_loss_is_noticed(trainer):
    from ultralytics.utils.torch_utils import unset_deterministic

    runs = training(trainer)
    assert runs["deterministic"] is runs["cudnn_deterministic"] is True
    assert runs["variables"]["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    unset_deterministic()
    assert refused(training(trainer)) == "deterministic True requested, deterministic False would run."


@pytest.mark.parametrize("fills", [True, False])
def test_the_filling_of_new_tensors_is_read_back(trainer, fills):
    """Ultralytics before 8.4.155 left it on: one kernel for every tensor that is made."""
    import torch

    torch.utils.deterministic.fill_uninitialized_memory = fills
    assert effective_settings.torch_settings()["fill_uninitialized_memory"] is fills
    torch.use_deterministic_algorithms(False)
    assert effective_settings.torch_settings()["fill_uninitialized_memory"] is False


def test_the_memory_layout_is_read_back(set_up):
    import torch

    trainer = set_up()
    assert training(trainer)["channels_last"] is False  # on a CPU Ultralytics never trains in it
    trainer.model.to(memory_format=torch.channels_last)
    assert training(trainer)["channels_last"] is True


def test_a_model_that_goes_on_uncompiled_is_noticed(set_up, monkeypatch):
    from torch._inductor import cpp_builder

    def none():
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none)
    trainer = set_up(compile=True)
    runs = training(trainer)
    assert "compiled True requested, compiled False would run." in refused(runs, {"compile": True})
    assert overrides_for("train")["compile"] is overrides_for("predict")["compile"] is False


def test_a_compiled_model_is_distinguished_from_a_plain_one():
    """By the name of torch's own class, which takes five seconds to import."""
    import torch

    assert "\nclass OptimizedModule(" in (Path(torch.__file__).parent / "_dynamo" / "eval_frame.py").read_text()
    model = torch.nn.Conv2d(3, 3, 1)
    compiled = type("OptimizedModule", (), {"_orig_mod": model})()
    assert (read_settings.is_compiled(model), read_settings._inner(model)) == (False, model)
    assert (read_settings.is_compiled(compiled), read_settings._inner(compiled)) == (True, model)


@pytest.mark.parametrize("mode", ["default", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune"])
def test_the_mode_of_a_compiled_model_is_read_back(mode):
    import torch

    model = torch.nn.Conv2d(3, 3, 1)
    assert read_settings.compile_mode(model) == "off"
    assert read_settings.compile_mode(torch.compile(model, mode=mode, backend="inductor")) == mode
    assert read_settings.compile_mode(type("OptimizedModule", (), {"_orig_mod": model})()) is None


def test_a_last_batch_that_is_left_out_is_noticed(set_up):
    trainer = set_up(batch=6)
    trainer.args.compile = True  # what makes Ultralytics leave it out
    trainer.train_loader = trainer.get_dataloader(trainer.data["train"], batch_size=6, rank=-1, mode="train")
    assert "drop_last False requested, drop_last True would run." in refused(training(trainer), batch=6)


def test_nothing_is_validated_or_saved_at_the_end(arguments):
    """Left alone, the last epoch validates, saves, and validates the best model again, whatever was asked."""
    works = SimpleNamespace(record_gradients=lambda trainer: None)
    trainer = train.trainer_class(SimpleNamespace(), works)(overrides=arguments)
    assert not trainer.save_model()
    assert trainer.final_eval() is None
    assert trainer.validate() == ({}, None)
    assert not list(trainer.wdir.iterdir())
    assert (trainer.args.val, trainer.args.save, trainer.args.plots) == (False, False, False)
    assert trainer.epochs >= 100_000  # so that no last epoch is reached


def test_plots_are_noticed(monkeypatch, trainer):
    monkeypatch.setattr(trainer.args, "plots", True)
    assert refused(training(trainer)) == "plots False requested, plots True would run."


def test_an_epoch_restarted_after_nan_spoils_the_window(monkeypatch, trainer):
    import torch

    before = training(trainer)
    monkeypatch.setattr(trainer, "loss", torch.tensor(float("nan")))
    assert trainer._handle_nan_recovery(epoch=0) is False  # never in the first epoch: training goes on with NaN
    with pytest.raises(RuntimeError, match=r"last\.pt"):  # in any other from a checkpoint, of which there is none
        trainer._handle_nan_recovery(epoch=1)
    monkeypatch.setattr(trainer, "nan_recovery_attempts", 1)
    with pytest.raises(CaseRejected, match="nan_recoveries from 0 to 1"):
        effective_settings.check_unchanged(before, training(trainer), ULTRALYTICS.may_change)


def test_boxes_assigned_image_by_image_spoil_the_window(set_up, monkeypatch):
    """The first call finds no memory, which is made up; the slow path that follows is Ultralytics'."""
    import torch
    from ultralytics.utils.tal import TaskAlignedAssigner

    trainer = set_up()
    before = training(trainer)
    assert before["assigner_fallback"] in (False, None)
    trainer.model.criterion = trainer.model.init_criterion()
    assigner = trainer.model.criterion.assigner
    whole, calls = TaskAlignedAssigner._forward, []

    def small(self, scores, *rest, **extra):
        calls.append(len(scores))
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return whole(self, scores, *rest, **extra)

    monkeypatch.setattr(TaskAlignedAssigner, "_forward", small)
    boxes = torch.tensor([[[0.0, 0.0, 8.0, 8.0]]]).repeat(2, 1, 1)
    scores, points = torch.rand(2, 16, 80), torch.rand(16, 2) * 16
    assigner(scores, torch.rand(2, 16, 4) * 16, points, torch.zeros(2, 1, 1), boxes, torch.ones(2, 1, 1))
    assert calls[0] == 2
    with pytest.raises(CaseRejected, match="CUDA out of memory in TaskAlignedAssigner"):
        effective_settings.check_unchanged(before, training(trainer), ULTRALYTICS.may_change)
    if before["assigner_fallback"] is False:
        assert training(trainer)["assigner_fallback"] is True


def test_what_ultralytics_only_logs_spoils_the_window(trainer):
    """Whatever an older or newer version calls it: a warning between the two looks is a change."""
    before = training(trainer)
    accepted(before)
    logging.getLogger("ultralytics").warning("CUDA OutOfMemoryError in TaskAlignedAssigner, using CPU")
    with pytest.raises(CaseRejected, match="warnings from none to CUDA OutOfMemoryError") as caught:
        effective_settings.check_unchanged(before, training(trainer), ULTRALYTICS.may_change)
    assert caught.value.status == "invalid"


def test_the_version_stands_in_every_record(trained):
    """What a version does by itself, such as padding boxes on mps (ultralytics#26742), shows in it alone."""
    from ultralytics import __version__

    assert trained.environment.packages["ultralytics"] == __version__
    assert trained.environment.packages["torch"]


def test_every_integration_is_off_and_nothing_listens(trainer):
    from ultralytics import settings

    isolation.after_import()
    assert not any(settings[name] for name in isolation.INTEGRATIONS if name in settings)
    assert training(trainer)["integrations"] == []


def test_an_integration_that_listens_is_noticed(monkeypatch, trainer):
    """None of these packages need be installed: the callback says which module of Ultralytics it belongs to."""

    def log(trainer):
        return None

    monkeypatch.setitem(trainer.callbacks, "on_train_batch_end", [log])
    for name in ("mlflow", "tensorboard", "wb", "comet", "clearml", "dvc"):
        log.__module__ = f"ultralytics.utils.callbacks.{name}"
        assert refused(training(trainer)).startswith(f"integrations none requested, integrations {name} would run")


def test_usage_events_and_platform_count_only_while_they_are_on(monkeypatch):
    def listen(trainer):
        return None

    asleep = SimpleNamespace(events=SimpleNamespace(enabled=False))
    awake = SimpleNamespace(events=SimpleNamespace(enabled=True))
    listen.__module__ = "ultralytics.utils.events"
    for module, integrations in ((asleep, []), (awake, ["events"])):
        monkeypatch.setitem(read_settings.sys.modules, "ultralytics.utils.events", module)
        assert read_settings._integrations({"on_train_start": [listen]}) == integrations
    for key, integrations in ((None, []), ("ul_0", ["events"])):
        monkeypatch.setitem(read_settings.sys.modules, "ultralytics.utils.events", SimpleNamespace(_api_key=key))
        assert read_settings._integrations({"on_train_start": [listen]}) == integrations


def test_what_was_imported_before_settings_were_off_is_silenced(monkeypatch):
    """A preloaded parent imports callbacks first; older versions look at the settings only then."""
    listening = SimpleNamespace(callbacks={"on_train_start": print})
    events = SimpleNamespace(events=SimpleNamespace(enabled=True))
    monkeypatch.setitem(isolation.sys.modules, "ultralytics.utils.callbacks.clearml", listening)
    monkeypatch.setitem(isolation.sys.modules, "ultralytics.utils.events", events)
    isolation.after_import()
    assert listening.callbacks == {}
    assert events.events.enabled is False


def test_read_back_of_a_trainer_is_small_and_knows_every_pin(trainer):
    runs = training(trainer)
    assert len(json.dumps({**runs, "variables": {}})) < 1600
    assert json.loads(json.dumps(runs)) == runs
    named = {"compile": "compiled"}
    assert {named.get(override, override) for override in overrides_for("train")} <= set(runs)


@pytest.mark.parametrize("network", [False, True])
def test_nothing_is_installed_or_fetched(monkeypatch, tmp_path, network):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    isolation.before_import(str(tmp_path), network=network)
    assert os.environ["YOLO_AUTOINSTALL"] == "false"
    assert os.environ["YOLO_OFFLINE"] == ("false" if network else "true")
    assert os.environ["YOLO_CONFIG_DIR"] == str(tmp_path)


def test_ultralytics_reads_at_its_import_that_it_must_not_install(tmp_path):
    """In a process of its own: another test may have imported Ultralytics here before the variable was set."""
    program = (
        "import sys\n"
        "from bench.worker.workloads.ultralytics import isolation\n"
        "isolation.before_import(sys.argv[1], network=False)\n"
        "from ultralytics.utils import AUTOINSTALL\n"
        "print(AUTOINSTALL)\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=120, check=True
    )
    assert output.stdout.splitlines()[-1] == "False"


def test_every_case_has_an_empty_folder_of_its_own(cache, data):
    with scratch_folder() as folder, scratch_folder() as other:
        assert folder != other
        assert not list(Path(folder).iterdir())
        session = Session(case_job(tiny(), {"source": data}, folder), ULTRALYTICS, SimpleNamespace(), Cpu())
        assert train.arguments_of(session, find_model("yolov8n"))["project"] == folder
    assert not Path(folder).exists()


def test_memory_peaks_are_reset_after_set_up(trainer, data, tmp_path):
    """On CUDA the check of amp and Ultralytics' own set-up would be in them; see the order of what happens."""
    events = []

    class Noted(Cpu):
        def reset_peaks(self):
            events.append("peaks")
            super().reset_peaks()

    channel = SimpleNamespace(send=lambda event: events.append(getattr(event, "name", event.event)))
    job = case_job(tiny(batch=8), {"source": data}, str(tmp_path))
    settings = read_settings.read_trainer(trainer, Cpu())
    Session(job, ULTRALYTICS, channel, Noted()).ready(settings, accumulation_steps=8)
    assert events[:3] == ["effective", "peaks", "warmup"]
