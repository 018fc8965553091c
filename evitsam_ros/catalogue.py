# SPDX-License-Identifier: Apache-2.0
"""The official files as data: where they are, their SHA-256, sizes and licences."""

from __future__ import annotations

from .catalogue_networks import NETWORK_FILES
from .remote_file import APACHE, HUGGING_FACE, Licence, RemoteFile

__all__ = ["APACHE", "CATALOGUE", "HUGGING_FACE", "S_LAB", "Licence", "RemoteFile"]


S_LAB = Licence(
    "S-Lab License 1.0 (non-commercial)",
    "https://github.com/chongzhou96/EdgeSAM/blob/master/LICENSE",
    non_commercial=True,
    terms="use and redistribution for non-commercial purposes only, with the copyright notice and the "
    "conditions kept; commercial use needs the permission of the contributors",
)

_EFFICIENTVIT = f"{HUGGING_FACE}/mit-han-lab/efficientvit-sam/resolve/main"
_SAM = "https://dl.fbaipublicfiles.com/segment_anything"
_OLD_L2 = {
    "f087f8287d5b3791020be8b0346a35dae0849dd191bf165178bf947e0df868cc": "l2.pt, the first version of "
    "EfficientViT-SAM-L2 (September 2023), which has other weights"
}


def _efficientvit(
    size: str, megabytes: int, sha256: str, refused: dict[str, str] | None = None
) -> RemoteFile:
    name = f"efficientvit_sam_{size}"
    return RemoteFile(
        name=name,
        base=_EFFICIENTVIT,
        path=f"{name}.pt",
        licence=APACHE,
        sha256=sha256,
        size=megabytes * 10**6,
        exact=False,
        model=name,
        refused=refused or {},
    )


def _distilled(size: str, megabytes: int, sha256: str) -> RemoteFile:
    return RemoteFile(
        name=f"efficientvit_sam_{size}_distilled",
        base=_EFFICIENTVIT,
        path=f"distilled_model/efficientvit_sam_{size}.pt",
        licence=APACHE,
        sha256=sha256,
        size=megabytes * 10**6,
        exact=False,
        about="distilled encoder: where training starts",
    )


def _sam(size: str, file: str, length: int, sha256: str) -> RemoteFile:
    name = f"sam_vit_{size}"
    return RemoteFile(name, _SAM, file, APACHE, sha256, length, model=name)


CATALOGUE: dict[str, RemoteFile] = {
    file.name: file
    for file in (
        _efficientvit("l0", 139, "c4f994b01a16d48bcf2fbbb089448cfbf58fae5811edfa8113c953b8b8cc64b8"),
        _efficientvit("l1", 191, "fa151df2b9b96896accd505470755cdd293a4c50cdabac95478f3fbd86d9152b"),
        _efficientvit("l2", 246, "d4bfd842224cbb99de09acc3325e81ac5b7e8725c8fbdab152305e5d934bfe4a", _OLD_L2),
        _efficientvit("xl0", 468, "9bc2f87bd23d6e6d1f7b5beff910f98835c7c333fac73e695bac0bec685968f8"),
        _efficientvit("xl1", 814, "10f42277679427c1183dcff19758e536aa86bcc4304e4b387ff48865784be05c"),
        _sam(
            "b",
            "sam_vit_b_01ec64.pth",
            375042383,
            "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        ),
        _sam(
            "l",
            "sam_vit_l_0b3195.pth",
            1249524607,
            "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        ),
        _sam(
            "h",
            "sam_vit_h_4b8939.pth",
            2564550879,
            "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        ),
        RemoteFile(
            name="mobile_sam",
            base="https://github.com/ChaoningZhang/MobileSAM/raw/master/weights",
            path="mobile_sam.pt",
            licence=APACHE,
            sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
            size=40728226,
            model="mobile_sam",
        ),
        RemoteFile(
            name="tiny_sam",
            base="https://github.com/xinghaochen/TinySAM/releases/download/3.0",
            path="tinysam_42.3.pth",
            licence=APACHE,
            model="tiny_sam",
        ),
        RemoteFile(
            name="repvit_sam",
            base="https://github.com/THU-MIG/RepViT/releases/download/v1.0",
            path="repvit_sam.pt",
            licence=APACHE,
            model="repvit_sam",
        ),
        RemoteFile(
            name="edge_sam",
            base=f"{HUGGING_FACE}/chongzhou/EdgeSAM/resolve/main",
            path="edge_sam_3x.pth",
            licence=S_LAB,
            sha256="5a3e3261da9e2f4c8154410885689ae57d09cbf4cf5d0c848b9d80b6df336ece",
            model="edge_sam",
        ),
        _distilled("l0", 139, "3450127f9080533be10bb5133abf508510120814fedc8d2069cb27e0721c9a6f"),
        _distilled("xl1", 814, "f8007c8811dc08288fd4270ecd227fbb50fa37ec73cd07b4fa6bba96f20d03b6"),
        RemoteFile(
            name="coco_vitdet",
            base=_EFFICIENTVIT,
            path="source_json_file/coco_vitdet.json",
            licence=APACHE,
            sha256="ba17f9fb28832baf5573e8a4212cad7740d606dd95b9c6d13c5465f603627813",
            about="ViTDet's boxes on COCO, for evaluation",
        ),
        *NETWORK_FILES,
    )
}
