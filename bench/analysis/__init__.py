"""Analysis of records: pure numbers, no torch, no ultralytics, no files."""
