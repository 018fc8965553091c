# evitsam_ros for x86 CPUs: ROS 2 Jazzy, ONNX Runtime and OpenVINO.
# NOT BUILT HERE: the project's machines have no Docker. Its commands are those of the CI job "ros" and of docs/quickstart.md.
#   docker build -f docker/x86_cpu.Dockerfile -t evitsam_ros .
#   docker run --rm -it --net=host --shm-size=1g evitsam_ros
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base

ENV DEBIAN_FRONTEND=noninteractive
# From Ubuntu 24.04 on pip asks for this beside a system's Python (PEP 668); an older pip does not know it.
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1
SHELL ["/bin/bash", "-c"]

RUN apt-get update && apt-get install -y --no-install-recommends python3-pip python3-numpy \
    && rm -rf /var/lib/apt/lists/*
# Before rosdep, which has no limit for numpy: the distribution's OpenCV needs the major version of its numpy.
RUN limit="$(python3 -c 'import numpy; print(int(numpy.__version__.split(".")[0]) + 1)')" \
    && python3 -m pip install onnxruntime openvino "numpy<$limit"

WORKDIR /ws
COPY . src/evitsam_ros
RUN apt-get update && rosdep update --rosdistro "$ROS_DISTRO" \
    && rosdep install --from-paths src src/evitsam_ros/interfaces --ignore-src -y \
    && rm -rf /var/lib/apt/lists/*
RUN source "/opt/ros/$ROS_DISTRO/setup.bash" \
    && colcon build --base-paths src src/evitsam_ros/interfaces

RUN printf '#!/bin/bash\nset -e\nsource /ws/install/setup.bash\nexec "$@"\n' > /entrypoint.sh && chmod +x /entrypoint.sh
ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "launch", "evitsam_ros", "segmenter.launch.py", "image:=/camera/image_raw"]
