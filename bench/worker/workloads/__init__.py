"""One file a way of training or running a model.

A workload offers ``run(session)``, which sets up, calls ``session.ready`` once, marks its steps on
``session.stopwatch`` and ``session.step_ended``, and ends by the exception that the latter raises; and
``check(session)``, which raises ``Refused`` if what ran did not work.
"""
