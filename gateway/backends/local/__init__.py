"""Models in this process, on the CPU: the built-in scorer, and any ONNX cross-encoder.

Its modules import numpy and onnxruntime (the extra `local`), so nothing outside imports
them before a configuration asks for one.
"""
