"""What the measured interpreter is: packages, identity, variables, memory layout."""
