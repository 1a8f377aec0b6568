"""Live comparisons of two environments, sweeps and bisections of releases, and recorded runs against each other."""
