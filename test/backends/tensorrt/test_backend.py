# SPDX-License-Identifier: Apache-2.0
"""Test the logic of the TensorRT runner against a recording stand-in of the CUDA and TensorRT calls.

No GPU was available, so these tests do not show that an engine runs. They check the calls: copies, values
that stay on the device, chosen profiles, and the handling of failed calls.
"""

import gc
import hashlib
from types import SimpleNamespace

import numpy as np
import pytest

from evitsam_ros.backends import BackendError, FunctionNetwork, Runtime, open_runtime
from evitsam_ros.backends.device_clock import DeviceClock
from evitsam_ros.backends.gpu import Gpu
from evitsam_ros.backends.tensorrt import backend
from evitsam_ros.backends.tensorrt.cuda_calls import CudaBindings
from evitsam_ros.backends.tensorrt.cuda_memory import DeviceArray, Pool, block_size
from evitsam_ros.backends.tensorrt.device_preprocess import DevicePreprocess
from evitsam_ros.backends.tensorrt.engine_cache import EngineCache, EngineKey
from evitsam_ros.backends.tensorrt.engine_network import MAX_GRAPHS, EngineNetwork
from evitsam_ros.bundle import open_bundle, sha256

from ...conftest import ROOT
from .fake_gpu import Context, Engine, Memory, fake_tensorrt, network


@pytest.fixture
def memory():
    return Memory()


def test_embedding_stays_on_the_device_and_masks_are_copied_to_the_host(memory):
    encoder, _ = network(memory, ["image"], "image_embeddings")
    image = np.arange(8, dtype=np.float32).reshape(2, 4)
    (embedding,) = encoder({"image": image, "unused": image})
    assert isinstance(embedding, DeviceArray) and not any(c.startswith("out") for c in memory.calls)
    decoder, _ = network(memory, ["image_embeddings"], "low_res_masks")
    decoder.pool = encoder.pool
    memory.calls.clear()
    (masks,) = decoder({"image_embeddings": embedding})
    assert not any(c.startswith("in") for c in memory.calls)
    np.testing.assert_array_equal(masks, image * 4)
    np.testing.assert_array_equal(np.asarray(embedding), image * 2)


def test_no_memory_is_allocated_after_the_first_frame(memory):
    encoder, _ = network(memory, ["image"], "image_embeddings")
    image = np.ones((2, 4), np.float32)
    for _ in range(6):
        encoder({"image": image})
        gc.collect()
    memory.calls.clear()
    for _ in range(5):
        encoder({"image": image})
    assert {c.split()[0] for c in memory.calls} == {"in", "replay", "wait"}


def test_fixed_shapes_are_recorded_once_for_their_addresses_and_dynamic_ones_never(memory):
    encoder, _ = network(memory, ["image"], "image_embeddings")
    for value in range(20):
        (embedding,) = encoder({"image": np.full((2, 4), value, np.float32)})
        assert float(np.asarray(embedding)[1, 3]) == 2 * value
        del embedding
        gc.collect()
    # Two blocks of one size can be input and output in two ways.
    assert memory.calls.count("record") == len(encoder.graphs) == 2
    assert memory.calls.count("replay") == 20 - 2
    memory.calls.clear()
    decoder, _ = network(memory, ["x"], "masks", profiles=((1, 16),))
    for _ in range(3):
        decoder({"x": np.ones((3, 4), np.float32)})
        gc.collect()
    assert "record" not in memory.calls


def test_the_number_of_graphs_is_bounded(memory):
    encoder, _ = network(memory, ["image"], "image_embeddings")
    held = [encoder({"image": np.ones((2, 4), np.float32)}) for _ in range(2 * MAX_GRAPHS)]
    assert len(held) > len(encoder.graphs) == MAX_GRAPHS


def test_preprocessing_sends_the_bytes_and_keeps_them_until_they_are_read(memory):
    pool = Pool(memory)
    prepare = DevicePreprocess(pool, b"cubin", 640, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    blob = prepare([np.zeros((480, 640, 3), np.uint8)], [(480, 640)])
    assert blob.shape == (1, 3, 640, 640) and f"in {480 * 640 * 3}" in memory.calls
    assert memory.calls[-1] == "launch prepare (20, 80) (32, 8)"
    assert not pool.free[block_size(480 * 640 * 3)]
    del blob
    gc.collect()
    assert len(pool.free[block_size(480 * 640 * 3)]) == 1


def test_images_of_several_cameras_share_a_blob_and_an_encoder_call(memory):
    pool = Pool(memory)
    prepare = DevicePreprocess(pool, b"cubin", 640, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    wide, high = np.zeros((360, 640, 3), np.uint8), np.zeros((640, 480, 3), np.uint8)
    blob = prepare([wide, high], [(360, 640), (640, 480)])
    assert blob.shape == (2, 3, 640, 640)
    assert [call for call in memory.calls if call.startswith("in")] == [f"in {wide.size}", f"in {high.size}"]
    second = blob[1:2]
    assert second.shape == (1, 3, 640, 640) and second.pointer == blob.pointer + 3 * 640 * 640 * 4
    alone, _ = network(memory, ["image"], "image_embeddings")
    several, _ = network(memory, ["image"], "image_embeddings", profiles=((1, 1), (1, 4)))
    decoder, _ = network(memory, ["x"], "masks", profiles=((1, 16),))
    assert (alone.batch, several.batch, decoder.batch) == (1, 4, 1)


def test_as_many_prompts_go_into_a_call_as_a_profile_holds(memory):
    decoder, _ = network(memory, ["point_coords"], "masks", profiles=((1, 16), (64, 256)))
    runtime = Runtime({"decoder": decoder, "foveal_decoder": FunctionNetwork(lambda inputs: [])}, "")
    held = runtime.max_prompts_per_call
    counts = [held("decoder", count, usual=16) for count in (1, 16, 40, 64, 200, 1000)]
    assert counts == [1, 16, 16, 64, 200, 256]
    assert [held("foveal_decoder", count, usual=64) for count in (3, 300)] == [3, 64]


def test_prompts_of_many_points_go_to_the_profile_that_holds_them(memory):
    """Seven prompts of 40 tokens fit the second profile only, which accepts up to three of them."""
    decoder, _ = network(memory, ["point_coords"], "masks", profiles=((1, 16, 1, 12), (1, 3, 13, 66)))
    runtime = Runtime({"decoder": decoder, "encoder": FunctionNetwork(lambda inputs: [])}, "")
    held = [runtime.max_prompts_per_call("decoder", 7, 16, tokens) for tokens in (1, 12, 13, 66)]
    assert held == [7, 7, 3, 3]
    assert runtime.token_limits("decoder") == (1, 66) and runtime.token_limits("encoder") is None


@pytest.mark.parametrize("size", [1, 512, 513, 4096, 4097, 921600, 10_000_001, 2**30 + 1])
def test_size_classes_are_little_larger_than_requested(size):
    made = block_size(size)
    assert size <= made <= max(1024, size * 9 / 8) and block_size(made) == made


def test_changing_shapes_do_not_fill_the_memory(memory):
    """A thousand shapes, some 600 different ones, need a few classes of blocks and one buffer each way."""
    decoder, _ = network(memory, ["x"], "masks", profiles=((1, 4096),))
    counts = np.random.default_rng(0).integers(1, 4097, 1000)
    for count in counts:
        decoder({"x": np.zeros((int(count), 4), np.float32)})
    held = sum(block.nbytes for block in memory.blocks.values())
    largest = int(counts.max()) * 16
    # Two arrays a call; eight classes an octave are at most as large as sixteen blocks of the largest.
    assert held < 2 * 16 * largest
    assert sum(name.startswith("pinned") for name in memory.held) == 2  # a buffer in, a buffer out


def test_closing_frees_all_memory(memory):
    pool = Pool(memory)
    prepare = DevicePreprocess(pool, b"cubin", 640, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    prepare([np.zeros((48, 64, 3), np.uint8)], [(480, 640)])
    prepare([np.zeros((480, 640, 3), np.uint8)], [(480, 640)])
    pool.clock = DeviceClock(memory, pool.stream)
    encoder = EngineNetwork(fake_tensorrt(Engine(memory, ["image"], "image_embeddings")), b"", "", pool)
    (held,) = encoder({"image": np.ones((2, 4), np.float32)})
    for _ in range(40):
        encoder({"image": np.ones((2, 4), np.float32)})
    gc.collect()
    assert {name.split()[0] for name in memory.held} == {
        *("stream", "block", "pinned", "event", "graph", "prepare")
    }
    prepare.close()
    encoder.close()
    pool.close()
    gc.collect()
    assert [name.split()[0] for name in memory.held] == ["block"], "the embedding is held"
    with pytest.raises(BackendError, match="is closed; open the model again"):
        np.asarray(held)
    with pytest.raises(BackendError, match="is closed; open the model again"):
        encoder({"image": np.ones((2, 4), np.float32)})
    del held
    gc.collect()
    assert not memory.held
    pool.close()


def test_graphs_that_are_dropped_are_destroyed(memory):
    encoder, _ = network(memory, ["image"], "image_embeddings")
    image = np.ones((2, 4), np.float32)
    held = [encoder({"image": image}) for _ in range(2 * MAX_GRAPHS)]
    del held
    for _ in range(200):
        encoder({"image": image})
        gc.collect()
    kept = sum(graph is not None for graph in encoder.graphs.values())
    assert sum(name.startswith("graph") for name in memory.held) == kept <= MAX_GRAPHS


def test_a_failed_gpu_can_be_closed(memory):
    pool = Pool(memory)
    array = pool.array((4,), np.float32)

    def fails(*_):
        raise BackendError("CUDA: unspecified launch failure")

    memory.free = memory.wait = memory.close_stream = fails
    pool.close()
    del array


def test_runtime_cache_is_read_and_written_after_the_first_run(memory, tmp_path):
    kept, found = tmp_path / "some.rtxcache", []
    cache = SimpleNamespace(deserialize=found.append, serialize=lambda: b"kernels")
    config = SimpleNamespace(create_runtime_cache=lambda: cache, set_runtime_cache=lambda c: found.append(c))
    engine = Engine(memory, ["image"], "image_embeddings")
    engine.create_runtime_config = lambda: config
    engine.create_execution_context = lambda given: found.append(given) or Context(engine)
    for _ in range(2):
        encoder = EngineNetwork(fake_tensorrt(engine), b"plan", "some.engine", Pool(memory), kept)
        encoder({"image": np.ones((2, 4), np.float32)})
    assert kept.read_bytes() == b"kernels"
    assert found == [cache, config, b"kernels", cache, config]


def test_an_embedding_that_is_held_is_not_overwritten(memory):
    encoder, _ = network(memory, ["image"], "image_embeddings")
    held = [encoder({"image": np.full((2, 4), float(n), np.float32)})[0] for n in range(4)]
    assert [float(np.asarray(h)[0, 0]) for h in held] == [0.0, 2.0, 4.0, 6.0]


def test_results_are_the_callers_own(memory):
    decoder, _ = network(memory, ["x"], "masks")
    (first,) = decoder({"x": np.ones((2, 4), np.float32)})
    decoder({"x": np.zeros((2, 4), np.float32)})
    np.testing.assert_array_equal(first, 2)


def test_profile_is_changed_only_when_it_has_to_be(memory):
    decoder, engine = network(memory, ["x"], "masks", profiles=((1, 16), (64, 256)))
    for count in (3, 16, 64, 200, 1):
        decoder({"x": np.ones((count, 4), np.float32)})
    assert engine.set_profiles == [1, 0]
    with pytest.raises(BackendError, match=r"some\.engine was not built for the shapes .*\(40, 4\)"):
        decoder({"x": np.ones((40, 4), np.float32)})


def test_errors_have_a_remedy(memory):
    broken, _ = network(memory, ["x"], "masks", refuses=True)
    with pytest.raises(BackendError, match="the engine did not run"):
        broken({"x": np.ones((2, 4), np.float32)})
    with pytest.raises(
        BackendError, match=r"cannot be loaded by tensorrt 10\.3\.0: .*evitsam engines --prune"
    ):
        EngineNetwork(fake_tensorrt(None), b"plan", "some.engine", Pool(memory))


@pytest.fixture
def machine(monkeypatch, tmp_path, memory):
    """Simulate a machine with a GPU, TensorRT and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    trt = fake_tensorrt(Engine(memory, ["image"], "image_embeddings"))
    monkeypatch.setattr(backend, "find_gpu", lambda: Gpu("Orin", "sm87"))
    monkeypatch.setattr(backend, "find_tensorrt", lambda: trt)
    monkeypatch.setattr(backend, "open_cuda", lambda: memory)
    return open_bundle(ROOT / "engines" / "lite_sam")


def test_engines_are_used_if_all_exist_else_the_missing_one_is_named(machine, memory):
    without = open_runtime(machine)
    assert "encoder: openvino" in without.description or "encoder: onnxruntime" in without.description
    assert "TensorRT is not used: no engine of lite_sam encoder was built yet" in without.description
    assert "evitsam build --model lite_sam" in without.description
    for name, file in machine.networks.items():
        for precision in ("fp32", "fp16"):
            key = EngineKey("lite_sam", name, sha256(file), "tensorrt 10.3.0", "Orin sm87", precision)
            EngineCache().store(key, b"plan", {})
    chosen = open_runtime(machine)
    assert memory.held
    assert "encoder: tensorrt 10.3.0 (engine in the cache)" in chosen.description
    assert chosen.description.endswith("Runs on the GPU, Orin.")
    assert "fp16" in chosen.networks["encoder"].name
    facts = chosen.info()["encoder"]
    assert (facts["device"], facts["precision"], facts["flags"]) == ("GPU", "fp16", "none")
    assert facts["engine"] == chosen.networks["encoder"].name
    assert facts["engine_sha256"] == hashlib.sha256(b"plan").hexdigest()
    for name, file in machine.networks.items():
        key = EngineKey(
            "lite_sam", name, sha256(file), "tensorrt 10.3.0", "Orin sm87", "fp16", flags=("rewrite",)
        )
        EngineCache().store(key, b"newer", {})
    assert chosen.info()["encoder"] == facts, "what runs is what was loaded"
    newer = open_runtime(machine)
    assert newer.info()["encoder"]["flags"] == "rewrite"
    newer.close()
    assert memory.held
    for _ in range(2):
        chosen.close()
        assert not memory.held
    with pytest.raises(BackendError, match="the runtime is closed"):
        chosen.networks["encoder"]({})


def test_networks_opened_before_a_missing_engine_are_closed(machine, memory):
    key = EngineKey(
        "lite_sam", "encoder", sha256(machine.networks["encoder"]), "tensorrt 10.3.0", "Orin sm87", "fp16"
    )
    EngineCache().store(key, b"plan", {})
    assert "TensorRT is not used: no engine of lite_sam decoder" in open_runtime(machine).description
    assert memory.made and not memory.held


def test_only_engines_of_the_requested_precision_are_used(machine):
    for name, file in machine.networks.items():
        for precision in ("fp32", "fp16"):
            key = EngineKey("lite_sam", name, sha256(file), "tensorrt 10.3.0", "Orin sm87", precision)
            EngineCache().store(key, b"plan", {})
    for name, precision in (("auto", "fp32"), ("tensorrt", "fp32"), ("tensorrt_fp32", "auto")):
        chosen = open_runtime(machine, name, precision=precision)
        assert chosen.backends == {"tensorrt_fp32"}
        assert {info["precision"] for info in chosen.info().values()} == {"fp32"}
    assert open_runtime(machine, "onnxruntime", precision="fp32").backends == {"onnxruntime"}
    for name, precision in (("tensorrt_int8", "auto"), ("tensorrt", "int8"), ("auto", "int8")):
        with pytest.raises(BackendError, match="evitsam build --model lite_sam --precision int8"):
            open_runtime(machine, name, precision=precision)


def test_an_engine_of_another_network_file_is_not_used(machine):
    for name in machine.networks:
        key = EngineKey("lite_sam", name, "0" * 64, "tensorrt 10.3.0", "Orin sm87", "fp16")
        EngineCache().store(key, b"plan", {})
    assert "is of another onnx (000000000000…" in open_runtime(machine).description


def test_a_missing_driver_is_an_error_with_the_remedy():
    pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")
    with pytest.raises(BackendError, match=r"CUDA: .*nvidia-smi"):
        CudaBindings()
