# Triton with what its Python backend needs for our models.
# NVIDIA releases monthly and keeps each release as it is: move on with the driver of the machines.
FROM nvcr.io/nvidia/tritonserver:25.11-py3
RUN pip install --no-cache-dir 'numpy<2' 'onnxruntime-gpu>=1.22'
USER triton-server
