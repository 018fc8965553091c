# SPDX-License-Identifier: Apache-2.0
"""Resize, normalise and pad on the GPU: the camera's bytes are copied, not the blob of four times the size.

The kernel computes the same as :func:`~evitsam_ros.segment.transform.preprocess`. NVRTC compiles it at start
for the present GPU; without NVRTC the host preprocesses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from ..base import BackendError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .cuda_calls import Cuda
    from .cuda_memory import DeviceArray, Pool

NAME = "prepare"
#: Threads of a block, x and y.
BLOCK = (32, 8)
#: A thread computes one pixel of the blob. Shrinking: the mean over the covered source pixels, weighted by
#: the covered share (INTER_AREA). Enlarging: bilinear, pixel centres at +0.5. Rounded, as OpenCV does.
SOURCE = r"""
extern "C" __global__ void prepare(
    const unsigned char* image, float* blob, int height, int width, int rows, int columns, int side,
    float scale0, float scale1, float scale2, float shift0, float shift1, float shift2) {
  int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= side || y >= side) return;
  float sum[3] = {0.f, 0.f, 0.f};
  bool inside = x < columns && y < rows;
  if (inside) {
    double by = (double)height / rows, bx = (double)width / columns;
    double y0 = y * by, y1 = y0 + by, x0 = x * bx, x1 = x0 + bx, total = by * bx;
    if (by < 1.0 || bx < 1.0 || (by == 1.0 && bx == 1.0)) {
      y0 = fmin(fmax((y + 0.5) * by - 0.5, 0.0), height - 1.0), y1 = y0 + 1.0;
      x0 = fmin(fmax((x + 0.5) * bx - 0.5, 0.0), width - 1.0), x1 = x0 + 1.0;
      total = 1.0;
    }
    for (int v = (int)y0; v < y1 && v < height + 1; ++v) {
      float tall = (float)(fmin(v + 1.0, y1) - fmax((double)v, y0));
      if (tall <= 0.f) continue;
      for (int u = (int)x0; u < x1 && u < width + 1; ++u) {
        float share = tall * (float)(fmin(u + 1.0, x1) - fmax((double)u, x0));
        if (share <= 0.f) continue;
        int row = v < height ? v : height - 1, column = u < width ? u : width - 1;
        const unsigned char* pixel = image + ((long long)row * width + column) * 3;
        for (int c = 0; c < 3; ++c) sum[c] += share * pixel[c];
      }
    }
    for (int c = 0; c < 3; ++c) sum[c] = floorf(sum[c] / (float)total + 0.5f);
  }
  float scale[3] = {scale0, scale1, scale2}, shift[3] = {shift0, shift1, shift2};
  for (int c = 0; c < 3; ++c)
    blob[((long long)c * side + y) * side + x] = inside ? sum[c] * scale[c] - shift[c] : 0.f;
}
"""


def compile_kernel(target: str) -> bytes:
    """Compile the kernel to a cubin for a compute capability (``sm87``).

    Raises:
        BackendError: NVRTC is missing or fails; has its error messages.
    """
    try:
        from cuda.bindings import nvrtc

        error, program = nvrtc.nvrtcCreateProgram(SOURCE.encode(), b"prepare.cu", 0, [], [])
    except (ImportError, RuntimeError, OSError) as missing:
        raise BackendError(f"NVRTC is missing ({missing}): pip install nvidia-cuda-nvrtc-cu12") from missing
    options = [f"--gpu-architecture=sm_{target.removeprefix('sm')}".encode()]
    (error,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    if int(error):
        size = nvrtc.nvrtcGetProgramLogSize(program)[1]
        log = b" " * size
        nvrtc.nvrtcGetProgramLog(program, log)
        raise BackendError(f"NVRTC cannot compile the preprocessing for {target}: {log.decode().strip()}")
    cubin = b" " * nvrtc.nvrtcGetCUBINSize(program)[1]
    nvrtc.nvrtcGetCUBIN(program, cubin)
    return cubin


class DevicePreprocess:
    """Convert images ``(H, W, 3)`` uint8 RGB on the host to ``(N, 3, side, side)`` float32 on the GPU."""

    def __init__(
        self, pool: Pool, cubin: bytes, side: int, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        self.pool, self.side = pool, side
        self.kernel = pool.cuda.kernel(cubin, NAME)
        self.scales = [np.float32(1 / (255 * s)) for s in std]
        self.shifts = [np.float32(m / s) for m, s in zip(mean, std, strict=True)]
        self.pinned: np.ndarray | None = None

    def __call__(self, images: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]) -> DeviceArray:
        """Copy and launch; ``sizes`` (h, w) are those of the images in the blob, the rest is padding.

        Only the encoder waits for the result, since it runs on the same stream.
        """
        # The last frames' copies are done, since their encoder has finished.
        needed = sum(image.size for image in images)
        if self.pinned is None or self.pinned.size < needed:
            self.pinned = self.pool.pinned(needed, instead_of=self.pinned)
        with self.pool.cuda.active():
            return self._queue(images, sizes)

    def _queue(self, images: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]) -> DeviceArray:
        blob = self.pool.array((len(images), 3, self.side, self.side), np.dtype(np.float32))
        pinned = cast("np.ndarray", self.pinned)
        sources, start = [], 0
        for index, (image, size) in enumerate(zip(images, sizes, strict=True)):
            staged = pinned[start : start + image.size].reshape(image.shape)
            sources.append(self._prepare(image, staged, size, blob[index : index + 1].pointer))
            start += image.size
        blob.needs = sources  # keep the memory until the kernel has read it
        return blob

    def close(self) -> None:
        """Unload the kernel; the pool frees its buffer."""
        self.pool.cuda.unload(self.kernel)
        self.pinned = None

    def _prepare(
        self, image: np.ndarray, staged: np.ndarray, size: tuple[int, int], target: int
    ) -> DeviceArray:
        """Queue one image; return its bytes on the GPU."""
        cuda: Cuda = self.pool.cuda
        np.copyto(staged, image)
        source = self.pool.array(image.shape, np.dtype(np.uint8))
        with self.pool.timed("copy in"):
            cuda.copy_in(source.pointer, staged, self.pool.stream)
        numbers = [np.int32(n) for n in (*image.shape[:2], *size, self.side)]
        arguments = [source.pointer, target, *numbers, *self.scales, *self.shifts]
        blocks = (-(-self.side // BLOCK[0]), -(-self.side // BLOCK[1]))
        with self.pool.timed("resize, normalise"):
            cuda.launch(self.kernel, blocks, BLOCK, arguments, self.pool.stream)
        return source
