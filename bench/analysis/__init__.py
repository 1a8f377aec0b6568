"""What the records mean: pure numbers, no torch, no ultralytics, no files."""
