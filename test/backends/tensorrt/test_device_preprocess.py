# SPDX-License-Identifier: Apache-2.0
"""Test the GPU's preprocessing: its source compiled for the CPU against OpenCV, and by NVRTC."""

import ctypes
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from evitsam_ros.backends import BackendError
from evitsam_ros.backends.tensorrt.device_preprocess import BLOCK, SOURCE, compile_kernel
from evitsam_ros.models.specs import MEAN, STD
from evitsam_ros.segment.transform import preprocess, resized_shape

#: What CUDA has and C++ has not: the indices of a thread, here walked one after the other.
AROUND = r"""
#include <math.h>
#define __global__
struct Index { int x, y; };
static Index blockIdx, blockDim, threadIdx;
%s
extern "C" void prepare_all(int blocks_x, int blocks_y, int threads_x, int threads_y,
    const unsigned char* image, float* blob, int height, int width, int rows, int columns, int side,
    const float* numbers) {
  blockDim = {threads_x, threads_y};
  for (blockIdx.y = 0; blockIdx.y < blocks_y; ++blockIdx.y)
    for (blockIdx.x = 0; blockIdx.x < blocks_x; ++blockIdx.x)
      for (threadIdx.y = 0; threadIdx.y < threads_y; ++threadIdx.y)
        for (threadIdx.x = 0; threadIdx.x < threads_x; ++threadIdx.x)
          prepare(image, blob, height, width, rows, columns, side,
                  numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]);
}
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    if shutil.which("g++") is None:
        pytest.skip("no g++")
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "prepare.cpp").write_text(AROUND % SOURCE)
    library = folder / "prepare.so"
    subprocess.run(["g++", "-O2", "-shared", "-fPIC", "-o", library, folder / "prepare.cpp"], check=True)
    function = ctypes.CDLL(str(library)).prepare_all

    def run(image: np.ndarray, side: int) -> np.ndarray:
        blob = np.full((1, 3, side, side), np.nan, np.float32)
        size = resized_shape(image.shape[:2], side)
        numbers = np.array(
            [*(1 / (255 * s) for s in STD), *(m / s for m, s in zip(MEAN, STD, strict=True))], "f4"
        )
        blocks = [-(-side // threads) for threads in BLOCK]
        pointer = ctypes.c_void_p
        function(
            *blocks, *BLOCK, pointer(image.ctypes.data), pointer(blob.ctypes.data),
            *image.shape[:2], *size, side, pointer(numbers.ctypes.data),
        )  # fmt: skip
        return blob

    return run


@pytest.mark.parametrize("size", [(720, 1280), (1080, 1920), (480, 640), (333, 517), (640, 640), (1280, 640)])
def test_the_kernel_equals_the_host(kernel, photograph, size):
    """Shrunk images are equal. Enlarged ones differ by 1 of 256 in places, as OpenCV weighs with 11 bits."""
    image = np.ascontiguousarray(cv2.resize(photograph, size[::-1], interpolation=cv2.INTER_CUBIC))
    ours, host = kernel(image, 640), preprocess(image, 640, MEAN, STD)
    height, width = resized_shape(size, 640)
    assert not ours[..., height:, :].any() and not ours[..., width:].any()
    steps = np.abs(ours - host) * np.float32(STD).reshape(3, 1, 1) * 255
    assert steps.max() < 1.01
    assert (steps > 0.5).mean() < (0.08 if max(size) < 640 else 1e-4)


@pytest.mark.parametrize("target", ["sm75", "sm80", "sm87", "sm89", "sm90"])
def test_nvrtc_compiles_it_for_every_target(target):
    pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")
    cubin = compile_kernel(target)
    assert cubin[:4] == b"\x7fELF" and b"prepare" in cubin


def test_an_unknown_target_is_rejected_with_nvrtcs_message():
    pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")
    with pytest.raises(BackendError, match="NVRTC cannot compile the preprocessing for sm1"):
        compile_kernel("sm1")
