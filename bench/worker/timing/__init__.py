"""When steps begin and end: session, stopwatch, phases, lockstep."""
