"""The page's claims: those that are decided, with figures of other machines where a claim names several."""

from __future__ import annotations

from bench.claims.accuracy import Accuracy
from bench.claims.claim import claims
from bench.report.context import page
from bench.report.inputs import Inputs
from bench.report.page import html, markdown
from tests.builders import make_record
from tests.claims.test_every_claim import CORE_I9, M1_PRO, RTX_3060, table_of_guide


def decided(inputs: Inputs) -> dict[str, dict[str, str]]:
    """Return the verdicts that the page shows, by the fingerprint of the machine's first digit and the claim."""
    views = page(inputs).machines
    keys = [machine.key[0] for machine in inputs.machines]
    return {
        key: {
            result.claim.id: result.verdict.value
            for built in view.sections
            if built.section.key == "claims"
            for result in built.data.decided
        }
        for key, view in zip(keys, views, strict=True)
    }


def test_a_claim_on_three_machines_is_decided_where_their_records_meet() -> None:
    kit = table_of_guide()
    together = decided(Inputs(records=[*kit.records, *kit.elsewhere], epoch_images=1000))
    assert set(together) == {machine.fingerprint[0] for machine in (M1_PRO, RTX_3060, CORE_I9)}
    assert together["a"]["torch-table"] == "holds"
    assert "torch-table" not in together["b"] and "torch-table" not in together["c"]
    assert "torch-table" not in decided(Inputs(records=kit.records, epoch_images=1000))["a"]


def test_the_accuracy_that_a_user_names_is_judged() -> None:
    figures = [Accuracy("yolov8n", amp, 0.37 + 0.001 * seed) for amp in ("on", "off") for seed in range(3)]
    records = [make_record()]
    assert decided(Inputs(records=records, epoch_images=1000, accuracy=figures))["3"] == {"amp-map": "holds"}
    assert decided(Inputs(records=records, epoch_images=1000))["3"] == {}


def test_claims_without_a_verdict_are_counted_and_each_claim_names_its_guide() -> None:
    figures = [Accuracy("yolov8n", amp, 0.37 + 0.001 * seed) for amp in ("on", "off") for seed in range(3)]
    inputs = Inputs(records=[make_record()], epoch_images=1000, accuracy=figures)
    view = page(inputs)
    [data] = [built.data for built in view.machines[0].sections if built.section.key == "claims"]
    assert data.others == len(claims()) - 1
    for text in (html(view, b"").decode(), markdown(view)):
        assert f"{data.others} other claims of guides need conditions that were not measured here" in text
        assert "a guide to memory and AMP" in text and "docs/reference/claims.md" in text
    assert all(claim.source for claim in claims())
