# SPDX-License-Identifier: Apache-2.0
"""Choose the backend of each network of a bundle: time the candidates in turns, prove the fastest.

One thread computes, and its CPU time counts: a busy neighbour may take the core away, which is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..backends import BACKENDS, BackendError, Candidate, Choice, NetworkChoice
from ..backends.choice import read_choice, store_choice
from ..backends.registry import cpu_candidates
from ..bundle import DENSE_NETWORK, Bundle
from .bench import Bench, MaskBench
from .budget import Budget, OutOfTimeError
from .dense_bench import DenseBench
from .race import MARGIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

    from ..dense.bundle import AnyBundle
    from .dense_proof import DenseProof
    from .proof import Proof

#: Where a lower precision takes less than this share of float32's time, other float32 runtimes are not timed:
#: runtimes differ by less.
FAR_AHEAD = 0.75
#: Verdicts.
CHOSEN, REFERENCE, SLOWER = "chosen", "float32", "not faster"
#: The networks of prompt mode. The others serve only everything mode.
MAIN = ("encoder", "decoder")


def measure(
    bundle: AnyBundle, images: Sequence[np.ndarray], budget: Budget | None = None, *, again: bool = False
) -> Choice:
    """Choose the backends of a bundle on this CPU, and store the choice in the cache.

    An incomplete stored choice is completed.

    Args:
        bundle: an opened bundle.
        images: ``(H, W, 3)`` uint8 RGB, real photographs.
        budget: of this process; None: :data:`.budget.BUDGET_S`.
        again: ignore the cache and measure all candidates.

    Raises:
        BackendError: no inference runtime is installed.
        OSError: the cache cannot be written.
    """
    measurement = Measurement(bundle, images, budget or Budget(), None if again else read_choice(bundle))
    # The attempt counts even if this process is killed.
    store_choice(bundle, measurement.choice)
    for choice in measurement.steps():
        store_choice(bundle, choice)
    return measurement.choice


@dataclass
class Timing:
    """The candidates of one network.

    Attributes:
        names: the reference in float32 first.
        ms: median of one run, by name.
        ranking: those that are certainly faster than the reference, the one to take first.
        unsettled: those that may be much faster, which the times do not show.
        verdicts: why a candidate is not chosen, by name.
        proofs: of answers, by name.
    """

    names: list[str]
    ms: dict[str, float | None] = field(default_factory=dict)
    ranking: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    verdicts: dict[str, str] = field(default_factory=dict)
    proofs: dict[str, Proof | DenseProof] = field(default_factory=dict)

    def choose(self, name: str) -> NetworkChoice:
        """Return the choice of one of the candidates."""
        verdicts = {
            **dict.fromkeys(self.names, SLOWER),
            **self.verdicts,
            self.names[0]: REFERENCE,
            name: CHOSEN,
        }
        candidates = (
            _candidate(each, self.ms.get(each), self.proofs.get(each), verdicts[each]) for each in self.names
        )
        return NetworkChoice(name, tuple(candidates))


class Measurement:
    """Measure the networks of a bundle.

    Args:
        bundle: an opened bundle of any kind.
        images: ``(H, W, 3)`` uint8 RGB.
        budget: of time.
        known: an earlier choice, which is completed.

    Attributes:
        choice: as far as it is made.

    Raises:
        BackendError: no inference runtime is installed.
    """

    def __init__(
        self, bundle: AnyBundle, images: Sequence[np.ndarray], budget: Budget, known: Choice | None = None
    ) -> None:
        self._main = MAIN if isinstance(bundle, Bundle) else (DENSE_NETWORK,)
        candidates = cpu_candidates(bundle, self._main[0])
        if not candidates:
            raise BackendError("no inference runtime is installed: pip install onnxruntime")
        self._bundle, self._budget, self._reference = bundle, budget, candidates[0].name
        self._bench = _bench(bundle, images, self._reference, budget)
        before = known or Choice(attempts=0)
        self._seconds_before = before.seconds
        self.choice = replace(before, unsettled={}, attempts=before.attempts + 1)

    def steps(self) -> Iterator[Choice]:
        """Measure, and yield the choice after each addition to it.

        Encoder and decoder come first, and the other networks only where these are chosen: masks show whether
        one draws as float32 does. A dense bundle has one network.
        """
        rest = tuple(name for name in self._bundle.networks if name not in self._main)
        for group in (self._main, rest):
            if all(name in self.choice.networks for name in group):
                continue
            try:
                self._choose(group)
            except Exception as error:  # of any kind, as runtimes raise them: float32 stays
                why = " ".join(str(error).split()) or type(error).__name__
                self._note({}, dict.fromkeys(group, why))
            yield self.choice
            if group == self._main and not all(name in self.choice.networks for name in self._main):
                break
            kept = {(name, self.choice.backends[name]) for name in self._main}
            self._bench.release(kept | {(name, self._reference) for name in self._main})
        self._bench.release()

    def _note(self, networks: Mapping[str, NetworkChoice], unsettled: Mapping[str, str]) -> None:
        self.choice = replace(
            self.choice,
            networks={**self.choice.networks, **networks},
            unsettled={**self.choice.unsettled, **unsettled},
            seconds=round(self._seconds_before + self._budget.clock(), 2),
        )

    def _choose(self, group: Sequence[str]) -> None:
        """Choose the backends of networks that are proved together."""
        timings = {network: self._time(network) for network in group}
        picked = self._proved(timings)
        for network, timing in timings.items():
            if picked[network] == timing.names[0] and timing.unsettled:
                self._budget.check(min((ms or 0.0) / 1e3 for ms in timing.ms.values()))
                raise OutOfTimeError(
                    f"times of {', '.join(timing.unsettled)} did not settle beside other work on the CPU"
                )
        if group == self._main:
            picked = self._other_runtime(timings, picked)
        self._note({network: timings[network].choose(name) for network, name in picked.items()}, {})

    def _time(self, network: str) -> Timing:
        """Time the candidates of one network: float32 and its variants, then other runtimes."""
        timing = Timing(self._candidates(network))
        reference = timing.names[0]
        own = [name for name in timing.names if _family(name) == _family(reference)]
        own = [name for name in own if self._is_loadable(timing, network, name)]
        far_ahead = False
        if len(own) > 1:
            race = self._bench.race(network, own)
            timing.ms |= {name: race.ms(name) for name in own}
            timing.ranking, timing.unsettled = race.ranking(), race.unsettled()
            far_ahead = any(race.ratio(name, reference).value < FAR_AHEAD for name in timing.ranking)
        for name in [name for name in timing.names if _family(name) != _family(reference)]:
            if far_ahead:
                timing.verdicts[name] = "not timed: a lower precision is far ahead"
            elif self._is_loadable(timing, network, name):
                race = self._bench.race(network, [reference, name])
                timing.ms |= {each: race.ms(each) for each in (reference, name)}
                timing.unsettled += race.unsettled()
        return timing

    def _is_loadable(self, timing: Timing, network: str, name: str) -> bool:
        """Load a network; note the reason where a backend cannot. The reference has to."""
        problem = "" if name == timing.names[0] else self._bench.load_problem(network, name)
        if problem:
            timing.verdicts[name] = problem
        return not problem

    def _candidates(self, network: str) -> list[str]:
        """Return the names of the candidates, float32 first; of one runtime once that is chosen."""
        names = [kind.name for kind in cpu_candidates(self._bundle, network)]
        if all(name in self.choice.networks for name in self._main):
            family = _family(self.choice.networks[self._main[0]].backend)
            names = [name for name in names if _family(name) == family]
        return names

    def _proved(self, timings: Mapping[str, Timing]) -> dict[str, str]:
        """Return the fastest backend of each network with float32's masks: all at once, or one by one."""
        fastest = {network: (timing.ranking or timing.names)[0] for network, timing in timings.items()}
        picked = {network: timing.names[0] for network, timing in timings.items()}
        if fastest == picked:
            return picked
        if len(timings) > 1 and not self._problem(timings, fastest):
            return fastest
        for network, timing in timings.items():
            for name in timing.ranking:
                timing.verdicts[name] = self._problem(timings, {**picked, network: name}, network)
                if not timing.verdicts[name]:
                    picked[network] = name
                    break
        return picked

    def _problem(self, timings: Mapping[str, Timing], names: Mapping[str, str], network: str = "") -> str:
        """Prove backends; return why they fail, and store the comparison of one network or of all."""
        # Of networks without masks of their own the decoder's are compared.
        own = {*self._main, "foveal_decoder"}
        compared = set(timings) if set(timings) & own else {*timings, "decoder"}
        proof = self._bench.prove({**self.choice.backends, **names}, compared)
        for each, timing in timings.items():
            if network in ("", each) and names[each] != timing.names[0]:
                timing.proofs[names[each]] = proof
        return proof.problem()

    def _other_runtime(self, timings: Mapping[str, Timing], picked: dict[str, str]) -> dict[str, str]:
        """Return another runtime for all networks where encoder and decoder together are faster on it."""

        def total(names: Mapping[str, str]) -> float:
            return sum(timing.ms.get(names[network]) or float("inf") for network, timing in timings.items())

        others = [name for name in timings[self._main[0]].names if _family(name) != _family(self._reference)]
        for other in others:
            names = dict.fromkeys(timings, other)
            if total(names) >= MARGIN * total(picked):
                continue
            problem = self._problem(timings, names)
            for timing in timings.values():
                timing.verdicts[other] = problem
            if not problem:
                return names
        return picked


def _family(name: str) -> str:
    return BACKENDS[name].variant_of or name


def _bench(bundle: AnyBundle, images: Sequence[np.ndarray], reference: str, budget: Budget) -> Bench[Any]:
    if isinstance(bundle, Bundle):
        return MaskBench(bundle, images, reference, budget)
    return DenseBench(bundle, images, reference, budget)


def _candidate(name: str, ms: float | None, proof: Proof | DenseProof | None, verdict: str) -> Candidate:
    rounded = None if ms is None else round(ms, 3)
    if proof is None or not proof.compared:
        return Candidate(name, rounded, verdict=verdict)
    value, worst = round(proof.value, 4), round(proof.worst, 4)
    return Candidate(name, rounded, proof.measure, value, worst, verdict)
