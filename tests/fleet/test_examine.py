"""``fleet doctor``: what a machine answers, or why it does not."""

import pytest

from bench.fleet import examine, messages
from bench.fleet.links import Unreachable
from bench.fleet.machines import MachineSpec

READY = messages.Examined("8 cores. Ready: cpu.", ["load: 9 on 2 cores"], True)


class Link:
    def __init__(self, answer):
        self.answer, self.closed = answer, False

    def send(self, line):
        start = messages.command(line)
        assert isinstance(start, messages.Start) and start.examine
        if self.answer:
            self.post(*self.answer)

    def close(self):
        self.closed = True


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (("line", messages.encode(READY)), READY),
        (("line", messages.encode(messages.Refused("no room.", 2))), "no room."),
        (("line", messages.encode(messages.Finished())), "it answers something else."),
        (("line", b"{"), "it answers something that is no message of this version."),
        (("ended", "its process ended with exit status 1"), "its process ended with exit status 1."),
        (None, "it does not answer within 0.1 s."),
    ],
)
def test_a_machine_answers_or_one_sentence_says_why_not(monkeypatch, answer, expected):
    monkeypatch.setattr(examine, "ANSWER_SECONDS", 0.1)
    link = Link(answer)

    def connect(spec, post):
        link.post = post
        return link

    assert examine.examine(MachineSpec("a"), connect) == expected
    assert link.closed


def test_a_machine_that_cannot_be_reached_says_why():
    def connect(spec, post):
        raise Unreachable("it cannot be reached.")

    assert examine.examine(MachineSpec("a"), connect) == "it cannot be reached."
