"""The suite as a plugin of pytest: session state, options, progress, the bridge to pytest-benchmark."""
