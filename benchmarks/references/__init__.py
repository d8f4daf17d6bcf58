"""References that last: what dense grids cost on many data sets, at several sizes, in compact files."""
