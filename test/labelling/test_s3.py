# SPDX-License-Identifier: Apache-2.0
"""Inputs and labels in a bucket, over HTTP to a real server of S3's protocol, with connections that break."""

from __future__ import annotations

import pytest

pytest.importorskip("moto.server", reason="moto is not installed: pip install -r requirements/fleet.txt")

import pyarrow.fs

from evitsam_ros.cli import build_parser
from evitsam_ros.cli.label import job_of
from evitsam_ros.labelling.coco import write_coco
from evitsam_ros.labelling.inputs import InputError, find_units
from evitsam_ros.labelling.labeller import Labeller
from evitsam_ros.labelling.store import Store

from .s3 import CuttingProxy
from .scenes import png, rows, run, without, write_bag, write_shard


@pytest.fixture(scope="module")
def server():
    from moto.server import ThreadedMotoServer

    started = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    yield started.get_host_and_port()[1]
    started.stop()


@pytest.fixture(scope="module")
def proxy(server):
    made = CuttingProxy(server)
    yield made
    made.close()


@pytest.fixture
def keys(monkeypatch):
    """Set the credentials in the environment, as everybody does."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def bucket(server, proxy, keys, tmp_path):
    """Return a function that makes URLs of a bucket with a shard, images and a bag."""
    fs = pyarrow.fs.S3FileSystem(
        endpoint_override=f"127.0.0.1:{server}", scheme="http", region="us-east-1", allow_bucket_creation=True
    )
    fs.create_dir("bucket")
    bag = write_bag(tmp_path / "recorded", 3)
    (mcap,) = bag.glob("*.mcap")
    contents = {f"pictures/image{number}.png": png(number) for number in range(4)}
    contents["shards/a.tar"] = write_shard(tmp_path / "a.tar", 4).read_bytes()
    contents["bags/drive.mcap"] = mcap.read_bytes()
    for name, content in contents.items():
        with fs.open_output_stream(f"bucket/{name}") as stream:
            stream.write(content)
    query = f"?endpoint_override=127.0.0.1:{proxy.port}&scheme=http&region=us-east-1"
    return lambda name: f"s3://bucket/{name}{query}"


def labelled(out: str, url: str, options) -> None:
    job = job_of(build_parser().parse_args(["label", "x", *options]))
    store = Store(out)
    store.open(job, job.models(), {})
    labeller = Labeller(job, store, threads=1)
    for unit in find_units([url], job):
        labeller.label(unit)


@pytest.mark.parametrize("name", ["pictures", "pictures/*.png", "shards/a.tar", "shards", "bags/drive.mcap"])
def test_rows_of_a_bucket_are_those_of_files(name, bucket, options, tmp_path):
    labelled(str(tmp_path / "out"), bucket(name), options)
    found = rows(tmp_path / "out")
    assert len(found) == (6 if "bags" in name else 8)
    local = tmp_path / "local"
    local.mkdir()
    for number in range(len(found) // 2):
        (local / f"image{number}.png").write_bytes(png(number))
    labelled(str(tmp_path / "files"), str(local), options)
    place = ("recording", "topic", "stamp", "frame", "name")
    assert without(found, *place) == without(rows(tmp_path / "files"), *place)
    assert "testing" not in found[0]["recording"]


def test_broken_connections_do_not_change_the_result(bucket, proxy, options, tmp_path):
    labelled(str(tmp_path / "whole"), bucket("shards/a.tar"), options)
    proxy.cuts, before = [600, 900], proxy.made
    labelled(str(tmp_path / "cut"), bucket("shards/a.tar"), options)
    assert proxy.made == before + 2
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")


def test_labels_are_written_to_a_bucket_and_read_from_it(bucket, options, tmp_path):
    out = bucket("labels")
    labelled(out, bucket("pictures"), options)
    assert len(Store(out).done()) == 1
    (tmp_path / "annotations").mkdir()
    assert write_coco(out, tmp_path / "annotations" / "x.json") == (4, 8)
    assert len(list((tmp_path / "images").rglob("*.jpg"))) == 4


def test_a_url_that_is_not_there_is_one_clear_line(bucket, options, tmp_path):
    job = job_of(build_parser().parse_args(["label", "x", *options]))
    for name in ("nothing.tar", "no*.png"):
        with pytest.raises(InputError, match=r"does not exist|matches no file"):
            list(find_units([bucket(name)], job))
    code, _, errors = run("label", bucket("nothing.tar"), "--out", str(tmp_path / "out"), *options)
    assert code == 1 and "does not exist" in errors and len(errors.splitlines()) == 1
