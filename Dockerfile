# The operator's image. Three layers matter: the base, the dependencies, and (last and small) the package, so
# that a change of source rebuilds and ships only the last.
#
#   BASE_IMAGE   any image with Python 3.11 or newer as `python3`, and its venv module
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# pip and the build backend live apart from what is shipped: the venv of the operator has neither.
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/venv
WORKDIR /src
COPY requirements/image.txt requirements/operator.txt requirements/
# Bytecode is made here and never checked again: fast to start, and nothing to write on a read-only root.
RUN /opt/build/bin/pip install --no-compile --require-hashes -r requirements/image.txt \
    && /opt/build/bin/pip --python /opt/venv/bin/python3 install \
        --no-compile --require-hashes -r requirements/operator.txt \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib

FROM dependencies AS package
COPY pyproject.toml README.md LICENSE ./
COPY operator/ operator/
RUN /opt/build/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /tmp/wheel . \
    && /opt/build/bin/pip --python /opt/venv/bin/python3 install \
        --no-compile --no-deps --no-index --target /opt/operator /tmp/wheel/*.whl \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/operator
COPY image/sbom.py image/
RUN python3 image/sbom.py /opt/venv/lib/python3*/site-packages /opt/operator > /tmp/sbom.cdx.json

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="rayserve-operator" \
      org.opencontainers.image.description="A Kubernetes operator for Ray Serve" \
      org.opencontainers.image.licenses="Apache-2.0"
# Some bases bring pip, which nothing here needs.
RUN if python3 -m pip --version > /dev/null 2>&1; then python3 -m pip uninstall --yes pip; fi \
    && echo 'rayserve:x:65532:65532:rayserve-operator:/tmp:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'rayserve:x:65532:' >> /etc/group
ENV PATH=/opt/operator/bin:/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/opt/operator \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=package /opt/operator /opt/operator
COPY --from=package /tmp/sbom.cdx.json /opt/sbom.cdx.json
USER 65532:65532
WORKDIR /tmp
EXPOSE 8080 9443
ENTRYPOINT ["rayserve-operator"]
