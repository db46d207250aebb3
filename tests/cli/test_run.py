"""`bench run` as a user types it: results, mistakes, help."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.helpers.command import bench

pytestmark = pytest.mark.usefixtures("tiny_plugins")


def test_a_run_ends_with_a_table_and_a_report(tiny_suite, tmp_path):
    results = str(tmp_path / "results")
    command = [sys.executable, "-c", "from bench.cli import main; main()"]
    command += ["run", "--suite", str(tiny_suite), "--learner", "nearest-code"]
    command += ["--budget", "smoke", "--results", results]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "nearest-code" in ran.stdout
    assert "\x1b" not in ran.stdout + ran.stderr, "piped output must be plain"
    assert (tmp_path / "results" / "report.html").exists()

    listed = bench("results", "--results", results, "--format", "json")
    rows = json.loads(listed.stdout)
    needed = {
        "suite", "setting", "learner", "family", "seed", "device", "budget", "status", "accuracy",
        "accuracy_ci95", "episodes",
    }  # fmt: skip
    assert all(needed <= row.keys() for row in rows)
    assert all(0 <= row["accuracy"] <= 1 for row in rows)


def test_online_results_have_accuracy_by_presentation(tiny_online, tmp_path):
    results = str(tmp_path / "results")
    ran = bench(
        "run", "--suite", str(tiny_online), "--learner", "nearest-code", "--budget", "smoke",
        "--results", results,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    rows = json.loads(bench("results", "--results", results, "--format", "json").stdout)
    curve = rows[0]["accuracy_by_presentation"]
    assert len(curve) > 1
    assert all(0 <= value <= 1 for value in curve)


def test_a_memory_probe_from_planning_to_the_report(tiny_probe, tmp_path):
    results = str(tmp_path / "results")
    asked = [
        "run", "--suite", str(tiny_probe), "--learner", "recurrent", "--learner", "nearest-code",
        "--budget", "smoke", "--device", "cpu/1", "--results", results,
    ]  # fmt: skip
    ran = bench(*asked)
    assert ran.returncode == 0, ran.stderr
    assert "is without nearest-code: not made for the sequence protocol" in ran.stderr
    assert "wrong bits" in ran.stdout
    assert "2 of 2 cells done" in ran.stdout
    rows = json.loads(bench("results", "--results", results, "--format", "json").stdout)
    for row in rows:
        assert row["bits"] == 8 * row["items"]
        assert row["bit_errors"] == pytest.approx(row["bits"] * (1 - row["accuracy"]))
        assert set(row["timings"]["cpu/1"]) == {"step", "train_update", "train_example"}
        assert sys.platform != "linux" or row["peak_memory"]["cpu/1"] > 50e6
    assert len({row["training"] for row in rows}) == 1
    page = (tmp_path / "results" / "report.html").read_text()
    # By length; of each setting the score, the heads, times and calibration; the one training's
    # curve, which stands on the learner's page again.
    assert page.count("<img") == 1 + 2 * 4 + 1 + 1
    again = bench(*asked)
    assert "start" not in again.stderr


def test_a_leak_at_the_first_presentation_is_named(tiny_online, tmp_path):
    ran = bench(
        "run", "--suite", str(tiny_online), "--learner", "leaks", "--budget", "smoke",
        "--results", str(tmp_path),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    files = list(tmp_path.glob("cells/*/*/leaks-*/result.json"))
    warnings = json.loads(files[0].read_text())["warnings"]
    assert any("LEAK" in warning for warning in warnings)


def test_a_failed_cell_gives_exit_code_1(tiny_suite, tmp_path):
    ran = bench(
        "run", "--suite", str(tiny_suite), "--learner", "raises", "--budget", "smoke",
        "--results", str(tmp_path),
    )  # fmt: skip
    assert ran.returncode == 1
    assert "failed" in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr


def test_dry_run_shows_the_cells_and_computes_nothing(tiny_suite, tmp_path):
    ran = bench(
        "run", "--suite", str(tiny_suite), "--learner", "nearest-code[width=8,16]", "--dry-run",
        "--results", str(tmp_path / "results"),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "nearest-code[width=8]" in ran.stdout
    assert not (tmp_path / "results").exists()


def test_two_suites_of_one_name_are_told_with_both_paths(tiny_suite, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(tiny_suite.read_text().replace("shots = 1", "shots = 2"))
    asked = ["run", "--dry-run", "--learner", "untrained", "--suite", str(tiny_suite)]
    ran = bench(*asked, "--suite", str(other))
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"Error: two suites are called 'tiny': {tiny_suite} and {other};")
    assert bench(*asked, "--suite", str(tiny_suite)).returncode == 0, "the same file twice is one"


def test_malformed_toml_names_the_line(tmp_path):
    suite = tmp_path / "broken.toml"
    suite.write_text('name = "broken"\nversion = = 1\n')
    ran = bench("run", "--suite", str(suite))
    assert ran.returncode == 2
    assert "line 2" in ran.stderr


def test_help_shows_every_default():
    told = " ".join(bench("run", "--help").stdout.split())
    for default in (
        "[default: 0]", "[default: cpu]", "[default: standard]", "[default: fp32]",
        "[default: results]", "[default: local]", "[default: 1;", "[default: never]",
        "[default: no limit]", "[default: all that are installed]",
        "[default: $BENCH_DATA_DIR, the cache, or a download]",
    ):  # fmt: skip
        assert default in told
