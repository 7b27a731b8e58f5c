"""Executors map a function over shards; nothing else may differ between them."""
