"""``python -m bench``, and the script ``yolopace``."""

from bench import early_signals

early_signals.end_with_one_sentence()

from bench.cli.app import main  # noqa: E402 - from here on Ctrl-C is one sentence

if __name__ == "__main__":
    main()
