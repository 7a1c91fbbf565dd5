"""What maintainers run: the documentation site, and the checks of a release."""
