"""Reading and writing below ``results/``: one folder per run, one JSON file per record."""

from .atomic import encoded, formatted, write_whole
from .decoding import Known, without_collecting
from .index import MANY, FolderState
from .reading import (
    UNREADABLE,
    comparisons_of,
    decode_file,
    files,
    fleet_runs,
    left_out,
    read,
    read_calibrations,
    read_ceilings,
    read_comparison,
    read_comparisons,
    read_files,
    read_fleet,
    read_options,
    read_tunings,
)
from .runs import check_new_run, new_run_name, resolve_run, runs
from .writing import Received, Store, Stored, keep_calibrations

__all__ = [
    "MANY",
    "UNREADABLE",
    "FolderState",
    "Known",
    "Received",
    "Store",
    "Stored",
    "check_new_run",
    "comparisons_of",
    "decode_file",
    "encoded",
    "files",
    "fleet_runs",
    "formatted",
    "keep_calibrations",
    "left_out",
    "new_run_name",
    "read",
    "read_calibrations",
    "read_ceilings",
    "read_comparison",
    "read_comparisons",
    "read_files",
    "read_fleet",
    "read_options",
    "read_tunings",
    "resolve_run",
    "runs",
    "without_collecting",
    "write_whole",
]
