"""What pytest sees of the suite: session state, options, progress, the bridge to pytest-benchmark."""
