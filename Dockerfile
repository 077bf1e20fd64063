# The README's two commands. `docker build -t dsd .` trains ResNet-18 with and without DSD on generated data;
# `docker run --shm-size 2g dsd` runs the tests.
FROM python:3.11-slim
RUN apt-get update && apt-get install --yes --no-install-recommends git && rm -rf /var/lib/apt/lists/*
WORKDIR /suite
COPY . .
RUN pip install nox && nox -s imagenet_resnet18
CMD ["sh", "-c", "pip install nox && nox -s tests"]
