"""yolopace: trustworthy throughput of real Ultralytics YOLO training and inference."""

__version__ = "0.1.0"
