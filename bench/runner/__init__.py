"""Start worker processes and run cases in them: time limits, order, resume."""
