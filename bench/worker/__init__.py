"""Code that runs inside the measured process.

Imports the standard library, torch and ultralytics only, and nothing of ``bench``. These files run under any
interpreter from Python 3.10 on that has torch and ultralytics. Nothing of this project has to be installed there.
"""
