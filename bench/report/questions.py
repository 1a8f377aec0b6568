"""The questions that the page answers."""

from __future__ import annotations

QUESTIONS = {
    "tune": "What should I set?",
    "speed": "How fast is it?",
    "device": "Which device?",
    "batch": "Which batch, and does it fit?",
    "amp": "Is AMP worth it?",
    "formats": "Which format?",
    "latency": "How long does one call take?",
    "time": "Where does the time go?",
    "more": "What else was measured?",
    "upgrades": "What did an upgrade change?",
    "claims": "Common claims, checked",
    "missing": "What was not measured?",
    "settings": "Which settings ran?",
    "method": "How was it measured?",
}
"""Questions that the page answers, in its order: headings above the sections."""
