"""Time steps: session, stopwatch, phases, lockstep."""
