# SPDX-License-Identifier: Apache-2.0
"""What diagnostics and log state of the latency budget."""

from types import SimpleNamespace

from diagnostic_msgs.msg import DiagnosticStatus

from evitsam_ros.nodes.budget_report import report_budget
from evitsam_ros.nodes.diagnostics import CameraDiagnostics
from evitsam_ros.segment import LatencyBudget, Prompt

PROMPTS = [Prompt(points=[(float(n), 1.0)]) for n in range(100)]


def report(budget: LatencyBudget, spent: float) -> tuple[list[str], DiagnosticStatus]:
    """What is logged of five frames, and the status after them."""
    logged: list[str] = []
    context = SimpleNamespace(diagnostics=CameraDiagnostics(), warn=logged.append)
    for _ in range(5):
        budget.cut(PROMPTS, spent)
        report_budget(context, budget, 0.5, waited=0.2)
    return logged, context.diagnostics.status("node", "cpu", 0, "active", busy=0.0)


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {entry.key: entry.value for entry in status.values}


def test_a_kept_budget_is_reported_without_a_warning():
    logged, status = report(LatencyBudget(0.3, per_prompt=0.004, min_prompts=8), spent=0.0)
    assert not logged and status.level == DiagnosticStatus.OK
    assert values(status)["prompts_decoded"] == "67 of 100" and values(status)["prompts_left_out"] == "33"


def test_a_budget_that_starves_states_its_figures_and_the_remedy():
    logged, status = report(LatencyBudget(0.3, per_prompt=0.01, min_prompts=8), spent=0.0)
    assert status.level == DiagnosticStatus.WARN and status.message == logged[-1]
    # 100 prompts of 10 ms, and 200 ms in the queue.
    assert "latency_budget_ms is 500: time for 27 of 100 prompts, which take 1200 ms" in logged[-1]
    assert "raise it, lower max_prompts, or choose a faster backend or model" in logged[-1]


def test_an_impossible_budget_reports_the_min_number_of_prompts():
    logged, status = report(LatencyBudget(0.3, per_prompt=0.01, min_prompts=40), spent=0.1)
    assert status.level == DiagnosticStatus.WARN and len(logged) == 3, "from the third frame on"
    assert "is 500, but 40 prompts (min_prompts, objects on show) take 700 ms; raise it" in logged[-1]
