# SPDX-License-Identifier: Apache-2.0
"""A file that can be fetched, and its licence."""

from __future__ import annotations

from dataclasses import dataclass, field

HUGGING_FACE = "https://huggingface.co"


@dataclass(frozen=True)
class Licence:
    """A licence by its name and the address of its text.

    Attributes:
        name: as it is printed and written into ``model.yaml``.
        url: address of its text.
        non_commercial: it forbids commercial use, so that the user has to accept it.
        terms: its conditions in one line; empty for well-known licences.
    """

    name: str
    url: str
    non_commercial: bool = False
    terms: str = ""


@dataclass(frozen=True)
class RemoteFile:
    """Describe a file that can be fetched.

    Attributes:
        name: the word that the user types, and the name of the bundle.
        base: URL of the folder that ``path`` is relative to.
        path: the file below ``base``, and below a mirror.
        licence: of the weights.
        sha256: hexadecimal; None where no hash was published: the first one is trusted and recorded.
        size: bytes; None where it is unknown.
        exact: whether ``size`` is exact; otherwise it is right to 1 %.
        model: registry name of the model that has these weights; None where no bundle is made of the file.
        refused: known other files by SHA-256, with their description: they must not be taken for this one.
        about: purpose of the file, in a few words.
    """

    name: str
    base: str
    path: str
    licence: Licence
    sha256: str | None = None
    size: int | None = None
    exact: bool = True
    model: str | None = None
    refused: dict[str, str] = field(default_factory=dict)
    about: str = ""

    @property
    def file_name(self) -> str:
        """Return the last part of ``path``."""
        return self.path.rpartition("/")[2]

    @property
    def exportable(self) -> bool:
        """Whether these are weights of a model, so that the file can become a bundle."""
        return self.model is not None

    def fits(self, size: int) -> bool:
        """Return whether a file of ``size`` bytes can be this one."""
        if self.size is None:
            return True
        return abs(size - self.size) <= (0 if self.exact else 0.01 * self.size)


APACHE = Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0")
