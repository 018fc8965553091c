# SPDX-License-Identifier: Apache-2.0
"""Store which backend runs each network of a bundle on this CPU: measured once, proved, and cached.

:mod:`evitsam_ros.autotune` makes choices; this module stores and describes them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ..bundle import BundleFiles, weights_of
from ..bundle_forms import forms_of
from .processor import cpu_count, processor
from .registry import find_backend, ranked_on_cpu
from .tensorrt.engine_cache import cache_folder, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Version of the records and of the rule that makes them; others are measured again.
FORMAT = 2
#: Processes that try to measure one bundle; networks without a settled choice then stay in float32.
MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class Candidate:
    """Hold the measurements of a backend for one network.

    Attributes:
        backend: its name.
        ms: median time of one thread, milliseconds; None if it was not timed.
        measure: of agreement with float32: ``mask IoU``, ``mean IoU`` of the classes of label maps, or
            ``PSNR`` of upscaled images in dB.
        value: its mean; None if it was not compared.
        worst: of a mask, a class or an image.
        verdict: ``chosen``, or why it was not.
    """

    backend: str
    ms: float | None = None
    measure: str = ""
    value: float | None = None
    worst: float | None = None
    verdict: str = ""

    def __str__(self) -> str:
        facts = [] if self.ms is None else [f"{self.ms:.3g} ms"]
        facts += [] if self.value is None else [f"{self.measure} {self.value:.4f}, worst {self.worst:.3f}"]
        facts += [] if self.verdict in ("", "chosen") else [self.verdict]
        return f"{self.backend} {', '.join(facts)}".rstrip()


@dataclass(frozen=True)
class NetworkChoice:
    """The backend of one network, and the candidates that it was chosen from."""

    backend: str
    candidates: tuple[Candidate, ...]

    def __str__(self) -> str:
        others = "; ".join(str(each) for each in self.candidates)
        return f"{self.backend} ({others})" if others else self.backend


@dataclass(frozen=True)
class Choice:
    """The choice for a bundle.

    Attributes:
        networks: by name; those that are missing are not measured yet and run in float32.
        unsettled: why networks could not be measured, by name.
        seconds: of one thread that it took.
        attempts: processes that have worked on it.
    """

    networks: Mapping[str, NetworkChoice] = field(default_factory=dict)
    unsettled: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    attempts: int = 1

    @property
    def backends(self) -> dict[str, str]:
        """Return the chosen backend of each network."""
        return {name: choice.backend for name, choice in self.networks.items()}

    def is_final(self, bundle: BundleFiles) -> bool:
        """Return whether the measurement is complete, or has reached the max number of attempts."""
        return set(bundle.networks) <= set(self.networks) or self.attempts >= MAX_ATTEMPTS

    def __str__(self) -> str:
        parts = [f"{name}: {choice}" for name, choice in self.networks.items()]
        parts += [f"{name}: float32 without a choice, {why}" for name, why in self.unsettled.items()]
        return f"{'. '.join(parts)}. Measured with one thread in {self.seconds:.1f} s."


def key_of(bundle: BundleFiles) -> dict[str, Any]:
    """Return everything that a choice depends on: processor, cores, runtimes, and the networks' hashes."""
    runtimes = {kind.name: kind().version() for kind in ranked_on_cpu()}
    return {
        "format": FORMAT,
        "model": bundle.name,
        "processor": processor(),
        "cores": cpu_count(),
        "runtimes": runtimes,
        "networks": {name: _hashes(bundle, name) for name in bundle.networks},
    }


def _hashes(bundle: BundleFiles, network: str) -> list[str]:
    entry = bundle.description["networks"][network]
    forms = [f"{form.precision} {form.sha256} {bool(form.held_out)}" for form in forms_of(bundle, network)]
    return [entry["sha256"], *(file["sha256"] for file in weights_of(entry)), *forms]


def measured_models() -> list[str]:
    """Return the names of the bundles that have a record, of any machine."""
    return sorted({path.stem.rpartition("-")[0] for path in _folder().glob("*.json")})


def _folder() -> Path:
    return cache_folder() / "choices"


def choice_path(bundle: BundleFiles) -> Path:
    """Return the file of a bundle's choice on this machine; it need not exist."""
    digest = hashlib.sha256(_canonical(key_of(bundle)).encode()).hexdigest()
    return _folder() / f"{bundle.name}-{digest[:16]}.json"


def store_choice(bundle: BundleFiles, choice: Choice) -> Path:
    """Write a choice at once or not at all; return its file.

    Raises:
        OSError: the cache cannot be written.
    """
    path, content = choice_path(bundle), {"key": key_of(bundle), "choice": asdict(choice)}
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(_canonical(content).encode()).hexdigest()
    write_whole(path, json.dumps({**content, "sha256": digest}, indent=1).encode())
    return path


def read_choice(bundle: BundleFiles) -> Choice | None:
    """Return the choice for a bundle on this machine; None where there is none that can be trusted.

    A record that is cut or changed, of another machine or of other versions is none.
    """
    try:
        content = json.loads(choice_path(bundle).read_text())
        digest = content.pop("sha256")
        if digest != hashlib.sha256(_canonical(content).encode()).hexdigest():
            return None
        if content["key"] != json.loads(_canonical(key_of(bundle))):
            return None
        return _decoded(content["choice"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _decoded(stored: dict[str, Any]) -> Choice:
    """Make a choice of its record.

    Raises:
        BackendError: it names a backend that there is not.
    """
    networks = {}
    for name, each in stored["networks"].items():
        find_backend(each["backend"])
        networks[name] = NetworkChoice(each["backend"], tuple(Candidate(**c) for c in each["candidates"]))
    return Choice(networks, stored["unsettled"], stored["seconds"], stored["attempts"])


def _canonical(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True)
