"""What equivariance buys in E-SSL: the runs, their evaluation and the tables."""
