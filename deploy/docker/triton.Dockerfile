# Triton with the packages that its Python backend needs for our models.
# NVIDIA releases an image every month and never changes it: choose one that matches the machines' driver.
FROM nvcr.io/nvidia/tritonserver:25.11-py3
RUN pip install --no-cache-dir 'numpy<2' 'onnxruntime-gpu>=1.22'
USER triton-server
