# SPDX-License-Identifier: Apache-2.0
"""A packed bundle arrives as it was; what was changed on the way, or made to do harm, is rejected."""

import hashlib
import io
import shutil
import subprocess
import tarfile
from dataclasses import replace

import pytest
import yaml

from evitsam_ros.bundle import BundleError, installed_bundles, open_bundle
from evitsam_ros.fetch.errors import FetchError
from evitsam_ros.fetch.fetch import FetchOptions, fetch_named, install_brought
from evitsam_ros.fetch.pack import SUMS, pack_bundle

OPTIONS = FetchOptions()


@pytest.fixture
def bundle(bundle_folder, tmp_path):
    """A bundle under a name that nothing else has, with a card."""
    folder = tmp_path / "made" / "my_sam"
    shutil.copytree(bundle_folder, folder)
    (folder / "MODEL_CARD.md").write_text("# mine\n")
    return folder


@pytest.fixture
def packed(bundle, tmp_path):
    return pack_bundle(bundle, tmp_path / "my_sam.tar")


def install(path, **options):
    return install_brought(path, replace(OPTIONS, brought=path, **options), lambda _: None)


def members(path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def write(path, content: dict[str, bytes], special: tuple[tarfile.TarInfo, ...] = ()):
    """Write a tar file member by member, as somebody else might."""
    with tarfile.open(path, "w") as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for member in special:
            tar.addfile(member)
    return path


def test_a_packed_bundle_arrives_as_it_was(bundle, packed, data):
    place = install(packed)
    assert place == data / "models" / "my_sam" == installed_bundles()["my_sam"]
    assert {path.name: path.read_bytes() for path in place.iterdir()} == {
        path.name: path.read_bytes() for path in bundle.iterdir()
    }
    assert open_bundle("my_sam").name == "lite_sam"
    assert [path.name for path in place.parent.iterdir()] == ["my_sam"]


def test_other_tools_read_it(bundle, packed, tmp_path):
    """The hashes are in the form that ``sha256sum`` checks."""
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["tar", "-xf", packed, "-C", out], check=True)
    subprocess.run(["sha256sum", "--strict", "--quiet", "-c", SUMS], cwd=out / "my_sam", check=True)


def test_the_same_bundle_gives_the_same_bytes(bundle, packed, tmp_path):
    for path in bundle.iterdir():
        path.touch()
    assert pack_bundle(bundle, tmp_path / "again.tar").read_bytes() == packed.read_bytes()


def test_links_are_packed_as_their_targets(bundle, packed, tmp_path):
    shutil.move(bundle / "encoder.onnx", tmp_path / "elsewhere.onnx")
    (bundle / "encoder.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    assert pack_bundle(bundle, tmp_path / "again.tar").read_bytes() == packed.read_bytes()


def test_names_that_could_not_be_unpacked_are_rejected_when_packing(bundle, packed, tmp_path):
    (bundle / ".hidden").write_text("x")
    assert pack_bundle(bundle, tmp_path / "again.tar").read_bytes() == packed.read_bytes()
    (bundle / "my notes.md").write_text("x")
    with pytest.raises(FetchError, match=r"the name 'my notes\.md' cannot be packed"):
        pack_bundle(bundle, tmp_path / "bad.tar")
    assert not (tmp_path / "bad.tar").exists()


def test_a_damaged_bundle_is_not_packed(bundle, tmp_path):
    (bundle / "decoder.onnx").write_bytes(b"x")
    with pytest.raises(BundleError, match=r"decoder\.onnx is not the file of this bundle"):
        pack_bundle(bundle, tmp_path / "bad.tar")
    assert not list(tmp_path.glob("*.tar")) and not list(tmp_path.glob(".*"))


def test_a_copied_folder_and_a_stick_with_packed_files_are_installed(bundle, packed, tmp_path, data):
    assert open_bundle(install(bundle))
    shutil.rmtree(data)
    stick = tmp_path / "stick"
    stick.mkdir()
    packed.rename(stick / "my_sam.tar")
    place = fetch_named("my_sam", replace(OPTIONS, brought=stick), lambda _: None)
    assert place == data / "models" / "my_sam" and open_bundle(place)


def test_a_bundle_of_another_name_is_rejected(packed, data):
    with pytest.raises(FetchError, match=r"is the bundle 'my_sam'; expected 'efficientvit_sam_l0'"):
        fetch_named("efficientvit_sam_l0", replace(OPTIONS, brought=packed), lambda _: None)
    assert not list((data / "models").glob("*")) if (data / "models").exists() else True


@pytest.mark.parametrize("keep", [0, 100, 600, 5000, -20_000, -2_000_000])
def test_a_truncated_file_is_rejected(packed, data, keep):
    packed.write_bytes(packed.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"my_sam\.tar"):
        install(packed)
    assert "my_sam" not in installed_bundles()


def test_an_old_bundle_survives_a_bad_new_one(bundle, packed, data):
    place = install(packed)
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    content = members(packed)
    content["my_sam/encoder.onnx"] = content["my_sam/encoder.onnx"][:-1] + b"\0"
    write(packed, content)
    with pytest.raises(FetchError, match=r"encoder\.onnx was damaged or changed after packing"):
        install(packed)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    assert [path.name for path in place.parent.iterdir()] == ["my_sam"]


def test_an_installation_killed_between_two_renames_is_restored(bundle, packed, data):
    """Then the old bundle has the name that it was moved to; a later failure leaves it in its place."""
    place = install(packed)
    place.rename(place.with_name(".my_sam-old-abc"))
    place.with_name(".my_sam-xyz").mkdir()
    content = members(packed)
    content["my_sam/encoder.onnx"] = b"damaged"
    with pytest.raises(FetchError):
        install(write(packed, content))
    assert open_bundle("my_sam").folder == place
    assert [path.name for path in place.parent.iterdir()] == ["my_sam"]


def test_hashes_that_were_changed_too_do_not_make_a_bundle(packed):
    """Then the bundle's own description shows it."""
    content = members(packed)
    encoder = content["my_sam/encoder.onnx"] = content["my_sam/encoder.onnx"][:-1] + b"\0"
    lines = [line for line in content[f"my_sam/{SUMS}"].decode().splitlines() if "encoder.onnx" not in line]
    lines.append(f"{hashlib.sha256(encoder).hexdigest()}  encoder.onnx")
    content[f"my_sam/{SUMS}"] = "\n".join(lines).encode()
    with pytest.raises(BundleError, match=r"encoder\.onnx is not the file of this bundle"):
        install(write(packed, content))
    assert "my_sam" not in installed_bundles()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    "member",
    [
        special("my_sam/link", tarfile.SYMTYPE, "/etc/passwd"),
        special("my_sam/hard", tarfile.LNKTYPE, "my_sam/encoder.onnx"),
        special("my_sam/pipe", tarfile.FIFOTYPE),
        special("my_sam/device", tarfile.CHRTYPE),
        special("my_sam/folder", tarfile.DIRTYPE),
        special("../outside", tarfile.REGTYPE),
        special("my_sam/../../outside", tarfile.REGTYPE),
        special("/tmp/outside", tarfile.REGTYPE),
        special("my_sam/sub/file", tarfile.REGTYPE),
        special("my_sam/.hidden", tarfile.REGTYPE),
        special("my_sam/encoder.onnx", tarfile.REGTYPE),
        special("other_sam/file", tarfile.REGTYPE),
        special("my_sam/unlisted", tarfile.REGTYPE),
        special("my_sam/..", tarfile.REGTYPE),
        special("my_sam\\..\\file", tarfile.REGTYPE),
    ],
    ids=lambda member: f"{member.name} {member.type!r}",
)
def test_members_that_could_do_harm_are_rejected(packed, tmp_path, data, member):
    path = write(tmp_path / "bad.tar", members(packed), (member,))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FetchError, match=r"bad\.tar"):
        install(path)
    assert "my_sam" not in installed_bundles()
    assert [
        path
        for path in sorted(tmp_path.rglob("*"))
        if path not in before and data not in path.parents and path not in (data, data.parent)
    ] == []


@pytest.mark.parametrize("missing", [SUMS, "model.yaml", "encoder.onnx"])
def test_members_that_are_missing_are_named(packed, missing):
    content = members(packed)
    del content[f"my_sam/{missing}"]
    with pytest.raises(FetchError, match=missing.replace(".", r"\.")):
        install(write(packed, content))


def test_large_descriptions_and_odd_lines_are_rejected(packed):
    content = members(packed)
    with pytest.raises(FetchError, match=r"model\.yaml has \d+ bytes"):
        install(write(packed, {**content, "my_sam/model.yaml": b"#" * (2 << 20)}))
    with pytest.raises(FetchError, match="is not a hash and a file name"):
        install(write(packed, {**content, f"my_sam/{SUMS}": b"0  ../x\n"}))
    with pytest.raises(FetchError, match="not a packed bundle"):
        install(write(packed, {**content, "my_sam/model.yaml": b"\xff\xfe{{{"}))


def test_compressed_and_other_files_are_rejected(packed, tmp_path):
    for name, content in (("text.tar", b"hello" * 1000), ("empty.tar", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FetchError, match=f"{name} is not a packed bundle"):
            install(tmp_path / name)


def test_a_non_commercial_bundle_has_to_be_accepted(bundle, tmp_path, data):
    path = bundle / "model.yaml"
    description = {**yaml.safe_load(path.read_text()), "licence": "S-Lab License 1.0 (non-commercial)"}
    path.write_text(yaml.safe_dump(description))
    packed = pack_bundle(bundle, tmp_path / "my_sam.tar")
    for source in (packed, bundle):
        with pytest.raises(FetchError, match=r"non-commercial.*--accept-licence"):
            install(source)
        assert "my_sam" not in installed_bundles()
    assert open_bundle(install(packed, accept_licence=True))
