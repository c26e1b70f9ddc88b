"""Parts of scripts/check-dependencies."""
