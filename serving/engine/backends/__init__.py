"""What computes a part of a bundle: torch or ONNX Runtime, behind one protocol."""
