"""Everything that is Ultralytics' own: training, prediction, data sets, settings, checks."""
