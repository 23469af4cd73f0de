"""The live engine over a recorded log: the same Book, fed from another source of frames."""
