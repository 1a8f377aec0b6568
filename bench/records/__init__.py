"""What was seen: records, how a case ended, the store under ``results/``, and the upgrading of old records."""

from .outcome import Outcome, Status
from .record import Record

__all__ = ["Outcome", "Record", "Status"]
