"""What `eqmodels bench --suite standard` found, as README and docs/results.md show it."""
