# %% [markdown]
# The plots of the report, one by one. Run it cell by cell in a notebook, or whole: python docs/plots.py

# %%
from pathlib import Path

from bench.analysis.metrics import METRICS
from bench.analysis.table import frame, newest_rows
from bench.records.store import read
from bench.report.plots import api

records, complaints = read([Path("results/examples/linux-cpu")])
table = newest_rows(frame(records))
training = table[table["mode"] == "train"]

# %% [markdown]
# Throughput against batch; every figure is a plain matplotlib figure.

# %%
figure = api.throughput(training)
figure.axes[0].set_title("Training on this machine")
figure

# %% [markdown]
# Where a step goes, and how much faster a larger batch is. ``panel`` chooses among several.

# %%
api.steps(training)

# %%
api.speedup(table, {"batch": 4}, panel=0)

# %% [markdown]
# Any metric of the registry by its key.

# %%
print(", ".join(METRICS))
api.metric(training, "step_seconds")
