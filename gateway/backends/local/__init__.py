"""Models in this process, on the CPU: the built-in scorer, and any ONNX cross-encoder.

Its modules import numpy and onnxruntime (the extra `local`), so nothing outside imports
them before a configuration asks for one.
"""

import os

# onnxruntime counts its users for its maker, in files and over the network, unless it is
# told not to before it is loaded. Not `os.environ`: only its C code reads this.
os.putenv("ORT_DISABLE_TELEMETRY", "1")
