# SPDX-License-Identifier: Apache-2.0
"""Test ``evitsam engines``: the engines that it stores."""

from evitsam_ros.backends.tensorrt.engine_cache import EngineCache, EngineKey
from evitsam_ros.bundle import open_bundle, sha256
from evitsam_ros.cli import main


def test_a_foreign_engine_is_stored_with_trust(rtx, cache_home, tmp_path, bundle_folder, capsys):
    foreign = tmp_path / "from_elsewhere.engine"
    foreign.write_bytes(b"code")
    arguments = ["engines", "--trust", str(foreign), "--target", "sm86"]
    assert main(arguments) == 1
    assert main([*arguments, "--network", f"{bundle_folder}:iris"]) == 1
    assert "--network MODEL:NETWORK" in (output := capsys.readouterr().err) and "no network 'iris'" in output
    assert main([*arguments, "--network", f"{bundle_folder}:encoder"]) == 0
    network = open_bundle(bundle_folder).networks["encoder"]
    key = EngineKey("lite_sam", "encoder", sha256(network), rtx.name, "sm86", "", ())
    path, _ = EngineCache().best(key, ("fp16",))
    assert path.read_bytes() == b"code"
    assert "by hand" in EngineCache().entries()[0].report["proof"]
