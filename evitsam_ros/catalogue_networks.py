# SPDX-License-Identifier: Apache-2.0
"""The official checkpoints of EfficientViT's segmentation networks and classifiers as data.

The SHA-256 and the sizes are those of the hub's pages; of some files these were not to be had. The classifier
``l3_r256`` is the file of ``l3_r224`` under another name.
"""

from __future__ import annotations

from .remote_file import APACHE, HUGGING_FACE, Licence, RemoteFile

_SEGMENTATION = f"{HUGGING_FACE}/han-cai/efficientvit-seg/resolve/main"
_CLASSIFIERS = f"{HUGGING_FACE}/han-cai/efficientvit-cls/resolve/main"
#: By data set that a network was trained on.
_LICENCES = {
    name: Licence(
        APACHE.name,
        APACHE.url,
        terms=f"trained on {title}; its own terms allow research and non-commercial use; whether they bind "
        "the weights is an open question",
    )
    for name, title in (("cityscapes", "Cityscapes"), ("ade20k", "ADE20K"), ("imagenet", "ImageNet"))
}
#: Name after ``efficientvit_seg_`` -> SHA-256, bytes, whether these are exact.
_SEGMENTATION_FILES: dict[str, tuple[str | None, int | None, bool]] = {
    "b0_cityscapes": (
        "923d6fdd5e93640cc0c2f3f213764f34e80b477cd98a6b294d870ea6df5acc50",
        2_924_013,
        True,
    ),
    "b1_cityscapes": (
        "80c305bb2a94b9217187bfe4c029618503e0a7c6651edfe2e8a6cfc226426dd4",
        19_391_716,
        True,
    ),
    "b2_cityscapes": (
        "c5d8b1a319d1abceb09eda9ed66df3c561cc7ad830dd6e67919bf061542a36f5",
        61_562_649,
        True,
    ),
    "b3_cityscapes": (
        "3b1dcae99b3406677cb11f3d4afa1a4687b0bb2f1c215a297cbba1bb53c98717",
        159_000_000,
        False,
    ),
    "l1_cityscapes": (
        "9ab4802c3a383296b6c337033b13408fbb667b97e63dbf35ba4957d40a564be0",
        161_000_000,
        False,
    ),
    "l2_cityscapes": (
        "c5abfdedc29d4c6324d32034b4df233de754f0e1affb5823fe2194faf4598f11",
        211_000_000,
        False,
    ),
    "b1_ade20k": (
        "59cca6a7ff4d1a6494b7f12072c6a68fee40ef401e971f26af01a2e0f3c8f5e7",
        19_339_726,
        True,
    ),
    "b2_ade20k": (
        "fabfa7163e35d14888690969cd852069f399137be39697bfe5165f03ea76b510",
        61_436_227,
        True,
    ),
    "b3_ade20k": (
        None,
        None,
        True,
    ),
    "l1_ade20k": (
        "ec317c8b59682755642f0ceba3d0557047aa4b2d8377d607f0bfe1eb657ac330",
        162_000_000,
        False,
    ),
    "l2_ade20k": (
        None,
        None,
        True,
    ),
}
#: Size and resolution -> the same.
_CLASSIFIER_FILES: dict[str, tuple[str | None, int | None, bool]] = {
    "b0_r224": (
        "feebc4d3ebf610673c8ed1d92b21fa2c2e57661868173a37126b734ca5dc3771",
        13_741_687,
        True,
    ),
    "b1_r224": (
        "bf8798aa03ed2bba21fc8d58f43ca9a92096f3f03bd700e1df1dcde11559f499",
        36_575_137,
        True,
    ),
    "b1_r256": (
        "e4c43a5106f6cbb8c9d8acc5e0813d1c6d2156e869b25ed093b7917813e94aa5",
        36_575_137,
        True,
    ),
    "b1_r288": (
        "3c376f8123afaac3751b35f690a6a49fb23924052ed8f4b51aa9ec11419aba20",
        36_575_137,
        True,
    ),
    "b2_r224": (
        "6ccfecc65460856cb6415f2356deb8b90e0216960f661f5055aef173f8ca421d",
        97_600_000,
        False,
    ),
    "b2_r256": (
        "71a82838918b9d54537b93c3c21c53288819a05feaaeb0b6e6f78bcdeea79357",
        97_581_671,
        True,
    ),
    "b2_r288": (
        None,
        97_600_000,
        False,
    ),
    "b3_r224": (
        "3c5be1a11a8a41b3ac4e30e5bff8bf99065c98b4b2d586e1803fd7571f76fb0d",
        195_000_000,
        False,
    ),
    "b3_r256": (
        None,
        195_000_000,
        False,
    ),
    "b3_r288": (
        None,
        195_000_000,
        False,
    ),
    "l1_r224": (
        None,
        None,
        True,
    ),
    "l2_r224": (
        None,
        None,
        True,
    ),
    "l2_r256": (
        None,
        None,
        True,
    ),
    "l2_r288": (
        None,
        None,
        True,
    ),
    "l2_r320": (
        "d7d3f83bf6ae68d2fb94063a86846bfe0912c6fde5f4211c60ec8172926af340",
        255_000_000,
        False,
    ),
    "l2_r384": (
        None,
        None,
        True,
    ),
    "l3_r224": (
        "c79f04129e2bc39acba664e6e11ec6743688bde585a6b7c382aa7dfe82433ca4",
        985_000_000,
        False,
    ),
    "l3_r288": (
        "3300aad05b172fb2ce22ff144dbb96503cc467cd41ed4f8b50511c7a05ee0a1a",
        985_000_000,
        False,
    ),
    "l3_r320": (
        "c4469a27929ad5d05f028c528fa5248f2863c9b285fb76a5b619aa8121634545",
        985_000_000,
        False,
    ),
    "l3_r384": (
        "dff01bc0d78c529891e313ea263ea18ef20ab500121231610ce7c8abbff11699",
        985_000_000,
        False,
    ),
}

NETWORK_FILES = (
    *(
        RemoteFile(
            name=f"efficientvit_seg_{name}",
            base=_SEGMENTATION,
            path=f"efficientvit_seg_{name}.pt",
            licence=_LICENCES[name.partition("_")[2]],
            sha256=sha256,
            size=size,
            exact=exact,
            model=f"efficientvit_seg_{name}",
        )
        for name, (sha256, size, exact) in _SEGMENTATION_FILES.items()
    ),
    *(
        RemoteFile(
            name=f"efficientvit_cls_{name}",
            base=_CLASSIFIERS,
            path=f"efficientvit_{name}.pt",
            licence=_LICENCES["imagenet"],
            sha256=sha256,
            size=size,
            exact=exact,
            about="ImageNet classifier: where training starts",
        )
        for name, (sha256, size, exact) in _CLASSIFIER_FILES.items()
    ),
)
