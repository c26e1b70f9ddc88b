"""Parts of scripts/chaos."""
