"""The Open Inference Protocol, version 2, as KServe, Triton and OpenVINO Model Server speak it."""
