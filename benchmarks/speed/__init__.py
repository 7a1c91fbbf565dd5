"""Speed: scripts that time the public API, and write their tables to benchmarks/results/speed."""
