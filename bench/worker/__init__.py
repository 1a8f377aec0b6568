"""Code that runs inside the measured process.

Imports the standard library, torch and ultralytics only, and nothing of ``bench``: these files run under any
interpreter from Python 3.10 on that has torch and ultralytics, with nothing of this project installed there.
"""
