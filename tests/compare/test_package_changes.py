"""Two lists of packages become a difference, and that one line."""

import random

import pytest

from bench.compare.package_changes import MOST, PackageChange, format_changes, package_changes

BASE = ["nvidia-cudnn-cu13==9.24.0.1", "numpy==2.4.0", "torch==2.14.1", "triton==3.5", "ultralytics==8.4.190"]
HEAD = ["nvidia-cudnn-cu13==9.26.0.3", "numpy==2.4.0", "torch==2.15.0", "triton==3.6", "ultralytics==8.4.190"]


def versions(count, version):
    return [f"lib{number:02}=={version}" for number in range(count)]


def test_what_differs_by_name():
    assert package_changes(BASE, HEAD) == [
        PackageChange("nvidia-cudnn-cu13", "9.24.0.1", "9.26.0.3"),
        PackageChange("torch", "2.14.1", "2.15.0"),
        PackageChange("triton", "3.5", "3.6"),
    ]


def test_a_side_that_lacks_a_package_has_an_empty_version():
    assert package_changes(["a==1"], ["b==2"]) == [PackageChange("a", "1", ""), PackageChange("b", "", "2")]


def test_neither_the_order_nor_what_is_equal_plays_a_part():
    draw = random.Random(4)
    for _ in range(50):
        base = {f"p{number}": draw.choice("123") for number in draw.sample(range(20), 12)}
        head = {f"p{number}": draw.choice("123") for number in draw.sample(range(20), 12)}
        lists = [[f"{name}=={version}" for name, version in side.items()] for side in (base, head)]
        changes = package_changes(*lists)
        assert changes == package_changes(*(draw.sample(packages, len(packages)) for packages in lists))
        assert {change.name for change in changes} == {name for name, _ in base.items() ^ head.items()}
        assert all(
            (base.get(change.name, ""), head.get(change.name, "")) == (change.base, change.head) for change in changes
        )
        assert [PackageChange(change.name, change.head, change.base) for change in changes] == package_changes(
            *lists[::-1]
        )


def test_ultralytics_is_one_package_whichever_distribution_brings_it():
    plain, headless = ["ultralytics==8.3.230"], ["ultralytics-opencv-headless==8.4.0"]
    changes = package_changes(plain, headless)
    assert changes == [PackageChange("ultralytics", "8.3.230", "8.4.0")]
    assert package_changes(["ultralytics==8.4.0"], headless) == []
    assert (
        format_changes(changes, ["ultralytics-opencv-headless"]) == "ultralytics 8.3.230 → 8.4.0; nothing else differs"
    )


@pytest.mark.parametrize(
    ("base", "head", "asked", "line"),
    [
        (BASE, BASE, ["torch"], "both hold the same packages"),
        (["torch==1"], ["torch==2"], ["torch"], "torch 1 → 2; nothing else differs"),
        (
            BASE,
            HEAD,
            ["torch"],
            "torch 2.14.1 → 2.15.0; it also brought nvidia-cudnn-cu13 9.24.0.1 → 9.26.0.3 and triton 3.5 → 3.6",
        ),
        (
            ["a==1", "torch==1", "ultralytics==1"],
            ["a==2", "torch==2", "ultralytics==2"],
            ["ultralytics", "torch"],
            "torch 1 → 2, ultralytics 1 → 2; they also brought a 1 → 2",
        ),
        (BASE, [*BASE, "cuda-tile==1"], [], "they differ in cuda-tile 1 (new)"),
        (["numpy==1", "torch==1"], ["numpy==2", "torch==1"], ["torch"], "they differ in numpy 1 → 2"),
    ],
)
def test_one_line(base, head, asked, line):
    assert format_changes(package_changes(base, head), asked) == line


def test_changed_ones_come_before_new_and_gone_ones():
    changes = package_changes(["a==1", "b==1", "torch==1"], ["b==2", "c==1", "torch==2"])
    assert format_changes(changes, ["torch"]) == "torch 1 → 2; it also brought b 1 → 2, a 1 (gone) and c 1 (new)"


def test_a_long_difference_is_counted_and_every_package_has_its_part():
    for count in range(1, 30):
        changes = package_changes(["torch==1", *versions(count, 1)], ["torch==2", *versions(count, 2)])
        line = format_changes(changes, ["torch"])
        spelled, more = line.count(" → "), int(line.split()[-2]) if line.endswith(" more") else 0
        assert spelled + more == count + 1
        assert spelled <= MOST + 1
        assert more != 1
        assert line.startswith("torch 1 → 2; it also brought lib00 1 → 2")


def test_packages_that_are_likely_to_change_speed_come_first() -> None:
    names = ["cuda-toolkit", "nvidia-cublas", "nvidia-cudnn-cu13", "triton", "zlib"]
    base = ["torch==2.14.1", *(f"{name}==1" for name in names)]
    head = ["torch==2.15.0", "opencv-new==5", *(f"{name}==2" for name in names)]
    line = format_changes(package_changes(base, head), ["torch"])
    assert line.startswith(
        "torch 2.14.1 → 2.15.0; it also brought nvidia-cudnn-cu13 1 → 2, triton 1 → 2, opencv-new 5 (new), "
    )
