"""The BMD_CNN network, its training and its checkpoints."""
