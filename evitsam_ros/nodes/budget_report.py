# SPDX-License-Identifier: Apache-2.0
"""Report in diagnostics and log the prompts that the latency budget drops, and the remedy."""

from __future__ import annotations

from ..segment import LatencyBudget
from .camera_context import CameraContext

#: Remedy in any case.
REMEDY = "or choose a faster backend or model, or less other load"


def report_budget(context: CameraContext, budget: LatencyBudget, allowed: float, waited: float) -> None:
    """Note the figures of a frame; warn, throttled, where the budget starves or cannot be kept.

    Args:
        context: of the camera.
        budget: after the frame.
        allowed: the parameter, seconds.
        waited: seconds that the frame waited before its work.
    """
    decoded = budget.prompts - budget.left_out
    context.diagnostics.note("prompts_left_out", [budget.left_out])
    context.diagnostics.note("prompts_decoded", [f"{decoded} of {budget.prompts}"])
    if budget.is_too_small:
        text = (
            f"latency_budget_ms is {allowed * 1e3:.0f}, but {budget.required} prompts (min_prompts, objects "
            f"on show) take {(budget.needed + waited) * 1e3:.0f} ms; raise it, lower min_prompts, {REMEDY}"
        )
    elif budget.is_starving:
        text = (
            f"latency_budget_ms is {allowed * 1e3:.0f}: time for {decoded} of "
            f"{budget.prompts} prompts, which take {(budget.wanted_seconds + waited) * 1e3:.0f} ms; "
            f"raise it, lower max_prompts, {REMEDY}"
        )
    else:
        return
    context.diagnostics.warn("latency_budget", text)
    context.warn(text)
