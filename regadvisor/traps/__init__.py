"""What is odd about the data: a leak, rows that share a source, identifiers, extreme values, a skewed target.

An advice is only as good as what it is about. Each check looks at the checked table alone, trains no
candidate, and returns warnings that stand right below the verdict.
"""
