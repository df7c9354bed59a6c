"""Parts of fastrun, measured with pytest-benchmark."""
