"""Records and outcomes of cases, the store under ``results/``, and the migration of old files."""

from .outcome import Outcome, Status
from .record import Record

__all__ = ["Outcome", "Record", "Status"]
