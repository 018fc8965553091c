# evitsam_ros for Jetson: TensorRT and Python of JetPack 6.2 (L4T r36.4), with ROS 2 Humble from apt.
# NOT BUILT HERE: no Jetson could be had. Check the tag of the base image against your JetPack:
#   JetPack 6.2: Ubuntu 22.04, Python 3.10, CUDA 12.6, TensorRT 10.3, ROS 2 Humble
#   JetPack 7.2: Ubuntu 24.04, Python 3.12, CUDA 13.2, TensorRT 10.16.2, ROS 2 Jazzy
#   docker build -f docker/jetson.Dockerfile -t evitsam_ros .                     (on the Jetson)
#   docker run --rm -it --runtime nvidia --net=host --shm-size=1g evitsam_ros
ARG BASE=nvcr.io/nvidia/l4t-jetpack:r36.4.0
FROM ${BASE}

ARG ROS_DISTRO=humble
# The major version of CUDA: 12 for JetPack 6.2, 13 for JetPack 7.2.
ARG CUDA_MAJOR=12
ENV DEBIAN_FRONTEND=noninteractive ROS_DISTRO=${ROS_DISTRO}
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1
SHELL ["/bin/bash", "-c"]

RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl \
    && curl -fsSL https://raw.githubusercontent.com/ros/rosdistro/master/ros.key \
       -o /usr/share/keyrings/ros-archive-keyring.gpg \
    && source /etc/os-release \
    && echo "deb [signed-by=/usr/share/keyrings/ros-archive-keyring.gpg]" \
       "http://packages.ros.org/ros2/ubuntu $UBUNTU_CODENAME main" > /etc/apt/sources.list.d/ros2.list \
    && apt-get update && apt-get install -y --no-install-recommends \
       "ros-$ROS_DISTRO-ros-base" python3-colcon-common-extensions python3-rosdep python3-pip python3-numpy \
    && rm -rf /var/lib/apt/lists/*
# onnxruntime runs on the CPU here; the engines run by the TensorRT of JetPack.
RUN limit="$(python3 -c 'import numpy; print(int(numpy.__version__.split(".")[0]) + 1)')" \
    && python3 -m pip install onnxruntime "cuda-bindings==$CUDA_MAJOR.*" "numpy<$limit"

WORKDIR /ws
COPY . src/evitsam_ros
RUN apt-get update && (rosdep init || true) && rosdep update --rosdistro "$ROS_DISTRO" \
    && rosdep install --from-paths src src/evitsam_ros/interfaces --ignore-src -y \
    && rm -rf /var/lib/apt/lists/*
RUN source "/opt/ros/$ROS_DISTRO/setup.bash" \
    && colcon build --base-paths src src/evitsam_ros/interfaces

RUN printf '#!/bin/bash\nset -e\nsource /ws/install/setup.bash\nexec "$@"\n' > /entrypoint.sh && chmod +x /entrypoint.sh
ENTRYPOINT ["/entrypoint.sh"]
# Engines are built in the background at the first start; keep them in a volume: -v evitsam:/root/.cache/evitsam
CMD ["ros2", "run", "evitsam_ros", "segmenter", "--ros-args", "-r", "image:=/camera/image_raw", "-p", "build_engines:=true"]
