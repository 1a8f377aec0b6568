"""Stands for Slurm's sbatch, srun and scancel: runs jobs on this machine with the variables that Slurm sets.

It is a program: copies of it are named as Slurm's are. Jobs are folders of the variable FAKE_SLURM.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

FLAGS = {"--exclusive", "--parsable"}
"""Options without a value; all others of these commands have one, mostly after a sign of equality."""


def read(arguments):
    """Options by name, and what follows them."""
    options, rest = {}, list(arguments)
    while rest and rest[0].startswith("-"):
        name, equals, value = rest.pop(0).partition("=")
        if name not in {*FLAGS, "--gres", "--nodelist", "--wrap", "--time"}:
            sys.exit(f"{Path(sys.argv[0]).name}: unrecognized option '{name}'")
        options[name] = value if equals else "" if name in FLAGS else rest.pop(0)
    return options, rest


def variables(number, options):
    """What Slurm sets for a job of one task on one node."""
    node, cores = options["--nodelist"], str(os.cpu_count())
    job = {
        "SLURM_JOB_ID": str(number),
        "SLURM_JOBID": str(number),
        "SLURM_JOB_NAME": "wrap",
        "SLURM_JOB_PARTITION": "main",
        "SLURM_CLUSTER_NAME": "fake",
        "SLURM_JOB_NODELIST": node,
        "SLURM_NODELIST": node,
        "SLURMD_NODENAME": node,
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_NNODES": "1",
        "SLURM_NTASKS": "1",
        "SLURM_NPROCS": "1",
        "SLURM_TASKS_PER_NODE": "1",
        "SLURM_CPUS_ON_NODE": cores,
        "SLURM_JOB_CPUS_PER_NODE": cores,
        "SLURM_NODEID": "0",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_SUBMIT_DIR": os.getcwd(),
        "SLURM_SUBMIT_HOST": "login",
    }
    gpu = {"SLURM_JOB_GPUS": "0", "SLURM_GPUS_ON_NODE": "1", "CUDA_VISIBLE_DEVICES": "0"}
    return {**os.environ, **job, **(gpu if "gpu" in options.get("--gres", "") else {})}


def main():
    jobs = Path(os.environ["FAKE_SLURM"])
    options, rest = read(sys.argv[1:])
    command = Path(sys.argv[0]).name
    if command == "scancel":
        os.killpg(int((jobs / rest[0] / "pid").read_text()), signal.SIGTERM)
        return
    number = 1 + len(list(jobs.iterdir()))
    (jobs / str(number)).mkdir()
    environment = variables(number, options)
    if command == "srun":
        sys.exit(subprocess.run(rest, env=environment).returncode)
    script = jobs / str(number) / "slurm_script"
    script.write_text(f"#!/bin/sh\n# This script was created by sbatch --wrap.\n\n{options['--wrap']}\n")
    script.chmod(0o700)
    with open(f"slurm-{number}.out", "w") as output:
        job = subprocess.Popen(
            [str(script)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    (jobs / str(number) / "pid").write_text(str(job.pid))
    print(f"Submitted batch job {number}")


main()
