"""Parts of scripts/sdk-matrix."""
