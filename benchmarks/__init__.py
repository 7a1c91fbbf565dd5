"""Scripts that measure the package through its public interface, and the tables and pictures that they wrote."""
