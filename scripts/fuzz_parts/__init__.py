"""Parts of scripts/fuzz."""
