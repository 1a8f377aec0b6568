"""Who starts it: processes, time limits, order, resume, environments. Nothing else in the project starts a process."""
