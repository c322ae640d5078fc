ARG BASE=docker.io/library/debian:trixie-slim
FROM ${BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates gcc git libc6-dev rustup shellcheck \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 build
USER 1000:1000
WORKDIR /home/build
RUN rustup toolchain install 1.95.0 --profile minimal --component clippy
CMD ["bash"]
